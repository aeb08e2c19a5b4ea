"""HTTP connections with a stall timeout: slow transfers go on, stalled ones end."""

from __future__ import annotations

import contextlib
import http.client
import re
import select
import socket
import ssl
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from connectors.storage.http.incoming import Incoming, IncomingResponse
from connectors.storage.retry import MIN_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Connection", "TlsConnection", "is_readable"]

_MAX_LOOK = 1 << 12
"""Limit of bytes of a response that are looked at while a body is sent."""
_GO_ON = (b"HTTP/1.1 1", b"HTTP/1.0 1")
"""The starts of responses such as ``100 Continue``, which another one follows."""
_INTERIM = re.compile(rb"\A(?:HTTP/1\.[01] 1[^\r\n]*+\r?\n(?:[^\r\n]++\r?\n)*+\r?\n)+")
"""Whole ones."""


class Connection(http.client.HTTPConnection):
    """A connection with a stall timeout instead of a total timeout.

    It sends a request's head together with the first bytes of its body: if the sender dies between the two, some
    servers take the body for empty and replace the object with nothing.

    Attributes:
        stall_timeout: seconds to wait for a byte of a response, or to send a block of a request.
        patience: seconds in which a response must come, however slowly; None for the rule of `StallTimeoutFile`.
        idle_since: when its last response ended, by `time.monotonic`.
    """

    # At a higher debug level, http.client prints every request, and other code may set the level of the base class.
    debuglevel = 0
    stall_timeout = 60.0
    patience: float | None = None
    idle_since = 0.0
    _incoming: tuple[socket.socket, Incoming] | None = None
    _holding = _has_body = False
    _head = b""
    _early = b""  # of a response that began while the request was sent

    def connect(self) -> None:
        """Connect, then switch from the connect timeout to the stall timeout."""
        super().connect()
        self.sock.settimeout(self.stall_timeout)

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None
    ) -> IncomingResponse:
        """Return a response that is read with the stall timeout."""
        if self._incoming is None or self._incoming[0] is not sock:  # a proxy's tunnel has two, the second with TLS
            self._incoming = (sock, Incoming(sock))
        incoming = self._incoming[1]
        early, self._early = self._early, b""
        incoming.begin(self.patience, early)
        return IncomingResponse(incoming, debuglevel, method)

    @property
    def has_surplus(self) -> bool:
        """Whether more bytes arrived than the last response had."""
        return self._incoming is not None and self._incoming[1].surplus

    def close(self) -> None:
        """Close the connection; a response of it cannot be read any more."""
        super().close()
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming[1].release()

    def transmit(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: Iterable[bytes | memoryview] | None
    ) -> IncomingResponse:
        """Send a request and return the response, its body unread.

        Args:
            method: such as GET.
            target: what the request line holds, as it is sent.
            headers: all headers, with Host and Content-Length.
            body: its blocks, or None.

        Raises:
            OSError, http.client.HTTPException: the connection failed, or the response is not HTTP. Their texts may
                hold the target.
        """
        self.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self.putheader(name, value)
        self._head, self._holding, self._has_body = b"", body is not None, body is not None
        self.endheaders()
        self._holding, self._early, broken = False, b"", False
        try:
            for block in body or ():
                self.send(block)
            if self._head:  # the body was empty
                self.send(b"")
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            broken = True  # handled below: an interrupt here would have this error, and what was sent, as its context
        if body is not None:
            self.sock.settimeout(self.stall_timeout)
        return self._early_response() if broken else self._response()

    def _early_response(self) -> IncomingResponse:
        """Return the response of a server that does not read the whole body, if it is not a success."""
        try:
            response = self._response()
            if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                response.is_last = True  # the server would take another request for the rest of the body
                return response
            response.close()
        except OSError:
            pass
        message = "the connection broke while the request was sent"
        raise ConnectionResetError(message)

    def interrupt(self) -> None:
        """Wake a thread that waits for this connection: nothing more arrives on it. Safe in any thread."""
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):  # it is already closed
                # Not SSLSocket's own method, which would let the other thread read without TLS.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _response(self) -> IncomingResponse:
        return cast("IncomingResponse", self.getresponse())  # it is what response_class returns

    def send(self, data: Any) -> None:
        """Send bytes; the head of a request with a body is held back until the body starts."""
        if self._holding:
            self._holding, self._head = False, bytes(data)
            return
        head, self._head = self._head, b""
        if head:
            self._put(head + bytes(data[:MIN_PROGRESS]))
            data = data[MIN_PROGRESS:]
        if self._has_body:
            self._put(data)
        else:
            super().send(data)

    def _put(self, data: bytes | memoryview) -> None:
        """Send bytes of a request with a body.

        Raises:
            ConnectionResetError: the server responds, and takes no more of them.
            TimeoutError: it does not take a block within the stall timeout.
        """
        self.sock.settimeout(0)
        view = memoryview(data).cast("B")
        while view:
            block, view = view[:MIN_PROGRESS], view[MIN_PROGRESS:]
            since = time.monotonic()
            while block:
                try:
                    block = block[self.sock.send(block) :]
                except (BlockingIOError, ssl.SSLWantWriteError):
                    self._await(select.POLLIN | select.POLLOUT, since)
                except ssl.SSLWantReadError:
                    self._await(select.POLLIN, since)

    def _await(self, events: int, since: float) -> None:
        """Wait until a block can go on; look for a response if it cannot."""
        left = since + self.stall_timeout - time.monotonic()
        poll = select.poll()
        poll.register(self.sock, events)
        found = poll.poll(left * 1000) if left > 0 else []
        if not found:
            message = "the request was not accepted"
            raise TimeoutError(message)
        if found[0][1] & (select.POLLIN | select.POLLOUT) == select.POLLIN:
            self._look()

    def _look(self) -> None:
        """Read what has arrived; it may be no response, but one that goes on, or a record of TLS itself."""
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            arrived = self.sock.recv(_MAX_LOOK)
            self._early = _INTERIM.sub(b"", self._early + arrived)
            starts = len(self._early) >= len(b"HTTP/1.1 1") and not self._early.startswith(_GO_ON)
            if starts or len(self._early) > _MAX_LOOK or not arrived:
                message = "the server does not read the whole request"
                raise ConnectionResetError(message)


def is_readable(sock: socket.socket | None) -> bool:
    """Return whether something has arrived on a connection, or its end."""
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0)) or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)


class TlsConnection(Connection, http.client.HTTPSConnection):
    """The same connection over TLS."""
