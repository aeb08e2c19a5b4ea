"""Checks of the server URLs in credentials: is one valid, and is it encrypted?"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

__all__ = ["HIDES_NOTHING", "endpoint_problem", "is_loopback", "sends_in_the_clear"]

HIDES_NOTHING = 'http:// is not encrypted; use https://, or set "allow_http": true'
"""The error message for a URL that `sends_in_the_clear`."""


def endpoint_problem(url: str, *, example: str) -> str | None:
    """Return what is wrong with a server's URL, or None, without quoting it.

    Args:
        url: the URL to check.
        example: a valid URL, for the message.

    >>> endpoint_problem("ftp://clinic", example="https://s3.example.org")
    'an endpoint is a URL such as https://s3.example.org'
    """
    if not url.isprintable() or not url.isascii() or " " in url or "\\" in url:
        return "not a URL: it contains white space, a backslash or another character that URLs cannot have"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not a URL: its host or port cannot be read"
    if parts.scheme not in ("http", "https") or not host:
        return f"an endpoint is a URL such as {example}"
    if "@" in parts.netloc or "?" in url or "#" in url:
        return "an endpoint has no user information, query or fragment; credentials go into their own members"
    if {".", ".."} & set(parts.path.split("/")):  # HTTP clients and proxies resolve these
        return "its path contains a segment . or .."
    return None


def sends_in_the_clear(url: str) -> bool:
    """Return whether requests to a URL leave this machine unencrypted.

    >>> sends_in_the_clear("http://s3.example.org"), sends_in_the_clear("http://127.0.0.1:9000")
    (True, False)
    """
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Return whether a URL's host is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
