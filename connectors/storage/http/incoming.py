"""What arrives on a connection: bytes with a stall timeout, the head of a response, its body.

Heads and bodies are read here, not by `http.client`: that takes a quarter of the time of a small request, accepts heads
that the end of the connection cuts off, any number of ``100 Continue`` responses, chunks of negative sizes and lines
that proxies read in other ways, and does not tell a body that broke off from a whole one.
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
_MAX_HEAD = 1 << 16
"""Limit of bytes in a head, and in the trailers of a body in chunks."""
_MAX_LINES = 101
"""Limit of lines in it: the status, and a hundred headers."""
_MAX_LINE = 1 << 12
"""Limit of bytes in the line that begins a chunk."""
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class StallTimeoutFile(io.RawIOBase):
    """Reads from a socket with a stall timeout; a slow drip is treated as a stall.

    A socket's own timeout restarts with every byte. Here, `MIN_PROGRESS` bytes must arrive within twice that time.
    Time in which the caller does not read is not counted.

    Args:
        sock: the socket, with its timeout.

    Attributes:
        broken: whether the connection broke, in place of being closed by the server.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.broken = False
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
            self.broken, size = (
                True,
                0,
            )  # treated as the end: the bytes so far are kept, and the caller notices the short body
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

    @property
    def broken(self) -> bool:
        """Whether the connection broke, in place of being closed by the server."""
        return self._file.broken

    def head(self) -> list[bytes]:
        """Return the lines of a head or of trailers, without the empty one at their end.

        Raises:
            HTTPException: the connection ends before that, or they are too long.
        """
        lines: list[bytes] = []
        left = _MAX_HEAD
        while len(lines) <= _MAX_LINES:
            line = super().readline(left)
            if line in (b"\r\n", b"\n"):
                return lines
            left -= len(line)
            if not line.endswith(b"\n") or not left:
                message = "the head of the response is cut off, or too long"
                raise http.client.RemoteDisconnected(message)
            lines.append(line)
        message = "the head of the response has too many lines"
        raise http.client.HTTPException(message)

    def chunk(self) -> int:
        """Return the size in bytes of the chunk that begins here, according to its first line; 0 for the last one.

        Raises:
            HTTPException: no chunk begins here.
        """
        matched = _CHUNK.fullmatch(super().readline(_MAX_LINE))
        if matched is None:
            message = "no chunk of the body begins where the one before it ends"
            raise http.client.HTTPException(message)
        return int(matched[1], 16)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line of a proxy's response, which `http.client` reads.

        Raises:
            RemoteDisconnected: the connection ends within the line, or there are too many lines.
        """
        line = super().readline(size)
        self._lines += 1
        if self._lines > _MAX_LINES or (not line.endswith(b"\n") and len(line) != size):
            message = "the connection closed in the middle of a line, or there are too many lines"
            raise http.client.RemoteDisconnected(message)
        return line

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
        is_whole: whether all of its body was read.
    """

    headers: HeaderFields  # type: ignore[assignment]  # http.client's own are slower
    is_last = True
    is_whole = False

    def __init__(self, incoming: Incoming, debuglevel: int = 0, method: str | None = None) -> None:
        super().__init__(incoming, debuglevel, method)  # type: ignore[arg-type]  # what it needs of a socket
        self._incoming = incoming
        self._bodiless = method == "HEAD"
        self._left = 0  # bytes of the present chunk
        self._first_chunk = True

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
        codings = [one.lower() for one in self.headers.all("transfer-encoding")]
        certain = len(lengths) <= 1 and not (lengths and codings) and all(map(_LENGTH.fullmatch, lengths))
        if not certain or codings not in ([], ["chunked"]):
            message = "the response has no certain length"
            raise http.client.HTTPException(message)
        self.chunked = bool(codings)
        self.length = int(lengths.pop()) if lengths else None
        if self._bodiless or self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.length, self.chunked = 0, False
        said = ",".join(self.headers.all("connection")).lower()
        stays = "close" not in said and (keeps_alive or ("keep-alive" in said and not codings))
        self.is_last = not stays or (self.length is None and not self.chunked)
        self.is_whole = self.length == 0
        # http.client would close a connection after its last response before the body is read.
        self.will_close = False

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read the next bytes of the body into a buffer; return how many: fewer than its size only at the end.

        Raises:
            OSError, HTTPException: the connection failed, or the body is invalid. A body that is shorter than its
                Content-Length is no error here: `is_whole` tells.
        """
        if self.isclosed():
            return 0
        view = memoryview(buffer).cast("B")
        if self.chunked:
            return self._read_chunks(view)
        if self.length is not None:
            view = view[: self.length]
        size = self._incoming.readinto(view) if view else 0
        if self.length is not None:
            self.length -= size
            self.is_whole = self.length == 0
        elif size < len(view):
            if self._incoming.broken:
                message = "the connection broke in the body"
                raise ConnectionResetError(message)
            self.is_whole = True
        if self.is_whole or size < len(view):
            self.close()
        return size

    def _read_chunks(self, view: memoryview) -> int:
        received = 0
        while received < len(view) and not self.is_whole:
            if not self._left:
                self._begin_chunk()
                continue
            wanted = min(self._left, len(view) - received)
            size = self._incoming.readinto(view[received : received + wanted])
            if size < wanted:
                message = "the body is cut off"
                raise http.client.HTTPException(message)
            received += size
            self._left -= size
        return received

    def _begin_chunk(self) -> None:
        if not self._first_chunk and self._incoming.read(2) != b"\r\n":
            message = "a chunk of the body does not end where it should"
            raise http.client.HTTPException(message)
        self._first_chunk = False
        self._left = self._incoming.chunk()
        if not self._left:
            self._incoming.head()  # the trailers
            self.is_whole = True
            self.close()


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
        pairs.append((matched[1].decode("ascii"), matched[2].strip(b" \t").decode("latin-1")))
    return HeaderFields(pairs)
