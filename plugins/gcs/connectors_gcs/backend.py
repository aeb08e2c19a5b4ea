"""The Google Cloud Storage backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.storage import BucketBackend
from connectors_gcs.credentials import GcsCredentials
from connectors_gcs.location import LOCATION

if TYPE_CHECKING:
    from connectors.storage import BucketPlace
    from connectors_gcs.filesystem import Gcs

__all__ = ["GcsBackend"]


class GcsBackend(BucketBackend):
    """Objects in Google Cloud Storage: ``gs://bucket/key``."""

    name = "gcs"
    location = LOCATION
    schemes = LOCATION.schemes
    Credentials = GcsCredentials

    def filesystem(self, place: BucketPlace, credentials: GcsCredentials) -> Gcs:  # noqa: ARG002 - the account has all
        """Return a filesystem of the account's sealed objects."""
        from connectors_gcs.filesystem import Gcs  # noqa: PLC0415 - the HTTP engine takes a while to import

        return Gcs(credentials)

    def sign_url(self, place: BucketPlace, credentials: GcsCredentials, method: str, expires: int) -> str:
        """Return a URL that can GET or PUT an object; see `presign`."""
        from connectors_gcs.presigning import presign  # noqa: PLC0415

        return presign(place, credentials, method, expires)
