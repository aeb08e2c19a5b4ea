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
        """Return a filesystem of the account's sealed objects, and ``bucket/key``, of a folder without its last slash.

        No request is made yet, not for a token either.

        Raises:
            InvalidLocation: the location is none of Google Cloud Storage's.
        """
        from connectors_gcs.filesystem import Gcs  # noqa: PLC0415 - urllib3 takes a while to import

        path = "/".join(split_location(location)).rstrip("/")
        return Gcs(credentials), path

    def presign(self, location: str, credentials: GcsCredentials, method: str, expires: int) -> str:
        """Return a URL that needs no credentials to GET or PUT the object, for `expires` seconds.

        Raises:
            ConfigError: `expires` is not between 1 and 604,800.
            NotSupported: another method, or credentials that are no service account's key.
            InvalidLocation: the location is none of Google Cloud Storage's, or a folder.
        """
        from connectors_gcs.presigning import presign  # noqa: PLC0415

        return presign(location, credentials, method, expires)
