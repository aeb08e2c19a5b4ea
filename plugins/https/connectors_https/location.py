"""A location taken apart, and refused where it holds a secret or would send one over an open line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url
from connectors.storage import is_loopback

__all__ = ["Place"]

# RFC 3986: what a path may hold. A percent sign stays where it starts an escape, which goes out as it is written.
_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~%"
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one object lies.

    Attributes:
        location: the URL as its owner wrote it; it has no query, so it may be shown.
        scheme: http or https.
        host: its host; an IPv6 address in brackets.
        port: its port, or None for the scheme's own.
        path: the path as it goes out: as written, with only what no request line may hold percent-encoded.
    """

    location: str
    scheme: Literal["http", "https"]
    host: str
    port: int | None
    path: str

    @classmethod
    def of(cls, location: str, *, allow_http: bool = False) -> Place:
        """Take `location` apart.

        Args:
            location: ``https://host[:port]/path``.
            allow_http: also take http:// to other hosts than this one.

        Raises:
            InvalidLocation: it holds a user, query or fragment, or names no object, or is http:// to another host
                without leave; the message never shows the query.
        """
        shown = redact_url(location)
        parts, problem = _split(location)
        if parts is None:
            message = f"the location {shown!r} {problem}"
            raise InvalidLocation(message)
        host = parts.netloc.removesuffix(f":{parts.port}").removesuffix(":")
        if not host:
            message = f"the location {shown!r} names no host; one is expected after the two slashes"
            raise InvalidLocation(message)
        if not _HOST.fullmatch(host):
            message = f"the location {shown!r} has a host that cannot be looked up; write it in ASCII, as DNS has it"
            raise InvalidLocation(message)
        scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        if scheme == "http" and not allow_http and not is_loopback(host):
            message = (
                f"{shown} would send the signed query in the clear; use https://, or say "
                '"allow_http": true in the credentials if that network really is private'
            )
            raise InvalidLocation(message)
        path = quote(_STRAY_PERCENT.sub("%25", parts.path), safe=_PATH_CHARACTERS)
        return cls(location, scheme, host, parts.port, path)


def _split(location: str) -> tuple[SplitResult, None] | tuple[None, str]:
    """Return the parts, or what is wrong with the location: without the parts, which may be secret."""
    if _CONTROL.search(location):
        return None, "holds a control character or a line break"
    if _HALF_CHARACTER.search(location):
        return None, "holds half of a character, which has no bytes to be sent"
    if location != location.strip():
        return None, "has white space at its end"
    try:
        parts = urlsplit(location)
        _ = parts.port
    except ValueError:
        return None, "is not a URL; a host, perhaps a port, and a path are expected"
    problem = _problem(location, parts)
    return (parts, None) if problem is None else (None, problem)


def _problem(location: str, parts: SplitResult) -> str | None:
    if parts.scheme not in ("http", "https"):
        return "has another scheme; https:// is expected"
    if "?" in location:
        return (
            "has a query; leave only what stands before the '?', and put the rest, in base64, into the "
            "credentials' query_string"
        )
    if "#" in location:
        return "has a fragment; a '#' that belongs to the object's name is written %23"
    if "@" in parts.netloc:
        return "has a user in it; only signed URLs and open ones are served"
    if not parts.path.strip("/"):
        return "names no object; a path is expected after the host"
    return None
