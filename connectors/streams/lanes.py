"""What is prefetched: one range as a whole, or one long range as a stream, in pieces that are handed over in order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from connectors.streams.executor import submit

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from connectors.streams.sources import ByteStream
    from connectors.streams.stored import StoredObject

__all__ = ["FetchedRun", "Lane", "RangeLane", "Span", "StreamLane"]

Span = Callable[[int, int], tuple[int, int]]
"""Returns the start and end, in the object, of `count` chunks from chunk `first` on; both are given."""


@dataclass(frozen=True, slots=True)
class FetchedRun:
    """A run of sealed chunks as the storage returned them, not yet verified."""

    first: int
    count: int
    sealed: memoryview

    def holds(self, index: int) -> bool:
        """Return whether chunk `index` is in this run."""
        return self.first <= index < self.first + self.count


class Lane(ABC):
    """Consecutive chunks that are being read, and handed over in runs.

    No thread refers to a lane's user. So a reader that is dropped is collected, and drops its lanes.

    Attributes:
        first: the next chunk to hand over.
        asked: the end of the chunks that are being read or have been.
        stop: the end of the lane's chunks.
        size: the sealed size in bytes of its chunks; of those that were left if it was cut.
    """

    def __init__(self, stored: StoredObject, span: Span, first: int, stop: int) -> None:
        self.first = self.asked = first
        self.stop = stop
        start, end = span(first, stop - first)
        self.size = end - start
        self._stored = stored
        self._span = span
        self._counts: deque[int] = deque()  # of chunks in the runs that were asked for and not taken

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the next run has arrived."""

    @property
    def arrived(self) -> int:
        """About how many chunks have arrived and were not taken."""
        return 0

    @abstractmethod
    def _next(self) -> memoryview:
        """Wait for the bytes of the next run, and return them."""

    def take(self) -> FetchedRun:
        """Wait for the next run, and return it. After an error, drop the lane.

        Raises:
            StorageError: it cannot be fetched.
        """
        run = FetchedRun(self.first, self._counts[0], self._next())
        self.first += self._counts.popleft()
        return run

    def ask(self, most: int) -> None:  # noqa: B027 - a range is asked for as a whole
        """Have runs read until `most` chunks, or the last of them, are ahead of the next one to hand over."""

    def cut(self) -> None:  # noqa: B027
        """End the lane after the runs that were asked for."""

    @abstractmethod
    def drop(self) -> None:
        """Stop reading; the runs that were not taken are dropped."""


class RangeLane(Lane):
    """One run, read as a range.

    Of a local file, the caller reads it if no thread has started to by the time it is wanted: on a machine that is busy
    with other work, waiting for a thread takes longer than reading.
    """

    def __init__(self, stored: StoredObject, span: Span, first: int, stop: int, threads: Executor) -> None:
        super().__init__(stored, span, first, stop)
        self.asked = stop
        self._counts.append(stop - first)
        self._place = span(first, stop - first)
        self._coming = submit(threads, stored.fetch, *self._place)

    @property
    def is_ready(self) -> bool:
        """Whether the run has arrived."""
        return self._coming.done()

    def _next(self) -> memoryview:
        if self._stored.is_local and self._coming.cancel():
            return self._stored.fetch(*self._place)
        return self._coming.result()

    def drop(self) -> None:
        """Cancel the request, if it has not started."""
        self._coming.cancel()


class StreamLane(Lane):
    """Runs of one stream, which a thread reads one after the other.

    The thread is a daemon: one that waits for a silent server must not delay the interpreter's exit. Without one,
    because none can be started, runs are read when they are taken. Queues and not futures: handing over a run must cost
    little beside reading it.

    Args:
        stored: the object.
        span: where its chunks are.
        first: the first chunk.
        stop: the end of the chunks.
        run: the number of chunks in a run.
    """

    def __init__(self, stored: StoredObject, span: Span, first: int, stop: int, run: int) -> None:
        super().__init__(stored, span, first, stop)
        self._run = run
        self._stream = stored.open_stream(*span(first, stop - first))
        self._open: list[ByteStream] = [self._stream]  # empty once the stream is closed
        self._threaded: bool | None = None  # None: a thread has not been needed yet
        self._dropped = self._reading = False
        self._wanted: SimpleQueue[int] = SimpleQueue()  # the chunks of each run to read; 0 ends the thread
        self._came: SimpleQueue[memoryview | BaseException] = SimpleQueue()

    @property
    def is_ready(self) -> bool:
        """Whether the next run has arrived."""
        return not self._came.empty()

    @property
    def arrived(self) -> int:
        """About how many chunks have arrived and were not taken."""
        return self._came.qsize() * self._run

    def ask(self, most: int) -> None:
        """Ask the thread for more runs."""
        while self.asked < min(self.stop, self.first + most):
            count = min(self._run, self.stop - self.asked)
            self._counts.append(count)
            self.asked += count
            self._wanted.put(count)
        if self._counts and self._threaded is None:
            self._threaded = True  # before it is: the start may be interrupted
            try:
                Thread(target=self._read_on, args=(self.first,), name="connectors-ahead", daemon=True).start()
            except RuntimeError:
                self._threaded = False

    def _read_on(self, first: int) -> None:
        """Read what is asked for, in the thread."""
        try:
            while first < self.stop and (count := self._wanted.get()) and not self._dropped:
                self._came.put(self._read(first, count))
                first += count
        except BaseException as error:  # noqa: BLE001 - raised where the run is taken
            self._came.put(error)
        # Of a lane that was dropped because the reader was closed in another thread, this wakes the reader.
        self._came.put(ValueError("I/O operation on closed file"))
        self._close()

    def _next(self) -> memoryview:
        if not self._threaded:
            return self._read_here()
        came = self._came.get()
        if isinstance(came, BaseException):
            try:
                raise came
            finally:
                del came  # else a reference cycle keeps the caller's buffer until it is collected
        return came

    def _read_here(self) -> memoryview:
        """Read the next run in the caller's thread."""
        self._reading = True
        try:
            return self._read(self.first, self._counts[0])
        finally:
            self._reading = False
            if self._dropped:
                self._close()

    def _read(self, first: int, count: int) -> memoryview:
        data = self._stored.read_stream(self._stream, *self._span(first, count))
        if first + count == self.stop:
            self._close()
        return data

    def cut(self) -> None:
        """Have the stream closed after the runs that were asked for."""
        if self.asked < self.stop:
            self.stop = self.asked
            start, end = self._span(self.first, self.stop - self.first)
            self.size = end - start
            self._wanted.put(0)
            if not self._threaded and not self._counts:
                self._close()

    def drop(self) -> None:
        """Cancel the stream, without waiting for the thread that reads it; that thread closes it."""
        self._dropped = True
        self._stream.cancel()
        self._wanted.put(0)
        if not self._threaded and not self._reading:
            self._close()

    def _close(self) -> None:
        try:
            stream = self._open.pop()  # atomic, so only one of two threads closes it
        except IndexError:
            return
        stream.close()
