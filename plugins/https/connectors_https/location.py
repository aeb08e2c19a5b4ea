"""Parses https:// locations, and refuses those that hold a secret or would send one unencrypted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

from connectors.errors import InvalidLocation
from connectors.secrets import redact_url
from connectors.storage import is_loopback

__all__ = ["Place"]

# RFC 3986: the characters that a path may hold. A percent sign that starts an escape is sent as it is written.
_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~%"
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """The location of one object.

    Attributes:
        location: the URL as it was written; it has no query, so it may be shown.
        scheme: http or https.
        host: its host; an IPv6 address in brackets.
        port: its port, or None for the scheme's default.
        path: the path that is sent: as written, except that characters which no request line may hold are
            percent-encoded.
    """

    location: str
    scheme: Literal["http", "https"]
    host: str
    port: int | None
    path: str

    @classmethod
    def of(cls, location: str, *, allow_http: bool = False) -> Place:
        """Parse `location`.

        Args:
            location: ``https://host[:port]/path``.
            allow_http: also accept http:// for other hosts than this one.

        Raises:
            InvalidLocation: it has a user, query or fragment, or names no object, or is http:// to another host
                without `allow_http`; the message never shows the query.
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
            message = f"the location {shown!r} has an invalid host; write it in ASCII, as in DNS"
            raise InvalidLocation(message)
        scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        if scheme == "http" and not allow_http and not is_loopback(host):
            message = (
                f"{shown} would send the signed query unencrypted; use https://, or add "
                '"allow_http": true to the credentials if the network really is private'
            )
            raise InvalidLocation(message)
        path = quote(_STRAY_PERCENT.sub("%25", parts.path), safe=_PATH_CHARACTERS)
        return cls(location, scheme, host, parts.port, path)


def _split(location: str) -> tuple[SplitResult, None] | tuple[None, str]:
    """Return the parts, or what is wrong with the location, without quoting it, because it may be secret."""
    if _CONTROL.search(location):
        return None, "contains a control character or a line break"
    if _LONE_SURROGATE.search(location):
        return None, "contains a lone surrogate, which is not Unicode text"
    if location != location.strip():
        return None, "has white space at its end"
    try:
        parts = urlsplit(location)
        _ = parts.port
    except ValueError:
        return None, "is not a URL; a host, an optional port and a path are expected"
    problem = _problem(location, parts)
    return (parts, None) if problem is None else (None, problem)


def _problem(location: str, parts: SplitResult) -> str | None:
    if parts.scheme not in ("http", "https"):
        return "has another scheme; https:// is expected"
    if "?" in location:
        return (
            "has a query; keep only the part before the '?', and put the rest, in base64, into the "
            "credentials' query_string"
        )
    if "#" in location:
        return "has a fragment; write a '#' in the object's name as %23"
    if "@" in parts.netloc:
        return "contains a user; only signed and unsigned URLs are supported"
    if not parts.path.strip("/"):
        return "names no object; a path is expected after the host"
    return None
