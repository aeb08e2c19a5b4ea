"""What arrives on a connection: bytes with a stall timeout, the head of a response, its body.

The head is parsed here, not by `http.client`: that takes a quarter of the time of a small request, and it accepts heads
that the end of the connection cuts off, any number of ``100 Continue`` responses, and lines that proxies read in other
ways. Bodies are read by `http.client`.
"""

from __future__ import annotations

import http.client
import io
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from connectors.storage.retry import MIN_PROGRESS

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator

    from _typeshed import WriteableBuffer

__all__ = ["MAX_RESPONSE_HEADS", "HeaderFields", "Incoming", "IncomingResponse", "StallTimeoutFile"]

MAX_RESPONSE_HEADS = 100
"""Limit of heads per response: a server could send ``100 Continue`` forever."""
_MAX_LINE = 1 << 16
"""Limit of bytes in a line of a head."""
_MAX_HEADERS = 100
_MAX_LINES = 10_000
"""Limit of lines without bytes of a body between them: those around chunks, and the trailers."""
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*\r?\n")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class StallTimeoutFile(io.RawIOBase):
    """Reads from a socket with a stall timeout; a slow drip is treated as a stall.

    A socket's own timeout restarts with every byte. Here, `MIN_PROGRESS` bytes must arrive within twice that time.
    Time in which the caller does not read is not counted.

    Args:
        sock: the socket, with its timeout.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reference = sock.makefile("rb", buffering=0)  # the socket stays open until its last file is closed
        self.begin(None)

    def begin(self, patience: float | None, early: bytes = b"") -> None:
        """Expect a response.

        Args:
            patience: seconds in which `MIN_PROGRESS` bytes must arrive, if not twice the socket's timeout.
            early: bytes of it that have been read from the socket already.
        """
        self._early = early
        timeout = self._sock.gettimeout()
        self._limit = patience or (None if timeout is None else 2 * timeout)
        self._ended = False
        self._waited = 0.0
        self._received = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
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
            size = self._sock.recv_into(buffer)
        except ConnectionError:
            size = 0  # treated as the end: the bytes so far are kept, and the caller notices the short body
        self._waited += time.monotonic() - before
        self._received += size
        if self._received >= MIN_PROGRESS:
            self._waited, self._received = 0.0, 0
        elif self._limit is not None and self._waited > self._limit:
            message = "stalled: too few bytes arrived"
            raise TimeoutError(message)
        return size

    def end(self) -> None:
        """Read nothing more from the socket, until the next response is expected."""
        self._ended = True

    def close(self) -> None:
        """Close the file; the socket closes with its last file."""
        if not self.closed:
            self._reference.close()
        super().close()


class Incoming(io.BufferedReader):
    """The responses that arrive on one socket, one after the other; `http.client` takes it for a socket's file.

    Attributes:
        surplus: whether more bytes arrived than the last response had: they must not be taken for the next one.
    """

    surplus = False

    def __init__(self, sock: socket.socket) -> None:
        self._file = StallTimeoutFile(sock)
        super().__init__(self._file)
        self._lines = 0

    def begin(self, patience: float | None, early: bytes = b"") -> None:
        """Expect a response, as `StallTimeoutFile.begin` does."""
        self._file.begin(patience, early)
        self._lines = 0

    def makefile(self, mode: str = "rb") -> Incoming:  # noqa: ARG002 - a socket's signature
        """Return this file, as `http.client` expects it from a socket."""
        return self

    def head(self) -> list[bytes]:
        """Return the lines of a head, without the empty one at its end.

        Raises:
            HTTPException: the connection ends before that, or the head is too long.
        """
        lines: list[bytes] = []
        while len(lines) <= _MAX_HEADERS + 1:
            line = super().readline(_MAX_LINE)
            if line in (b"\r\n", b"\n"):
                return lines
            if not line.endswith(b"\n"):
                message = "the head of the response is cut off, or has too long a line"
                raise http.client.RemoteDisconnected(message)
            lines.append(line)
        message = "the head of the response has too many lines"
        raise http.client.HTTPException(message)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line of a body in chunks, or of a proxy's response.

        Raises:
            RemoteDisconnected: the connection ends within the line, or there are too many lines.
        """
        line = super().readline(size)
        self._lines += 1
        if self._lines > _MAX_LINES or (not line.endswith(b"\n") and len(line) != size):
            message = "the connection closed in the middle of a line, or there are too many lines"
            raise http.client.RemoteDisconnected(message)
        return line

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read bytes of a body."""
        self._lines = 0
        return super().readinto(buffer)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes of a body."""
        self._lines = 0
        return super().read(size)

    def close(self) -> None:
        """End the response, not the file."""
        if not self.closed:
            self._file.end()
            self.surplus = bool(self.peek(1))

    def release(self) -> None:
        """Close the file."""
        super().close()


