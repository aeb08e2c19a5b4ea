"""Read many ranges of plain bytes: close ranges share a request, and requests run concurrently."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.streams.executor import DaemonExecutor, submit
from connectors.streams.object import MAX_RUN, Reads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor, Future

    from connectors.formats import Layout
    from connectors.streams.object import SealedObject

__all__ = ["MAX_GAP", "read_ranges"]

MAX_GAP = 1 << 16
"""Default gap, in plain bytes, between two ranges up to which they share a request."""
_WORKERS = 8

Range = tuple[int | None, int | None]
T = TypeVar("T")


@dataclass(slots=True)
class _Part:
    """The destination of some of a run's bytes: from offset `start` of the object to `out`."""

    start: int
    out: memoryview


@dataclass(slots=True)
class _Run:
    """Chunks that are fetched and decrypted at once, and the parts of ranges in them."""

    first: int
    last: int
    parts: list[_Part] = field(default_factory=list)


def read_ranges(
    wanted: Sequence[tuple[Callable[[], SealedObject], Sequence[Range]]], max_gap: int = MAX_GAP
) -> list[list[bytes] | Exception]:
    """Return the ranges of each object, or the error that prevents it.

    Args:
        wanted: for each object, a function that opens it, and its ranges: plain offsets as in a slice, including None
            and negative ones.
        max_gap: plain bytes between two ranges up to which they share a request.
    """
    readings = [_Reading(*one, max_gap) for one in wanted]
    pool = DaemonExecutor("connectors-ranges", _WORKERS)  # starts no thread before the first task
    try:
        if len(readings) == 1:
            return [readings[0].read_alone(pool)]
        for reading in readings:
            reading.open_in(pool)
        for reading in readings:
            reading.start(pool)
        return [reading.finish() for reading in readings]
    except BaseException:  # such as an interrupt, which must not wait for a silent server
        for reading in readings:
            reading.abandon()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _outcome(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - returned, so that the other reads continue
        return error


class _Reading:
    """A read of the ranges of one object.

    Args:
        opens: opens the object.
        ranges: the ranges.
        max_gap: plain bytes between two ranges up to which they share a request.
    """

    def __init__(self, opens: Callable[[], SealedObject], ranges: Sequence[Range], max_gap: int) -> None:
        self._opens = opens
        self._ranges = ranges
        self._max_gap = max_gap
        self._open: list[SealedObject] = []  # empty once the object is closed
        self._out: list[bytearray] = []
        self._runs: list[_Run] = []
        self._opening: Future[Exception | None] | None = None
        self._pending: list[Future[None]] = []
        self._reads = Reads()
        self._failure: Exception | None = None

    def read_alone(self, pool: Executor) -> list[bytes] | Exception:
        """Open the object in this thread, and return its ranges; if they are in one run, read in this thread."""
        self._failure = self._begin()
        if len(self._runs) == 1:
            self._failure = _outcome(self._read_all)
        else:
            self.start(pool)
        return self.finish()

    def open_in(self, pool: Executor) -> None:
        """Have a thread open the object."""
        self._opening = submit(pool, self._begin)

    def start(self, pool: Executor) -> None:
        """Have threads read the ranges, once the object is open."""
        if self._opening is not None:
            self._failure = self._opening.result()
        for run in self._runs:
            self._pending.append(submit(pool, self._read, run))

    def finish(self) -> list[bytes] | Exception:
        """Wait for the reads, close the object, and return the ranges, or the error that prevents it."""
        for future in self._pending:
            # After a failure, cancel pending reads, but wait for running ones, which use the source.
            if self._failure is None or not future.cancel():
                self._failure = _outcome(future.result) or self._failure
        self._close()
        return self._failure or [bytes(out) for out in self._out]

    def abandon(self) -> None:
        """Cancel all reads, without waiting for those that run; the last of them closes the object."""
        self._reads.cancel()
        futures: list[Future[Any]] = [*self._pending]
        if self._opening is not None:
            futures.append(self._opening)
        running = [one for one in futures if not one.cancel() and not one.done()]

        def close_after_all(_: Future[Any] | None = None) -> None:
            if all(one.done() for one in running):
                self._close()

        for one in running:
            one.add_done_callback(close_after_all)
        close_after_all()

    def _close(self) -> None:
        try:
            opened = self._open.pop()  # atomic, so only one of two threads closes it
        except IndexError:
            return
        opened.close()

    def _begin(self) -> Exception | None:
        """Open the object; return the error that prevents it."""
        return _outcome(self._begin_or_fail)

    def _begin_or_fail(self) -> None:
        opened = self._opens()
        self._open.append(opened)
        try:
            spans = [slice(*one).indices(opened.size)[:2] for one in self._ranges]
            # A BytesIO would save a copy. But while an exception's frames hold its buffer, the garbage collector of
            # Python 3.12.0 and 3.12.1 crashes on it, and that of later ones reports a BufferError (gh-111049 and
            # gh-111331).
            self._out = [bytearray(max(0, stop - start)) for start, stop in spans]
            views = (memoryview(out) for out in self._out)
            runs = _runs(opened, zip(spans, views, strict=True), self._max_gap)
            if opened.is_held:  # a small object, which arrived with the first request
                for run in runs:
                    self._read(run)
            else:
                self._runs = runs
        except BaseException:
            self._close()
            raise

    def _read_all(self) -> None:
        for run in self._runs:
            self._read(run)

    def _read(self, run: _Run) -> None:
        opened = self._open[0]
        count = run.last - run.first + 1
        start, stop = opened.plain_span(run.first, count)
        if len(run.parts) == 1 and (run.parts[0].start, len(run.parts[0].out)) == (start, stop - start):
            opened.read_run(run.first, count, run.parts[0].out, self._reads)
            return
        plain = opened.take(stop - start)
        opened.read_run(run.first, count, plain, self._reads)
        for part in run.parts:
            offset = part.start - start
            part.out[:] = plain[offset : offset + len(part.out)]
        opened.give(plain)


def _runs(opened: SealedObject, wanted: Iterable[tuple[tuple[int, int], memoryview]], max_gap: int) -> list[_Run]:
    """Return the runs of chunks that cover the spans, none longer than `MAX_RUN` unless a chunk is."""
    layout = opened.layout
    parts = (part for (start, stop), out in wanted for part in _parts(layout, start, stop, out))
    runs: list[_Run] = []
    for part in sorted(parts, key=lambda part: part.start):
        first, last = layout.index(part.start), layout.index(part.start + len(part.out) - 1)
        run = runs[-1] if runs else None
        if (
            run is not None
            and (first - run.last - 1) * layout.chunk <= max_gap
            and (max(last, run.last) - run.first + 1) * layout.chunk <= max(MAX_RUN, layout.chunk)
        ):
            run.last = max(last, run.last)
        else:
            run = _Run(first, last)
            runs.append(run)
        run.parts.append(part)
    return runs


def _parts(layout: Layout, start: int, stop: int, out: memoryview) -> Iterator[_Part]:
    """Split a long span at the ends of chunks, into several runs."""
    while start < stop:
        end = min(stop, layout.plain_start(layout.index(start) + max(1, MAX_RUN // layout.chunk)))
        yield _Part(start, out[: end - start])
        out = out[end - start :]
        start = end
