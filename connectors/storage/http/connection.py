"""HTTP connections with a stall timeout: slow transfers go on, stalled ones end."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

from connectors.storage.http.incoming import Incoming, IncomingResponse
from connectors.storage.retry import MIN_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Connection", "TlsConnection", "is_readable"]


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
    _holding = False
    _head = b""

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
        incoming.begin(self.patience)
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
        self._head, self._holding = b"", body is not None
        self.endheaders()
        self._holding = False
        try:
            for block in body or ():
                self.send(block)
            if self._head:  # the body was empty
                self.send(b"")
        except (BrokenPipeError, ConnectionResetError, TimeoutError) as error:
            late = isinstance(error, TimeoutError)
        else:
            return self._response()
        if not late or is_readable(self.sock):
            return self._early_response()
        message = "the request was not accepted"
        raise TimeoutError(message)

    def _early_response(self) -> IncomingResponse:
        """Return the response of a server that closed the connection without reading the whole body."""
        try:
            return self._response()
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
        """Send bytes in blocks, because a socket's timeout applies to each call as a whole.

        The head of a request with a body is held back until the body starts.
        """
        if self._holding:
            self._holding, self._head = False, bytes(data)
            return
        head, self._head = self._head, b""
        if head:
            super().send(head + bytes(data[:MIN_PROGRESS]))
            data = data[MIN_PROGRESS:]
            if not data:
                return
        if len(data) <= MIN_PROGRESS:
            super().send(data)
            return
        view = memoryview(data).cast("B")
        for start in range(0, len(view), MIN_PROGRESS):
            super().send(view[start : start + MIN_PROGRESS])


def is_readable(sock: socket.socket | None) -> bool:
    """Return whether something has arrived on a connection, or its end."""
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0)) or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)


class TlsConnection(Connection, http.client.HTTPSConnection):
    """The same connection over TLS."""
