"""Parses locations on SFTP servers: ``sftp://host:port/path``, with the path literal, not percent-encoded."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url

__all__ = ["DEFAULT_PORT", "Endpoint", "split_location"]

DEFAULT_PORT = 22
MAX_NAME_SIZE = 255
"""The most bytes in a file's name on common systems of SFTP servers: NAME_MAX of POSIX's limits.h."""

_AUTHORITY = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?))(?::([0-9]{1,5}))?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server.

    Attributes:
        host: name or address; an IPv6 address without brackets.
        port: TCP port.
    """

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORT else f"{host}:{self.port}"

    def shown(self, path: str) -> str:
        """Return the location of an absolute path for messages and logs."""
        return redact_url(f"sftp://{self}{path}")


def split_location(location: str) -> tuple[Endpoint, str]:
    """Return the server and the absolute path of ``sftp://host:port/path``.

    The path is the same in the location and on the server: ``%``, ``?``, ``#``, spaces and the rest of Unicode are
    literal.

    Raises:
        InvalidLocation: it has another scheme, no host, no path, user information, or a path that servers would
            resolve to another one.

    >>> split_location("sftp://files.clinic.example:2222/2026/50% of patients?.csv")
    (Endpoint(host='files.clinic.example', port=2222), '/2026/50% of patients?.csv')
    """
    scheme, separator, rest = location.partition("://")
    authority, slash, path = rest.partition("/")
    endpoint, problem = None, None
    if not separator or scheme.lower() not in ("sftp", "ssh"):
        problem = "it does not start with sftp://"
    elif "@" in authority:
        problem = "it contains a user; put that into the credentials as username"
    else:
        endpoint = _endpoint(authority)
        problem = _path_problem(path, named=bool(slash)) if endpoint else "its host or port is missing or invalid"
    if endpoint is None or problem:
        message = f"a location on an SFTP server is sftp://host/path, and {redact_url(location)!r} is not: {problem}"
        raise InvalidLocation(message)
    return endpoint, f"/{path}"


def _endpoint(authority: str) -> Endpoint | None:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return None
    address, name, port = match[1], match[2], int(match[3] or DEFAULT_PORT)
    try:
        if address is not None:
            ipaddress.IPv6Address(address)
    except ValueError:
        return None
    return Endpoint(address or name, port) if 0 < port <= 0xFFFF else None  # noqa: PLR2004 - 16 bits


def _path_problem(path: str, *, named: bool) -> str | None:
    if not path:
        return None if named else "it does not name a path"
    if _CONTROL.search(path):
        return "its path contains control characters"
    segments = path.removesuffix("/").split("/")
    if {".", ".."} & set(segments):
        return "its path contains a segment . or .."
    if "" in segments:
        # The server would drop the segment, so that one file would have two names.
        return "its path contains an empty segment"
    try:
        size = max(len(one.encode()) for one in segments)
    except UnicodeEncodeError:
        return "its path is not Unicode text"
    return f"a name in its path has {size} bytes; the limit is {MAX_NAME_SIZE}" if size > MAX_NAME_SIZE else None
