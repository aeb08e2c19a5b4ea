"""aiobotocore's HTTP, without what an answer could make of it: a redirect followed, or all memory used."""

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
"""What S3 says with each redirect: where the bucket is."""

_NO_THREAD = ("can't start new thread", "cannot schedule new futures")
"""What Python says at the limit, and once the interpreter is ending."""

MOST_TOLD = 16 << 20
"""Bytes in the largest answer that is no object's: a page of a listing tells of 1,000 keys of 1,024 bytes; and
MOST_SAID, of one that is an error."""
MOST_SAID = 1 << 20


class Transport(AIOHTTPSession):
    """Requests as aiobotocore makes them.

    A redirect is not followed: it would hand the session's token, and what is written, to whomever it names. botocore
    has a way of its own to find a bucket that lies elsewhere, which signs anew and stays with AWS or the endpoint.
    """

    async def send(self, request: Any) -> Any:
        """Send a request.

        Raises:
            MachineFailed: to connect takes a thread, and there is none. botocore would try again, with pauses, and keep
                a program waiting that is ending, in which there will be none.
        """
        try:
            return await super().send(request)
        except HTTPClientError as error:
            cause = error.kwargs.get("error")
            if not (isinstance(cause, RuntimeError) and str(cause).startswith(_NO_THREAD)):
                raise
        message = "there is no thread to connect to S3 with: the program is ending, or the limit is reached (ulimit -u)"
        raise MachineFailed(message)

    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        session._response_class = _Answer  # noqa: SLF001 - aiobotocore has no argument for it
        return _Unredirected(session)


class _Unredirected:
    """An HTTP session that answers redirects as they are."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **options: Any) -> ClientResponse:
        answer = await self._session.request(method, **{**options, "allow_redirects": False})
        if method == "HEAD" and answer.status in _REDIRECTS and _REGION not in answer.headers:
            # botocore would ask where the bucket is by a HEAD of it, whose redirect has it ask again, and so on.
            answer.status = HTTPStatus.BAD_REQUEST
        return answer


class _Answer(ClientResponse):
    """An answer that is read whole only if it is not too long: the bodies of objects are not read so."""

    async def start(self, connection: Any) -> ClientResponse:
        """Wait for the answer's head.

        Raises:
            ServerDisconnectedError: the server keeps saying ``100 Continue``; the connection is closed.
        """
        started = await super().start(_Counted(connection))  # type: ignore[arg-type]  # it does what a connection does
        if self._connection is not None:  # an answer without a body has let it go by now
            self._connection = connection
        return started

    async def read(self) -> bytes:
        """Return the body.

        Raises:
            ClientPayloadError: it is longer than any answer is; the connection is closed.
        """
        if self._body is None:
            try:
                self._body = await self._whole()
            except BaseException:
                self.close()
                raise
        return self._body

    async def _whole(self) -> bytes:
        body, most = bytearray(), MOST_TOLD if self.status < HTTPStatus.MULTIPLE_CHOICES else MOST_SAID
        async for piece in self.content.iter_any():
            body += piece
            if len(body) > most:
                body.clear()  # the error holds on to what is here until all tries have failed
                message = "an answer without end"
                raise ClientPayloadError(message)
        return bytes(body)


class _Counted:
    """A connection, or its protocol, that gives up when too many heads are read."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._heads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def protocol(self) -> Any:
        """The connection's protocol."""
        return _Counted(self._inner.protocol)

    async def read(self) -> Any:
        """Read a head, and what is behind it."""
        self._heads += 1
        if self._heads > MAX_RESPONSE_HEADS:
            message = "an answer that only ever begins"
            raise ServerDisconnectedError(message)
        return await self._inner.read()
