"""The Google Cloud Storage backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.storage import Backend
from connectors_gcs.credentials import GcsCredentials
from connectors_gcs.location import split_location

if TYPE_CHECKING:
    from connectors_gcs.filesystem import Gcs

__all__ = ["GcsBackend"]


class GcsBackend(Backend):
    """Objects in Google Cloud Storage: ``gs://bucket/key``."""

    name = "gcs"
    schemes = ("gs", "gcs")
    Credentials = GcsCredentials

    def connect(self, location: str, credentials: GcsCredentials) -> tuple[Gcs, str]:
        """Return a filesystem of the account's sealed objects, and ``bucket/key`` without a trailing slash.

        Makes no request, not even for a token.

        Raises:
            InvalidLocation: this is not a location in Google Cloud Storage.
        """
        from connectors_gcs.filesystem import Gcs  # noqa: PLC0415 - the HTTP engine takes a while to import

        path = "/".join(split_location(location)).rstrip("/")
        return Gcs(credentials), path

    def presign(self, location: str, credentials: GcsCredentials, method: str, expires: int) -> str:
        """Return a URL that can GET or PUT the object without credentials for `expires` seconds.

        Raises:
            ConfigError: `expires` is not between 1 and 604,800.
            NotSupported: another method, or credentials other than a service account's key.
            InvalidLocation: this is not a location in Google Cloud Storage, or it is a folder.
        """
        from connectors_gcs.presigning import presign  # noqa: PLC0415

        return presign(location, credentials, method, expires)
