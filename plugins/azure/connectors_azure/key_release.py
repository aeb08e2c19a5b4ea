"""The key source ``azure-skr``: a key that Azure releases only to a confidential container group that it attests."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from connectors.keys import KeySource
from connectors_azure.key_documents import ReleaseReference

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["SecureKeyRelease"]


class SecureKeyRelease(KeySource):
    """A key with a release policy: ``{"source": "azure-skr", "maa_endpoint": …, "akv_endpoint": …, "kid": "…"}``."""

    name = "azure-skr"
    summary = "Azure secure key release"
    Reference = ReleaseReference

    def unwrap(self, reference: ReleaseReference, root: str | None) -> SecretKey:
        """Return the key that the sidecar gets released, or the key that is wrapped under it."""
        del root
        from connectors_azure.release_server import ReleaseServer  # noqa: PLC0415 - takes a while to import

        server = ReleaseServer(reference)
        with closing(server.client):
            return server.released()

    def holder(self, reference: ReleaseReference) -> str:
        """Return the vault and the key's name."""
        return f"Azure secure key release of {reference.akv_endpoint}/keys/{reference.kid}"
