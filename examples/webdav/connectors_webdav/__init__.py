"""The WebDAV backend of `connectors`: ``webdavs://host/folder/object``.

It is the worked example of docs/backends.md, and a backend that works: see its README for what WebDAV servers promise.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from connectors.storage import Backend
from connectors_webdav.credentials import WebDavCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors_webdav.filesystem import WebDavFileSystem

__all__ = ["WebDavBackend", "WebDavCredentials"]


class WebDavBackend(Backend):
    """Files on a WebDAV server: ``webdavs://host/path`` by HTTPS, ``webdav://host/path`` without encryption."""

    name = "webdav"
    schemes = ("webdavs", "webdav")
    Credentials = WebDavCredentials
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({"davs": "webdavs", "dav": "webdav"})

    def connect(self, location: str, credentials: WebDavCredentials) -> tuple[WebDavFileSystem, str]:
        """Return a filesystem of the server's files, and the location's path in it; makes no request.

        Raises:
            InvalidLocation: this is no location on a WebDAV server, or it is a ``webdav://`` location of another
                machine while the credentials do not `allow_http`.
        """
        from connectors_webdav.filesystem import WebDavFileSystem  # noqa: PLC0415 - loads the HTTP engine
        from connectors_webdav.location import Place  # noqa: PLC0415 - only a connection needs it

        place = Place.of(location, allow_http=credentials.allow_http)
        return WebDavFileSystem(place, credentials), place.path
