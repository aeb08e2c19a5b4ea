"""What is prefetched: one range as a whole, or one long range as a stream, in pieces that are handed over in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.streams.executor import DaemonExecutor, submit

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


class Lane:
    """Consecutive chunks that are being read, and handed over in runs.

    No thread refers to a lane's user. So a reader that is dropped is collected, and its lanes are dropped with it.

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
        self._coming: deque[tuple[int, Future[memoryview]]] = deque()

    @property
    def is_ready(self) -> bool:
        """Whether the next run has arrived."""
        return self._coming[0][1].done()

    def take(self) -> FetchedRun:
        """Wait for the next run, and return it.

        Raises:
            StorageError: it cannot be fetched.
        """
        count, future = self._coming[0]
        run = FetchedRun(self.first, count, future.result())
        self._coming.popleft()  # only now: if the wait was interrupted, the thread still reads
        self.first += count
        return run

    def ask(self, most: int) -> None:
        """Have runs read until `most` chunks, or the last of them, are ahead of the next one to hand over."""

    def cut(self) -> None:
        """End the lane after the runs that were asked for."""

    def drop(self) -> None:
        """Stop reading; the runs that were not taken are dropped."""


class RangeLane(Lane):
    """One run, read as a range."""

    def __init__(self, stored: StoredObject, span: Span, first: int, stop: int, threads: Executor) -> None:
        super().__init__(stored, span, first, stop)
        self.asked = stop
        self._coming.append((stop - first, submit(threads, stored.fetch, *span(first, stop - first))))

    def drop(self) -> None:
        """Cancel the request, if it has not started."""
        for _, future in self._coming:
            future.cancel()


class StreamLane(Lane):
    """Runs of one stream, which a thread reads one after the other.

    Args:
        stored: the object.
        span: where its chunks are.
        first: the first chunk.
        stop: the end of the chunks.
        run: the number of chunks in a run.

    Attributes:
        first_run: seconds that the first run took, with the latency of the request; 0 if it has not arrived.
    """

    def __init__(self, stored: StoredObject, span: Span, first: int, stop: int, run: int) -> None:
        super().__init__(stored, span, first, stop)
        self.first_run = 0.0
        self._run = run
        self._since = self._until = 0.0  # when the first run and the last one had arrived
        self._arrived = 0  # bytes, between these
        self._stream = stored.open_stream(*span(first, stop - first))
        self._open: list[ByteStream] = [self._stream]  # empty once the stream is closed
        self._threads = DaemonExecutor("connectors-ahead")

    def ask(self, most: int) -> None:
        """Submit runs to the thread; they are read one after the other."""
        while self.asked < min(self.stop, self.first + most):
            count = min(self._run, self.stop - self.asked)
            before = self._coming[-1][1] if self._coming else None
            future = submit(self._threads, self._read, before, self.asked, count)
            self._coming.append((count, future))
            self.asked += count
            if self.asked == self.stop:
                self._threads.shutdown(wait=False)

    def _read(self, before: Future[memoryview] | None, first: int, count: int) -> memoryview:
        # It is done already, unless no thread could be started for this run and its caller reads it.
        if before is not None and before.exception() is not None:
            raise CancelledError  # nobody gets to see this: the error comes first
        since = time.perf_counter()
        data = self._stored.read_stream(self._stream, *self._span(first, count))
        self._until = time.perf_counter()
        if self._since:
            self._arrived += len(data)
        else:
            self._since, self.first_run = self._until, self._until - since
        if first + count == self.stop:
            self._close()
        return data

    @property
    def rate(self) -> float:
        """Bytes per second that have arrived after the first run."""
        return self._arrived / max(self._until - self._since, 1e-9)

    def cut(self) -> None:
        """Have the stream closed after the runs that were asked for."""
        if self.asked < self.stop:
            self.stop = self.asked
            start, end = self._span(self.first, self.stop - self.first)
            self.size = end - start
            submit(self._threads, self._close)
            self._threads.shutdown(wait=False)

    def drop(self) -> None:
        """Cancel the stream, without waiting for the thread that reads it; that thread closes it."""
        reading = None
        for _, future in reversed(self._coming):  # the last ones first, so that none of them is started meanwhile
            if not future.cancel():
                reading = future
                break
        self._coming.clear()
        self._stream.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if reading is None:
            self._close()
        else:
            reading.add_done_callback(lambda _: self._close())

    def _close(self) -> None:
        try:
            stream = self._open.pop()  # atomic, so only one of two threads closes it
        except IndexError:
            return
        stream.close()
