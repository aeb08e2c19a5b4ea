"""HTTP connections that are given up when they are silent, or as good as silent, and not when they are merely slow."""

from __future__ import annotations

import http.client
import io
import time
from typing import TYPE_CHECKING, Any

from connectors.storage.retry import MIN_PROGRESS

if TYPE_CHECKING:
    import socket

__all__ = ["MAX_RESPONSE_HEADS", "StallTimeoutConnection", "StallTimeoutFile"]

MAX_RESPONSE_HEADS = 100
"""Heads of one answer: a server may say ``100 Continue`` before it answers, and could say nothing else for ever."""


class StallTimeoutFile(io.RawIOBase):
    """What comes over a socket, as long as it keeps coming: dripping is as good as silence, and as bad.

    A socket's own timeout begins anew with every byte. Here, `MIN_PROGRESS` bytes must not be waited for twice as
    long as that. Time in which nobody reads does not count.

    Args:
        sock: the socket, with its timeout.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._limit = None if timeout is None else 2 * timeout
        self._waited = 0.0
        self._came = 0

    def makefile(self, mode: str = "rb") -> io.BufferedReader:  # noqa: ARG002 - called as a socket's
        """Return itself, buffered: what `http.client` asks a socket for."""
        return _Lines(self)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        """Put what comes next into a buffer.

        Raises:
            TimeoutError: too little came for too long.
        """
        before = time.monotonic()
        try:
            size = self._raw.readinto(buffer)
        except ConnectionError:
            size = 0  # as if it had ended in good order: what has come before counts, and is seen to be too little
        self._waited += time.monotonic() - before
        self._came += size or 0
        if self._came >= MIN_PROGRESS:
            self._waited, self._came = 0.0, 0
        elif self._limit is not None and self._waited > self._limit:
            message = "stalled: too few bytes arrived"
            raise TimeoutError(message)
        return size

    def close(self) -> None:
        """Close the file, and with its last one a socket that was closed before."""
        if not self.closed:
            self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """A buffered file whose lines end, and whose heads do.

    `http.client` takes the end of a connection for that of a head, and what a cut has left of ``Content-Length: 4096``
    for what the server said; and it waits for an answer through any number of ``100 Continue``.
    """

    def __init__(self, raw: StallTimeoutFile) -> None:
        super().__init__(raw)
        self._heads = 0

    def readline(self, size: int | None = -1) -> bytes:
        """Return the next line.

        Raises:
            RemoteDisconnected: the connection ends before the line does, or the answer never gets to its own head.
        """
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            message = "the connection closed in the middle of the response headers"
            raise http.client.RemoteDisconnected(message)
        self._heads += line.startswith(b"HTTP/")
        if self._heads > MAX_RESPONSE_HEADS:
            message = "an answer that only ever begins"
            raise http.client.RemoteDisconnected(message)
        return line


class StallTimeoutConnection(http.client.HTTPConnection):
    """A connection on which silence counts, and not the time that it takes; it stands before a library's own class.

    Attributes:
        silence: seconds without a byte of an answer, or until a block of a request is taken, until it is given up.
    """

    silence = 60.0

    def connect(self) -> None:
        """Connect; the time for that is over then."""
        super().connect()
        self._be_patient()

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        """Begin a request."""
        self._be_patient()
        super().putrequest(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Send bytes block by block: a socket's timeout is for all that it is given at once."""
        if isinstance(data, bytes) and len(data) > MIN_PROGRESS:
            view = memoryview(data)
            for start in range(0, len(data), MIN_PROGRESS):
                super().send(view[start : start + MIN_PROGRESS])
        else:
            super().send(data)

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        """Make an answer, as `http.client` calls it, that does not drip."""
        return http.client.HTTPResponse(StallTimeoutFile(sock), *args, **kwargs)  # type: ignore[arg-type]

    def _be_patient(self) -> None:
        # urllib3 sends requests under the connect timeout, which is no time for a slow line to take a piece of one.
        if self.sock is not None:
            self.sock.settimeout(self.silence)
