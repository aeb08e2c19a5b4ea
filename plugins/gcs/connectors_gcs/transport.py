"""Opens HTTP connections that ignore the machine's configuration and write no secrets to its logs.

They use no proxy, no netrc file and no key log: urllib3 is given no environment to read.
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
"""Connect timeout in seconds, TLS included."""
READ_TIMEOUT = 60.0
"""Stall timeout in seconds: the longest wait for the next bytes of a response, or for a request's to be accepted."""
CONNECTIONS = 32
"""Connections kept open for the next request; further threads open new ones."""
BLOCK = 1 << 17
"""Bytes of a request's body that are passed to the socket at once."""

BROKEN = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
"""The errors of a failed connection; timeouts are among them as OSError."""


class _Connection(StallTimeoutConnection, HTTPConnection):
    # At a higher debug level, http.client prints every request with its token, and other code may set the level of the
    # base class.
    debuglevel = 0
    stall_timeout = READ_TIMEOUT


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def open_pool(url: str) -> HTTPConnectionPool:
    """Return a pool of connections to the server in a URL."""
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
    """Return a TLS context that verifies the certificate and host name with the system's certificate authorities.

    Not `ssl.create_default_context`, which writes session keys to the file that SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


class _Withhold(logging.Filter):
    """Drops records that show the URL of an upload, because anyone who knows it can write to the upload."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        return "upload_id" not in record.getMessage()


_WITHHELD = _Withhold()
