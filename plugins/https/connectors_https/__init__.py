"""The backend of `connectors` for presigned URLs, Azure SAS URLs and unsigned https:// URLs.

One location is one object. The URL's query, which follows its ``?``, is a secret. So it belongs in the credentials,
not in the location::

    {"query_string": "<base64 of the query>", "encryption": {"key": "<64 hexadecimal digits>"}}

Importing this package loads no HTTP library; the first connection does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.errors import InvalidLocation
from connectors.storage import Backend
from connectors_https.credentials import HttpsCredentials
from connectors_https.signature import Flavour, Signature, expiry

if TYPE_CHECKING:
    from connectors_https.filesystem import PresignedFileSystem

__all__ = ["Flavour", "HttpsBackend", "HttpsCredentials", "PresignedFileSystem", "Signature", "expiry"]


class HttpsBackend(Backend):
    """One object at a URL: ``https://bucket.s3.eu-west-1.amazonaws.com/conditions.csv.sealed``."""

    name = "https"
    schemes = ("https", "http")
    Credentials = HttpsCredentials

    def connect(self, location: str, credentials: HttpsCredentials) -> tuple[PresignedFileSystem, str]:
        """Return a filesystem of this one object, and the object's path there; makes no request.

        Raises:
            InvalidLocation: the location has a user, query or fragment, names no object or names a folder, or is an
                http:// URL of another host while the credentials do not `allow_http`.
        """
        from connectors_https.filesystem import PresignedFileSystem  # noqa: PLC0415 - loads urllib3
        from connectors_https.location import Place  # noqa: PLC0415 - only a connection needs it

        place = Place.of(location, allow_http=credentials.allow_http)
        if credentials.is_folder(location):
            message = (
                f"{location} is a folder, but a URL is for one object: use the storage's own backend; if this really "
                'is the name of an object, add "layout": "object" to the credentials'
            )
            raise InvalidLocation(message)
        filesystem = PresignedFileSystem(place, credentials.query())
        return filesystem, filesystem.path


def __getattr__(name: str) -> Any:
    """Import the filesystem, and urllib3 with it, on first use."""
    if name == "PresignedFileSystem":
        from connectors_https.filesystem import PresignedFileSystem  # noqa: PLC0415

        return PresignedFileSystem
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
