"""HTTP connections with a stall timeout: slow transfers go on, stalled ones end."""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import select
import socket
import ssl
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from connectors.storage.retry import MIN_PROGRESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import WriteableBuffer

__all__ = [
    "MAX_RESPONSE_HEADS",
    "Connection",
    "StallTimeoutConnection",
    "StallTimeoutFile",
    "TlsConnection",
    "is_readable",
]

_MAX_LINES = 10_000
"""Limit of lines without bytes of a body between them: headers, and the trailers of a chunked body."""
_MAX_LOOK = 1 << 12
"""Limit of bytes of a response that are looked at while a body is sent."""
_GO_ON = (b"HTTP/1.1 1", b"HTTP/1.0 1")
"""The starts of responses such as ``100 Continue``, which another one follows."""
_INTERIM = re.compile(rb"\A(?:HTTP/1\.[01] 1[^\r\n]*+\r\n(?:[^\r\n]++\r\n)*+\r\n)+")
"""Whole ones."""
MAX_RESPONSE_HEADS = 100
"""Limit of status lines per response: a server could send ``100 Continue`` forever."""


class StallTimeoutFile(io.RawIOBase):
    """Reads from a socket with a stall timeout; a slow drip is treated as a stall.

    A socket's own timeout restarts with every byte. Here, `MIN_PROGRESS` bytes must arrive within twice that time.
    Time in which the caller does not read is not counted.

    Args:
        sock: the socket, with its timeout.
        patience: seconds in which `MIN_PROGRESS` bytes must arrive, if not twice that time.
        early: bytes that have been read from the socket already.

    Attributes:
        surplus: whether more bytes arrived than the response had.
    """

    surplus = False

    def __init__(self, sock: socket.socket, patience: float | None = None, early: bytes = b"") -> None:
        self._early = early
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._limit = patience or (None if timeout is None else 2 * timeout)
        self._ended = False
        self._waited = 0.0
        self._received = 0

    def makefile(self, mode: str = "rb") -> io.BufferedReader:  # noqa: ARG002 - a socket's signature
        """Return this file, buffered, as `http.client` expects it from a socket."""
        return _Lines(self)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        """Read available bytes into a buffer.

        Raises:
            TimeoutError: the transfer has stalled.
        """
        if self._ended:
            return 0
        if self._early:
            early, self._early = self._early[: len(buffer)], self._early[len(buffer) :]
            buffer[: len(early)] = early
            return len(early)
        before = time.monotonic()
        try:
            size = self._raw.readinto(buffer)
        except ConnectionError:
            size = 0  # treated as the end: the bytes so far are kept, and the caller notices the short body
        self._waited += time.monotonic() - before
        self._received += size or 0
        if self._received >= MIN_PROGRESS:
            self._waited, self._received = 0.0, 0
        elif self._limit is not None and self._waited > self._limit:
            message = "stalled: too few bytes arrived"
            raise TimeoutError(message)
        return size

    def end(self) -> None:
        """Read nothing more from the socket."""
        self._ended = True

    def close(self) -> None:
        """Close the file; the socket closes with its last file."""
        if not self.closed:
            self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """A buffered file that rejects incomplete header lines and endless ``100 Continue`` responses.

    `http.client` accepts headers that the end of the connection cuts off, even in the middle of
    ``Content-Length: 4096``, and skips any number of ``100 Continue`` responses.
    """

    def __init__(self, raw: StallTimeoutFile) -> None:
        super().__init__(raw)
        self._file = raw
        self._heads = self._lines = 0

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read bytes of a body."""
        self._lines = 0
        return super().readinto(buffer)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes of a body."""
        self._lines = 0
        return super().read(size)

    def close(self) -> None:
        """Close the file; what it has read beyond the response must not be taken for the next one."""
        if not self.closed:
            self._file.end()
            self._file.surplus = bool(self.peek(1))
        super().close()

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line.

        Raises:
            RemoteDisconnected: the connection ends within the line, or there are too many responses.
        """
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            message = "the connection closed in the middle of the response headers"
            raise http.client.RemoteDisconnected(message)
        self._heads += line.startswith(b"HTTP/")
        self._lines += 1
        if self._heads > MAX_RESPONSE_HEADS or self._lines > _MAX_LINES:
            message = "too many `100 Continue` responses or lines"
            raise http.client.RemoteDisconnected(message)
        return line


class StallTimeoutConnection(http.client.HTTPConnection):
    """A connection with a stall timeout instead of a total timeout.

    Attributes:
        stall_timeout: seconds to wait for a byte of a response, or to send a block of a request.
    """

    stall_timeout = 60.0
    patience: float | None = None
    _file: StallTimeoutFile | None = None
    _early = b""

    def connect(self) -> None:
        """Connect, then switch from the connect timeout to the stall timeout."""
        super().connect()
        self._set_stall_timeout()

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        """Start a request."""
        self._set_stall_timeout()
        super().putrequest(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Send bytes in blocks, because a socket's timeout applies to each call as a whole."""
        if isinstance(data, bytes | memoryview) and len(data) > MIN_PROGRESS:
            view = memoryview(data).cast("B")
            for start in range(0, len(data), MIN_PROGRESS):
                super().send(view[start : start + MIN_PROGRESS])
        else:
            super().send(data)

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        """Return a response that is read with the stall timeout."""
        early, self._early = self._early, b""
        self._file = StallTimeoutFile(sock, self.patience, early)
        return http.client.HTTPResponse(self._file, *args, **kwargs)  # type: ignore[arg-type]

    @property
    def has_surplus(self) -> bool:
        """Whether more bytes arrived than the last response had."""
        return self._file is not None and self._file.surplus

    def _set_stall_timeout(self) -> None:
        # urllib3 sends requests with the connect timeout, which is too short for a block on a slow line.
        if self.sock is not None:
            self.sock.settimeout(self.stall_timeout)


class Connection(StallTimeoutConnection):
    """A connection that sends a request's head together with the first bytes of its body.

    If the sender dies between the two, some servers take the body for empty and replace the object with nothing.

    Attributes:
        idle_since: when its last response ended, by `time.monotonic`.
    """

    # At a higher debug level, http.client prints every request, and other code may set the level of the base class.
    debuglevel = 0
    idle_since = 0.0

    def transmit(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: Iterable[bytes | memoryview] | None
    ) -> http.client.HTTPResponse:
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
        self._has_body = body is not None
        self.endheaders()
        self._holding = False
        self._early, broken = b"", False
        try:
            for block in body or ():
                self.send(block)
            if self._head:  # the body was empty
                self.send(b"")
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            broken = True  # handled below: an interrupt here would have this error, and what was sent, as its context
        self._set_stall_timeout()
        return self._early_response() if broken else self.getresponse()

    def _early_response(self) -> http.client.HTTPResponse:
        """Return the response of a server that does not read the whole body, if it is not a success."""
        try:
            response = self.getresponse()
            if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                response.will_close = True  # the server would take another request for the rest of the body
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

    _holding = False
    _head = b""

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

    _has_body = False

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
        poll = select.poll()
        poll.register(self.sock, events)
        found = poll.poll(max(0.0, since + self.stall_timeout - time.monotonic()) * 1000)
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
