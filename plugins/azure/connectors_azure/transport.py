"""The HTTP transport of Azure's client: adds a stall timeout, and limits the size and form of responses."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpResponse
from requests.exceptions import RequestException
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.storage import StallTimeoutConnection

if TYPE_CHECKING:
    from requests import Response

__all__ = ["open_transport"]

CONNECT_TIMEOUT = 10
"""Connect timeout in seconds."""
READ_TIMEOUT = 60
"""Stall timeout in seconds: the longest wait for the next bytes of a response, or for a request's to be accepted."""
CONNECTIONS = 32
"""Connections kept open for the next request."""
MAX_RESPONSE = 64 << 20
"""Bytes in the largest response that is not a blob: a page of a listing has 5,000 blobs with 8 KiB of metadata each."""
MAX_ERROR = 1 << 20
"""Bytes in the largest error response."""
_PIECE = 1 << 16

_NUMBERS = {
    "Content-Length": re.compile(r"[0-9]{1,18}"),
    "Content-Range": re.compile(r"bytes (?:\*|[0-9]{1,18}-(?:-1|[0-9]{1,18}))/[0-9]{1,18}"),
}


class _Connection(StallTimeoutConnection, HTTPConnection):
    # At a higher debug level, http.client prints every request with its signature, and other code may set the level of
    # the base class.
    debuglevel = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stall_timeout = READ_TIMEOUT


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class TooManyRequests(ServiceResponseError):
    """A response with status 429: it is worth a retry, but Azure's own retry policy does not know it."""


class _Transport(RequestsTransport):  # type: ignore[misc]  # azure.core does not type it
    """Sends requests, and rejects responses with invalid numbers in their headers, which Azure's client cannot handle.

    A response that is not a blob's bytes is read only up to a limit.
    """

    def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        """Return the response to a request."""
        response = super().send(request, stream=True, **kwargs)
        for name, form in _NUMBERS.items():
            text = response.headers.get(name)
            if text is not None and not form.fullmatch(text):
                response.internal_response.close()
                message = f"the response has an invalid {name}"
                raise ServiceResponseError(message)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            response.internal_response.close()
            message = "too many requests"
            raise TooManyRequests(message)
        if not stream or response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            _read(response.internal_response)
            if isinstance(response, HttpResponse):
                response.read()
        elif response.headers.get("Content-Length") and response.headers.get("Transfer-Encoding"):
            # Transfer-Encoding would take precedence, and the body could have another length than Content-Length says.
            response.internal_response.close()
            message = "the response has both a Content-Length and a Transfer-Encoding"
            raise ServiceResponseError(message)
        return response


def _read(response: Response) -> None:
    """Read the body of a response up to its limit, and store it where the client looks for it."""
    body = bytearray()
    limit = MAX_RESPONSE if response.status_code < HTTPStatus.MULTIPLE_CHOICES else MAX_ERROR
    try:
        for piece in response.iter_content(_PIECE):
            body += piece
            if len(body) > limit:
                response.close()
                body.clear()  # the error keeps this frame alive until the last attempt has failed
                message = "the response is too large"
                raise ServiceResponseError(message)
    except RequestException as error:
        raise ServiceResponseError(error, error=error) from error
    response._content = bytes(body)  # noqa: SLF001 - where requests itself stores it


def open_transport(*, use_environment: bool) -> RequestsTransport:
    """Return an open transport.

    Args:
        use_environment: use the proxies, CA bundles and ~/.netrc of the environment.
    """
    transport = _Transport(
        connection_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, use_env_settings=use_environment
    )
    transport.open()
    session: Any = transport.session  # requests is untyped
    # requests parses the target of a redirect even if it does not follow it, and fails on an invalid one.
    session.get_redirect_target = lambda _: None
    for prefix in ("https://", "http://"):
        adapter = session.get_adapter(prefix)
        adapter.init_poolmanager(connections=CONNECTIONS, maxsize=CONNECTIONS)
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return transport
