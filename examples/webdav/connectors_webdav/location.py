"""Parses locations on WebDAV servers: ``webdavs://host:port/path``, with the path literal, not percent-encoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url
from connectors.storage import Origin, endpoint_problem, sends_in_the_clear

__all__ = ["Place", "parent_of"]

_PROTOCOLS = {"webdavs": "https", "webdav": "http"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Place:
    """A path on a server.

    Attributes:
        scheme: webdavs or webdav.
        origin: the server.
        path: the absolute path, decoded, without a slash at its end; of the root, a slash.
    """

    scheme: str
    origin: Origin
    path: str

    @classmethod
    def of(cls, location: str, *, allow_http: bool = False) -> Place:
        """Parse a location.

        Args:
            location: ``webdavs://host:port/path``; ``%``, ``?``, ``#`` and spaces in the path are literal.
            allow_http: also accept ``webdav://`` for other machines than this one.

        Raises:
            InvalidLocation: it is no such location, or would send a password unencrypted.

        >>> Place.of("webdavs://files.clinic.example/2026/50% of patients?.csv").path
        '/2026/50% of patients?.csv'
        """
        scheme, separator, rest = location.partition("://")
        scheme = scheme.lower()
        authority, slash, path = rest.partition("/")
        url = f"{_PROTOCOLS.get(scheme, 'https')}://{authority}"
        problem = None
        if not separator or scheme not in _PROTOCOLS:
            problem = "it does not start with webdavs://"
        elif not slash:
            problem = "it names no path"
        elif endpoint_problem(url, example="https://files.clinic.example"):
            problem = "its host or port is invalid, or it contains a user; put that into the credentials"
        elif sends_in_the_clear(url) and not allow_http:
            problem = (
                'it would send the password unencrypted; use webdavs://, or add "allow_http": true to the credentials'
            )
        else:
            problem = _path_problem(path)
        if problem:
            message = f"a location on a WebDAV server is webdavs://host/path, and {redact_url(location)!r} is not: "
            raise InvalidLocation(message + problem)
        return cls(scheme, Origin.of(url), f"/{path.rstrip('/')}")

    def shown(self, path: str) -> str:
        """Return the location of another path on the server, for messages and logs."""
        return redact_url(f"{self.scheme}://{self.origin.authority}{path}")

    def url(self, path: str) -> str:
        """Return the HTTP URL of another path on the server."""
        return f"{self.origin.scheme}://{self.origin.authority}{quote(path)}"


def _path_problem(path: str) -> str | None:
    if _CONTROL.search(path) or _LONE_SURROGATE.search(path):
        return "its path contains control characters, or is not Unicode text"
    segments = path.removesuffix("/").split("/")
    if {".", ".."} & set(segments) or ("" in segments and path):
        return "its path contains an empty segment, or a segment . or .."
    return None


def parent_of(path: str) -> str:
    """Return the folder that contains a path; for the root, the root."""
    return path.rpartition("/")[0] or "/"
