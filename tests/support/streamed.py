"""A source in memory that streams ranges, and counts them; its streams can be slow, fail, or wait until cancelled."""

from __future__ import annotations

import threading
from typing import Any

from patience import until
from sealing import Recorded

from connectors.errors import StorageUnavailable


class Streamed(Recorded):
    """A source that streams.

    Attributes:
        piece: the most bytes that a stream returns at once.
        streams: every stream that was opened.
        fails: errors, by the offset at which a stream raises them instead of going on.
        blocks_at: the offset at which streams wait until they are cancelled, or it is another one.
        wrong: what was done to a stream that its contract forbids.
    """

    def __init__(self, data: bytes, *, piece: int = 1 << 30, size: int | None = None) -> None:
        super().__init__(data, size=size)
        self.piece = piece
        self.streams: list[MemoryStream] = []
        self.fails: dict[int, Exception] = {}
        self.blocks_at: int | None = None
        self.blocked = threading.Event()
        self.wrong: list[str] = []

    def open_stream(self, start: int, stop: int) -> MemoryStream:
        stream = MemoryStream(self, start, stop)
        self.streams.append(stream)
        return stream

    @property
    def requests(self) -> list[tuple[int, int]]:
        """The ranges, and the streams that were read from."""
        return self.ranges + [(one.start, one.stop) for one in self.streams if one.requested]

    @property
    def unclosed(self) -> int:
        """The number of streams that are open."""
        return sum(not one.closed for one in self.streams)

    @property
    def end(self) -> int:
        """Where its bytes end, whatever it says."""
        return len(self.data)

    def copy(self, start: int, stop: int, buffer: memoryview) -> None:
        buffer[:] = self.data[start:stop]


class MemoryStream:
    def __init__(self, source: Streamed, start: int, stop: int) -> None:
        self.source, self.start, self.stop = source, start, stop
        self.position = start
        self.requested = self.closed = False
        self.cancelled = threading.Event()
        self._reading = threading.Lock()

    def read_into(self, buffer: memoryview) -> int:
        if self.closed:
            self.source.wrong.append("read after close")
        if not self._reading.acquire(blocking=False):
            self.source.wrong.append("read by two threads at once")
            raise AssertionError
        try:
            return self._read(buffer)
        finally:
            self._reading.release()

    def _read(self, buffer: memoryview) -> int:
        source, self.requested = self.source, True
        stop = min(self.stop, source.end, self.position + min(len(buffer), source.piece))
        for border in (*source.fails, *(() if source.blocks_at is None else (source.blocks_at,))):
            if self.position < border:
                stop = min(stop, border)
        if self.position in source.fails:
            raise source.fails[self.position]
        if self.position == source.blocks_at:
            source.blocked.set()
            until(lambda: self.cancelled.is_set() or source.blocks_at != self.position, "the wait ends")
        if self.cancelled.is_set():
            message = "the stream was cancelled"
            raise StorageUnavailable(message)
        if stop <= self.position:
            return 0
        source.copy(self.position, stop, buffer[: stop - self.position])
        start, self.position = self.position, stop
        return stop - start

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        if self._reading.locked():
            self.source.wrong.append("closed while it was read")
        if self.closed:
            self.source.wrong.append("closed twice")
        self.closed = True


class Zeros(Streamed):
    """Plain zeros of any size, of which none are held."""

    def __init__(self, size: int) -> None:
        super().__init__(b"", size=size)

    @property
    def end(self) -> int:
        return self.size

    def read_range(self, start: int, stop: int) -> bytes:
        self.ranges.append((start, stop))
        return bytes(min(stop, self.size) - start)

    def copy(self, start: int, stop: int, buffer: memoryview) -> None:
        pass


def read_by(file: Any, size: int) -> bytearray:
    """Read a file to its end in pieces of a size; return all of it."""
    buffer, came = memoryview(bytearray(size)), bytearray()
    while done := file.readinto(buffer):
        came += buffer[:done]
    return came
