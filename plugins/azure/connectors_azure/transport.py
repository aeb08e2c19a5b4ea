"""The HTTP below Azure's client: connections with a stall timeout, and responses of a sensible size and form."""

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
"""Seconds to connect in."""
READ_TIMEOUT = 60
"""Seconds without a byte until a request has failed."""
CONNECTIONS = 32
"""Connections that are kept."""
MOST_TOLD = 64 << 20
"""Bytes in the largest answer that is no blob's: a page of a listing tells of 5,000 blobs with 8 KiB of metadata; and
MOST_SAID, of one that is an error."""
MOST_SAID = 1 << 20
_PIECE = 1 << 16

_NUMBERS = {
    "Content-Length": re.compile(r"[0-9]{1,18}"),
    "Content-Range": re.compile(r"bytes (?:\*|[0-9]{1,18}-(?:-1|[0-9]{1,18}))/[0-9]{1,18}"),
}


class _Connection(StallTimeoutConnection, HTTPConnection):
    # http.client prints every request, signature and all, while its debug level is up, and a level set on its class is
    # everybody's.
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
    """A status that is worth another try, and that the client's own retries do not know."""


class _Transport(RequestsTransport):  # type: ignore[misc]  # azure.core gives it without its type
    """Sends requests, and lets go at once of answers whose numbers are none: what comes after would trip over them.

    Of an answer that is no blob's bytes only so much is read as a sensible one has.
    """

    def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        """Return the answer to a request."""
        answer = super().send(request, stream=True, **kwargs)
        for name, form in _NUMBERS.items():
            text = answer.headers.get(name)
            if text is not None and not form.fullmatch(text):
                answer.internal_response.close()
                message = f"an answer with a {name} that is none"
                raise ServiceResponseError(message)
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            answer.internal_response.close()
            message = "too many requests"
            raise TooManyRequests(message)
        if not stream or answer.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            _read(answer.internal_response)
            if isinstance(answer, HttpResponse):
                answer.read()
        elif answer.headers.get("Content-Length") and answer.headers.get("Transfer-Encoding"):
            # The second would win, and end nowhere near the first.
            answer.internal_response.close()
            message = "an answer with two lengths"
            raise ServiceResponseError(message)
        return answer


def _read(answer: Response) -> None:
    """Read an answer's body, as the client asks for it later."""
    body, most = bytearray(), MOST_TOLD if answer.status_code < HTTPStatus.MULTIPLE_CHOICES else MOST_SAID
    try:
        for piece in answer.iter_content(_PIECE):
            body += piece
            if len(body) > most:
                answer.close()
                body.clear()  # the error holds on to what is here until all tries have failed
                message = "an answer without end"
                raise ServiceResponseError(message)
    except RequestException as error:
        raise ServiceResponseError(error, error=error) from error
    answer._content = bytes(body)  # noqa: SLF001 - where requests itself keeps it


def open_transport(*, use_environment: bool) -> RequestsTransport:
    """Return what sends requests.

    Args:
        use_environment: take proxies, CA bundles and ~/.netrc from the environment.
    """
    transport = _Transport(
        connection_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, use_env_settings=use_environment
    )
    transport.open()
    session: Any = transport.session  # requests has no types
    # It would look at where a redirect leads though it is not to follow it, and trip over what is no place.
    session.get_redirect_target = lambda _: None
    for prefix in ("https://", "http://"):
        adapter = session.get_adapter(prefix)
        adapter.init_poolmanager(connections=CONNECTIONS, maxsize=CONNECTIONS)
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return transport