class HeaderFields(Mapping[str, str]):
    """The headers of a response: the first of each name, in any case.

    Args:
        pairs: the names and values, in their order.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def all(self, name: str) -> list[str]:
        """Return the values of all headers of a name."""
        return self._values.get(name.lower(), [])


class IncomingResponse(http.client.HTTPResponse):
    """A response whose head is read strictly, and whose end is certain: else a proxy could see another one.

    Attributes:
        is_last: whether the server sends nothing after it.
    """

    headers: HeaderFields  # type: ignore[assignment]  # http.client's own are slower
    is_last = True

    def __init__(self, incoming: Incoming, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(incoming, debuglevel, method)  # type: ignore[arg-type]  # what it needs of a socket
        self._incoming = incoming
        self._bodiless = method == "HEAD"

    def begin(self) -> None:
        """Read the head.

        Raises:
            OSError, HTTPException: the connection failed, or this is no head. The text holds nothing of it.
        """
        status, version, lines = int(HTTPStatus.CONTINUE), b"", [b""]
        for _ in range(MAX_RESPONSE_HEADS):
            lines = self._incoming.head() or [b""]
            matched = _STATUS.fullmatch(lines[0])
            if matched is None:
                message = "the response does not begin with a status of HTTP/1"
                raise http.client.HTTPException(message)
            version, status = matched[1], int(matched[2])
            if status != HTTPStatus.CONTINUE:
                break
        if status < HTTPStatus.OK:
            message = "the response has an informational status"
            raise http.client.HTTPException(message)
        self.status = status
        self.headers = _fields(lines[1:])
        self._find_end(keeps_alive=version == b"1")

    def flush(self) -> None:
        """Do nothing: nothing is written, and the connection may be closed already."""

    def _find_end(self, *, keeps_alive: bool) -> None:
        """Find out where the body ends, and whether the connection does with it.

        Args:
            keeps_alive: whether connections stay open unless the server says otherwise: from HTTP/1.1 on.
        """
        lengths = set(self.headers.all("content-length"))
        coding = self.headers.get("transfer-encoding")
        certain = len(lengths) <= 1 and not (lengths and coding) and all(map(_LENGTH.fullmatch, lengths))
        if not certain or (coding is not None and coding.lower() != "chunked"):
            message = "the response has no certain length"
            raise http.client.HTTPException(message)
        self.chunked = coding is not None
        self.chunk_left = None
        self.length = int(lengths.pop()) if lengths else None
        if self._bodiless or self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.length, self.chunked = 0, False
        said = (self.headers.get("connection") or "").lower()
        stays = "close" not in said and (keeps_alive or "keep-alive" in said)
        self.is_last = not stays or (self.length is None and not self.chunked)
        # http.client would close a connection after its last response before the body is read.
        self.will_close = False


def _fields(lines: list[bytes]) -> HeaderFields:
    """Return the headers in the lines of a head.

    Raises:
        HTTPException: a line is none. Continued lines (RFC 9112, 5.2) are refused too: readers differ in them.
    """
    pairs = []
    for line in lines:
        matched = _HEADER.fullmatch(line)
        if matched is None:
            message = "the response has a line that is no header"
            raise http.client.HTTPException(message)
        pairs.append((matched[1].decode("ascii"), matched[2].decode("latin-1")))
    return HeaderFields(pairs)
