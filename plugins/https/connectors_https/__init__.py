"""Presigned URLs, Azure SAS URLs and open https:// ones as a backend of enclave-connectors.

One location is one object. What the URL has after its ``?`` is a secret, so it lies in the credentials, not in the
location::

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
    """One object behind a URL: ``https://bucket.s3.eu-west-1.amazonaws.com/conditions.csv.sealed``."""

    name = "https"
    schemes = ("https", "http")
    Credentials = HttpsCredentials

    def connect(self, location: str, credentials: HttpsCredentials) -> tuple[PresignedFileSystem, str]:
        """Return a filesystem of this one object, and its path there; nothing is requested yet.

        Raises:
            InvalidLocation: the location holds a user, query or fragment, names no object, or a folder, or is http://
                to another host without the credentials' `allow_http`.
        """
        from connectors_https.filesystem import PresignedFileSystem  # noqa: PLC0415 - loads urllib3
        from connectors_https.location import Place  # noqa: PLC0415 - only a connection needs it

        place = Place.of(location, allow_http=credentials.allow_http)
        if credentials.is_folder(location):
            message = (
                f"{location} is a folder, and a URL is for one object: use the storage's own backend, or, if an object "
                'is really called so, say "layout": "object" in the credentials'
            )
            raise InvalidLocation(message)
        filesystem = PresignedFileSystem(place, credentials.query())
        return filesystem, filesystem.path


def __getattr__(name: str) -> Any:
    """Import the filesystem, and urllib3 with it, when it is first asked for."""
    if name == "PresignedFileSystem":
        from connectors_https.filesystem import PresignedFileSystem  # noqa: PLC0415

        return PresignedFileSystem
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
