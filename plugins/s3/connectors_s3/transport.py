"""aiobotocore's HTTP transport, without redirects and with limits on the size of responses."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import ClientPayloadError, ClientResponse, ServerDisconnectedError
from botocore.exceptions import HTTPClientError

from connectors.errors import MachineFailed
from connectors.storage import MAX_RESPONSE_HEADS
from connectors_s3.s3fs_types import AIOHTTPSession

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Transport"]

_REDIRECTS = (301, 302, 307, 308)
_REGION = "x-amz-bucket-region"
"""The header in which S3 names the bucket's region, in each redirect."""

_NO_THREAD = ("can't start new thread", "cannot schedule new futures")
"""The starts of Python's messages at the limit on threads, and during interpreter exit."""

MAX_RESPONSE = 16 << 20
"""Bytes in the largest response that is not an object; a page of a listing has 1,000 keys of up to 1,024 bytes."""
MAX_ERROR = 1 << 20
"""Bytes in the largest error response."""


class Transport(AIOHTTPSession):
    """Sends requests for aiobotocore.

    It does not follow redirects: that would send the session token, and the bytes that are written, to any host that
    a redirect names. botocore itself finds a bucket in another region: it signs the request again, and sends it only
    to AWS or the endpoint.
    """

    async def send(self, request: Any) -> Any:
        """Send a request.

        Raises:
            MachineFailed: connecting needs a thread, and none can be started. botocore would retry with backoff, and
                so delay a program that is exiting, in which no thread can ever be started again.
        """
        try:
            return await super().send(request)
        except HTTPClientError as error:
            cause = error.kwargs.get("error")
            if not (isinstance(cause, RuntimeError) and str(cause).startswith(_NO_THREAD)):
                raise
        message = (
            "no thread can be started to connect to S3: the program is exiting, or the limit on threads is reached "
            "(ulimit -u)"
        )
        raise MachineFailed(message)

    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        session._response_class = _Response  # noqa: SLF001 - aiobotocore has no argument for it
        return _NoRedirects(session)


class _NoRedirects:
    """An HTTP session that returns redirects instead of following them."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **options: Any) -> ClientResponse:
        response = await self._session.request(method, **{**options, "allow_redirects": False})
        if method == "HEAD" and response.status in _REDIRECTS and _REGION not in response.headers:
            # botocore would look for the bucket's region with a HEAD, look again because of its redirect, and so on.
            response.status = HTTPStatus.BAD_REQUEST
        return response


class _Response(ClientResponse):
    """A response with limits: on its size if it is read as a whole, which objects are not, and on its heads."""

    async def start(self, connection: Any) -> ClientResponse:
        """Wait for the response's head.

        Raises:
            ServerDisconnectedError: too many ``100 Continue`` responses; the connection is closed.
        """
        started = await super().start(_HeadCounter(connection))  # type: ignore[arg-type]  # it behaves like a connection
        if self._connection is not None:  # a response without a body has already released it
            self._connection = connection
        return started

    async def read(self) -> bytes:
        """Return the body.

        Raises:
            ClientPayloadError: the body is too large; the connection is closed.
        """
        if self._body is None:
            try:
                self._body = await self._read_limited()
            except BaseException:
                self.close()
                raise
        return self._body

    async def _read_limited(self) -> bytes:
        body, limit = bytearray(), MAX_RESPONSE if self.status < HTTPStatus.MULTIPLE_CHOICES else MAX_ERROR
        async for piece in self.content.iter_any():
            body += piece
            if len(body) > limit:
                body.clear()  # the error keeps this frame alive until all attempts have failed
                message = "the response is too large"
                raise ClientPayloadError(message)
        return bytes(body)


class _HeadCounter:
    """A connection, or its protocol, that fails after too many response heads."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._heads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def protocol(self) -> Any:
        """The connection's protocol."""
        return _HeadCounter(self._inner.protocol)

    async def read(self) -> Any:
        """Read a head and the body after it."""
        self._heads += 1
        if self._heads > MAX_RESPONSE_HEADS:
            message = "too many 100 Continue responses"
            raise ServerDisconnectedError(message)
        return await self._inner.read()
