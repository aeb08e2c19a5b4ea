"""The S3 backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from connectors.storage import Backend
from connectors_s3.credentials import S3Credentials
from connectors_s3.location import split_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors_s3.filesystem import S3

__all__ = ["S3Backend"]


class S3Backend(Backend):
    """Objects in Amazon S3 and compatible stores: ``s3://bucket/key``."""

    name = "s3"
    schemes = ("s3",)
    Credentials = S3Credentials
    aliases: ClassVar[Mapping[str, str]] = {"s3a": "s3", "s3n": "s3"}

    def connect(self, location: str, credentials: S3Credentials) -> tuple[S3, str]:
        """Return a filesystem of the account's sealed objects, and ``bucket/key`` without a trailing slash.

        Makes no request.

        Raises:
            InvalidLocation: this is not a location in S3.
        """
        from connectors_s3.filesystem import S3  # noqa: PLC0415 - botocore takes a while to import

        return S3(credentials), "/".join(split_location(location)).rstrip("/")

    def presign(self, location: str, credentials: S3Credentials, method: str, expires: int) -> str:
        """Return a URL that can GET or PUT the object without credentials for `expires` seconds.

        Raises:
            ConfigError: `expires` is not between 1 and 604,800, or the region to sign for is unknown.
            NotSupported: another method, or anonymous credentials.
            InvalidLocation: this is not a location in S3, or it is a folder.
        """
        from connectors_s3.presigning import presign  # noqa: PLC0415

        return presign(location, credentials, method, expires)
