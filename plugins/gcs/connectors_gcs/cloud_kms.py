"""The key source ``gcp-kms``: a key that is wrapped under a key in Google Cloud KMS."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from connectors.keys import KeySource
from connectors_gcs.key_documents import KmsReference, KmsWrapping

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["GcpKms"]


class GcpKms(KeySource):
    """A key wrapped under one in Google: ``{"source": "gcp-kms", "key_name": "projects/…", "wrapped": "…", …}``."""

    name = "gcp-kms"
    summary = "Google Cloud KMS"
    Reference = KmsReference
    Wrapping = KmsWrapping

    def unwrap(self, reference: KmsReference, root: str | None) -> SecretKey:
        """Return the key; raises as the contract says."""
        del root
        from connectors_gcs.kms_server import KmsServer  # noqa: PLC0415 - takes a while to import

        server = KmsServer(reference)
        with closing(server.client):
            return server.decrypt(reference.wrapped)

    def wrap(self, key: SecretKey, wrapping: KmsWrapping, root: str | None) -> KmsReference:
        """Return a reference to a key, wrapped under the key's primary version."""
        del root
        from connectors_gcs.kms_server import KmsServer  # noqa: PLC0415

        server = KmsServer(wrapping)
        with closing(server.client):
            wrapped = server.encrypt(key)
        members = {name: getattr(wrapping, name) for name in KmsWrapping.model_fields}
        return server.reference_of(lambda: KmsReference(**members, wrapped=wrapped), wrapping.key_name)

    def holder(self, reference: KmsWrapping) -> str:
        """Return the key's name."""
        return f"Google Cloud KMS key {reference.key_name}"
