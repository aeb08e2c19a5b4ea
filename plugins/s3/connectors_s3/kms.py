"""The key source ``aws-kms``: a key that a key of AWS KMS wraps, or what wraps a key for each object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.keys import KeySource, ObjectKeyService
from connectors_s3.kms_reference import AwsKmsObjects, AwsKmsReference, AwsKmsWrapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.secrets import SecretKey
    from connectors_s3.kms_server import KmsServer

__all__ = ["AwsKms"]


class AwsKms(KeySource):
    """A key that a key of AWS KMS wraps, with an encryption context.

    For example ``{"source": "aws-kms", "key_id": "arn:aws:kms:…", "context": {"dataset": "conditions"}, "wrapped": "…",
    "access_key_id": "…", "secret_access_key": "…"}``.
    """

    name = "aws-kms"
    summary = "AWS KMS"
    Reference = AwsKmsReference
    Wrapping = AwsKmsWrapping
    ObjectWrapping = AwsKmsObjects

    def unwrap(self, reference: AwsKmsReference, root: str | None) -> SecretKey:
        """Return the key; raises as the contract says, and ConfigError if this machine's configuration is invalid."""
        from connectors_s3.kms_server import KmsServer  # noqa: PLC0415 - botocore takes a while to import

        del root
        return KmsServer(reference).decrypt(reference.wrapped)

    def wrap(self, key: SecretKey, wrapping: AwsKmsWrapping, root: str | None) -> AwsKmsReference:
        """Return a reference to a key, wrapped by a KMS key.

        The reference names the KMS key by its ARN: an alias may name another key later.
        """
        from connectors_s3.kms_server import KmsServer  # noqa: PLC0415

        del root
        server = KmsServer(wrapping)
        arn, wrapped = server.encrypt(key)
        members = {**dict(wrapping), "key_id": arn, "wrapped": wrapped}
        return server.reference_of(lambda: AwsKmsReference(**members), wrapping.shown)

    def object_keys(self, wrapping: AwsKmsObjects, root: str | None) -> ObjectKeyService:
        """Return what wraps the keys of objects, as the Amazon S3 Encryption Client has it done."""
        del root
        return _KmsObjectKeys(wrapping)

    def holder(self, reference: AwsKmsWrapping) -> str:
        """Return the KMS key's name."""
        return f"{self.summary} key {reference.shown}"


class _KmsObjectKeys(ObjectKeyService):
    """Has a KMS key wrap the keys of objects: Encrypt and Decrypt, with a context for each."""

    def __init__(self, wrapping: AwsKmsObjects) -> None:
        self.context = wrapping.context
        self._wrapping = wrapping
        self._found: KmsServer | None = None

    def open(self, wrapped: bytes, context: Mapping[str, str]) -> SecretKey:
        return self._server().decrypt(wrapped, context)

    def seal(self, key: SecretKey, context: Mapping[str, str]) -> bytes:
        return self._server().encrypt(key, context)[1]

    def _server(self) -> KmsServer:
        """Return the server, whose connections serve all objects."""
        from connectors_s3.kms_server import KmsServer  # noqa: PLC0415

        if self._found is None:
            self._found = KmsServer(self._wrapping)
        return self._found
