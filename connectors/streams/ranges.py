"""Ranges of plain bytes of sealed objects: neighbours share a request, and requests go out side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from connectors.streams.executor import begin
from connectors.streams.object import MAX_RUN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from connectors.formats import Layout
    from connectors.streams.object import SealedObject

__all__ = ["MAX_GAP", "read_ranges"]

MAX_GAP = 1 << 16
"""Plain bytes nobody asked for that are read along where that saves a request, unless told otherwise."""
_WORKERS = 16

Range = tuple[int | None, int | None]
T = TypeVar("T")


@dataclass(slots=True)
class _Part:
    """Where some of a run's bytes go: from `start` of the object into `out`."""

    start: int
    out: memoryview


@dataclass(slots=True)
class _Run:
    """Chunks that are fetched and opened at once, and what they are for."""

    first: int
    last: int
    parts: list[_Part] = field(default_factory=list)


def read_ranges(
    wanted: Sequence[tuple[Callable[[], SealedObject], Sequence[Range]]], max_gap: int = MAX_GAP
) -> list[list[bytes] | Exception]:
    """Return the ranges of each object, or why they cannot be had.

    Args:
        wanted: for each object, what opens it, and its ranges: plain offsets as those of a slice, None and negative
            ones too.
        max_gap: plain bytes between two ranges up to which they are read in one.
    """
    alone = len(wanted) == 1
    with ThreadPoolExecutor(_WORKERS, "connectors-ranges") as pool:  # which has no thread until it is given work
        if alone:
            started = [_outcome(lambda: _Reading(*wanted[0], max_gap))]
        else:
            opening = [begin(pool, _Reading, opens, ranges, max_gap) for opens, ranges in wanted]
            started = [_outcome(reading.result) for reading in opening]
        for reading in started:
            if not isinstance(reading, Exception):
                reading.start(pool, alone=alone)
        return [reading if isinstance(reading, Exception) else reading.finish() for reading in started]


def _outcome(call: Callable[[], T]) -> T | Exception:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the caller's to raise: the others have been asked for as well
        return error


class _Reading:
    """The ranges of one object, on their way."""

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

    def start(self, pool: ThreadPoolExecutor, *, alone: bool) -> None:
        if alone and len(self._runs) == 1:
            self._failure = _outcome(lambda: self._read(self._runs[0]))
        else:
            self._pending = [begin(pool, self._read, run) for run in self._runs]

    def finish(self) -> list[bytes] | Exception:
        for future in self._pending:
            # After a failure what has not begun is let be; what has is waited for, as it uses the source.
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
    """Return the runs of chunks that hold the spans: none longer than `MAX_RUN` unless a chunk is."""
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
    """Cut a span where chunks end, so that a long one is several runs."""
    while start < stop:
        end = min(stop, layout.plain_start(layout.index(start) + max(1, MAX_RUN // layout.chunk)))
        yield _Part(start, out[: end - start])
        out = out[end - start :]
        start = end
