"""Connections that take nothing from the machine around them, and tell its logs nothing.

No proxy, no netrc, no key log: urllib3 is given no environment to look at.
"""

from __future__ import annotations

import http.client
import logging
import ssl
from typing import Any
from urllib.parse import urlsplit

import urllib3.exceptions
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.storage import StallTimeoutConnection

__all__ = ["BROKEN", "open_pool"]

CONNECT_TIMEOUT = 10.0
"""Seconds until a connection stands, TLS included."""
READ_TIMEOUT = 60.0
"""Seconds between two pieces of an answer, or until the next piece of a request is taken."""
CONNECTIONS = 32
"""Connections kept open for the next request; more threads than that open theirs anew."""
BLOCK = 1 << 17
"""Bytes of a request's body that are handed to the socket at once."""

BROKEN = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
"""What a connection raises when it fails; timeouts are among them as OSError."""


class _Connection(StallTimeoutConnection, HTTPConnection):
    # http.client prints every request, token and all, while its debug level is up, and a level set on its class is
    # everybody's.
    debuglevel = 0
    silence = READ_TIMEOUT


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def open_pool(url: str) -> HTTPConnectionPool:
    """Return a pool of connections to the server that a URL names."""
    logging.getLogger("urllib3.connectionpool").addFilter(_WITHHELD)  # adding it again changes nothing
    parts = urlsplit(url)
    options: dict[str, Any] = {
        "timeout": Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
        "maxsize": CONNECTIONS,
        "retries": False,
        "blocksize": BLOCK,
    }
    host = parts.hostname or ""
    if parts.scheme == "http":
        return _Pool(host, parts.port, **options)
    return _TlsPool(host, parts.port, ssl_context=_verifying(), **options)


def _verifying() -> ssl.SSLContext:
    """Return a TLS context that verifies certificate and name against the system's authorities.

    Not `ssl.create_default_context`: that one writes the session's keys to the file which SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


class _Withhold(logging.Filter):
    """Lets no record pass that names an upload: whoever knows a session's URL can write to it, without credentials."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        return "upload_id" not in record.getMessage()


_WITHHELD = _Withhold()
