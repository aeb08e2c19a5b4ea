"""Read many ranges of plain bytes: close ranges share a request, and requests run concurrently."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from connectors.streams.executor import submit
from connectors.streams.object import MAX_RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

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
    alone = len(wanted) == 1
    with ThreadPoolExecutor(_WORKERS, "connectors-ranges") as pool:  # starts no thread before the first task
        if alone:
            started = [_outcome(lambda: _Reading(*wanted[0], max_gap))]
        else:
            opening = [submit(pool, _Reading, opens, ranges, max_gap) for opens, ranges in wanted]
            started = [_outcome(reading.result) for reading in opening]
        for reading in started:
            if not isinstance(reading, Exception):
                reading.start(pool, alone=alone)
        return [reading if isinstance(reading, Exception) else reading.finish() for reading in started]


def _outcome(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - returned, so that the other reads continue
        return error


class _Reading:
    """A read of the ranges of one object."""

    def __init__(self, opens: Callable[[], SealedObject], ranges: Sequence[Range], max_gap: int) -> None:
        self._object = opens()
        spans = [slice(*one).indices(self._object.size)[:2] for one in ranges]
        # A BytesIO would save a copy. But while an exception's frames hold its buffer, the garbage collector of Python
        # 3.12.0 and 3.12.1 crashes on it, and that of later ones reports a BufferError (gh-111049 and gh-111331).
        self._out = [bytearray(max(0, stop - start)) for start, stop in spans]
        views = (memoryview(out) for out in self._out)
        self._runs = _runs(self._object, zip(spans, views, strict=True), max_gap)
        self._pending: list[Future[None]] = []
        self._failure: Exception | None = None
        if self._object.is_held:  # a small object, which arrived with the first request
            self._failure = _outcome(self._read_all)
            self._runs = []

    def _read_all(self) -> None:
        for run in self._runs:
            self._read(run)

    def start(self, pool: ThreadPoolExecutor, *, alone: bool) -> None:
        if alone and len(self._runs) == 1:
            self._failure = _outcome(lambda: self._read(self._runs[0]))
        else:
            self._pending = [submit(pool, self._read, run) for run in self._runs]

    def finish(self) -> list[bytes] | Exception:
        for future in self._pending:
            # After a failure, cancel pending reads, but wait for running ones, which use the source.
            if self._failure is None or not future.cancel():
                self._failure = _outcome(future.result) or self._failure
        self._object.close()
        return self._failure or [bytes(out) for out in self._out]

    def _read(self, run: _Run) -> None:
        count = run.last - run.first + 1
        start, stop = self._object.plain_span(run.first, count)
        if len(run.parts) == 1 and (run.parts[0].start, len(run.parts[0].out)) == (start, stop - start):
            self._object.read_run(run.first, count, run.parts[0].out)
            return
        plain = self._object.take(stop - start)
        self._object.read_run(run.first, count, plain)
        for part in run.parts:
            offset = part.start - start
            part.out[:] = plain[offset : offset + len(part.out)]
        self._object.give(plain)


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
