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
        parts = _split(location)
        problem = _problem(location, parts)
        if parts is None or problem is not None:
            message = f"the location {shown!r} {problem}"
            raise InvalidLocation(message)
        host = _host(parts)
        scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        if scheme == "http" and not allow_http and not is_loopback(host):
            message = (
                f"{shown} would send the signed query unencrypted; use https://, or add "
                '"allow_http": true to the credentials if the network really is private'
            )
            raise InvalidLocation(message)
        path = quote(_STRAY_PERCENT.sub("%25", parts.path), safe=_PATH_CHARACTERS)
        return cls(location, scheme, host, parts.port, path)


def _split(location: str) -> SplitResult | None:
    """Return the parts of a URL; None if it is not one."""
    try:
        parts = urlsplit(location)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _host(parts: SplitResult) -> str:
    return parts.netloc.removesuffix(f":{parts.port}").removesuffix(":")


def _problem(location: str, parts: SplitResult | None) -> str | None:
    """Return what is wrong with a location, without quoting it, because it may be secret; the first of these."""
    given = urlsplit("") if parts is None else parts
    broken = {
        "contains a control character or a line break": _CONTROL.search(location),
        "contains a lone surrogate, which is not Unicode text": _LONE_SURROGATE.search(location),
        "has white space at its end": location != location.strip(),
        "is not a URL; a host, an optional port and a path are expected": parts is None,
        "has another scheme; https:// is expected": given.scheme not in ("http", "https"),
        (
            "has a query; keep only the part before the '?', and put the rest, in base64, into the "
            "credentials' query_string"
        ): "?" in location,
        "has a fragment; write a '#' in the object's name as %23": "#" in location,
        "contains a user; only signed and unsigned URLs are supported": "@" in given.netloc,
        "names no object; a path is expected after the host": not given.path.strip("/"),
        "names no host; one is expected after the two slashes": not _host(given),
        "has an invalid host; write it in ASCII, as in DNS": not _HOST.fullmatch(_host(given)),
    }
    return next((problem for problem, is_broken in broken.items() if is_broken), None)
