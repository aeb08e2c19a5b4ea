"""The S3 backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from connectors.storage import BucketBackend
from connectors_s3.credentials import S3Credentials
from connectors_s3.location import LOCATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import BucketPlace
    from connectors_s3.filesystem import S3

__all__ = ["S3Backend"]


class S3Backend(BucketBackend):
    """Objects in Amazon S3 and compatible stores: ``s3://bucket/key``."""

    name = "s3"
    location = LOCATION
    schemes = LOCATION.schemes
    Credentials = S3Credentials
    aliases: ClassVar[Mapping[str, str]] = {"s3a": "s3", "s3n": "s3"}

    def filesystem(self, place: BucketPlace, credentials: S3Credentials) -> S3:  # noqa: ARG002 - the account has all
        """Return a filesystem of the account's sealed objects."""
        from connectors_s3.filesystem import S3  # noqa: PLC0415 - botocore takes a while to import

        return S3(credentials)

    def sign_url(self, place: BucketPlace, credentials: S3Credentials, method: str, expires: int) -> str:
        """Return a URL that can GET or PUT an object; see `presign`."""
        from connectors_s3.presigning import presign  # noqa: PLC0415

        return presign(place, credentials, method, expires)
