"""The key source ``aws-kms``: a key that a key of AWS KMS wraps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.keys import KeySource
from connectors_s3.kms_reference import AwsKmsReference, AwsKmsWrapping

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

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

    def holder(self, reference: AwsKmsWrapping) -> str:
        """Return the KMS key's name."""
        return f"{self.summary} key {reference.shown}"
