"""Read-ahead: the runs that a reader will want next, fetched by threads while it opens and uses the one it has.

Only fetched: what has not been verified stays sealed until its reader comes to it, and then is opened straight to where
the reader wants it. Threads that opened small chunks would do little but wait for each other, for Python's global lock.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from connectors.streams.sealed import FetchedRun, SealedObject

__all__ = ["AT_ONCE", "MOST_AT_ONCE", "ReadAhead", "fetch_in_order"]

AT_ONCE = 4
"""Runs that are fetched at once at first, and
MOST_AT_ONCE, how many it becomes, one by one, while the reader has to wait for them: a link with a long way to go holds
as much at a time as it carries in that time."""
MOST_AT_ONCE = 8
MOST_HELD = 1 << 25
"""Plain bytes in all runs that are on their way, unless a single one has more."""


@dataclass(frozen=True, slots=True)
class _Coming:
    """A run on its way, and from where to where it lies in the plain bytes."""

    start: int
    stop: int
    run: Future[FetchedRun]


def fetch_in_order(
    fetch: Callable[[int, int], memoryview], spans: Iterable[tuple[int, int]], at_once: int
) -> Iterator[memoryview]:
    """Yield what `fetch` gives for each span, while up to `at_once` threads fetch those after it.

    The first is fetched by the caller: where it is the only one, that is all there is to do.
    """
    spans = iter(spans)
    for span in islice(spans, 1 if at_once else None):
        yield fetch(*span)
    threads = ThreadPoolExecutor(at_once or 1, "connectors-ahead")
    coming: deque[Future[memoryview]] = deque()
    try:
        for span in spans:
            coming.append(threads.submit(fetch, *span))
            if len(coming) > at_once:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


class ReadAhead:
    """Runs of one object, in order, for a reader that reads on.

    A reader that was carried across a fork begins anew: its threads stayed behind.
    """

    def __init__(self, opened: SealedObject) -> None:
        self._opened = opened
        # From a local file more threads would only take processors from whoever opens what they fetch.
        self._at_once, self._most = (1, 1) if opened.is_local else (AT_ONCE, MOST_AT_ONCE)
        self._coming: deque[_Coming] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def take(self, position: int) -> FetchedRun | None:
        """Return the run that starts at `position`, if that is the next one on its way; else forget all of them.

        Raises:
            StorageError: it cannot be had.
        """
        if self._process != os.getpid():
            self._coming.clear()
            self._threads, self._process = None, os.getpid()
        if not self._coming or self._coming[0].start != position:
            self.drop()
            return None
        coming = self._coming.popleft().run
        if not coming.done():
            self._at_once = min(self._at_once + 1, self._most)
        return coming.result()

    def fill(self, start: int, stop: int, run_size: int) -> None:
        """Send for the runs from the plain offset `start` to `stop`, as far as is not done yet.

        Args:
            start: where a chunk starts.
            stop: at most the object's size.
            run_size: about how many plain bytes are one run.
        """
        layout, size = self._opened.layout, self._opened.size
        if self._coming:
            start = self._coming[-1].stop
        at_once = min(self._at_once, max(1, MOST_HELD // max(run_size, layout.chunk)))
        while start < stop and len(self._coming) <= at_once:
            first, last = layout.index(start), layout.index(min(start + run_size, stop) - 1)
            end = min(layout.plain_start(last + 1), size)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._most, "connectors-ahead")
            self._coming.append(
                _Coming(start, end, self._threads.submit(self._opened.fetch_run, first, last - first + 1))
            )
            start = end

    def drop(self) -> None:
        """Forget what is on its way: the reader has gone elsewhere."""
        for one in self._coming:
            one.run.cancel()
        self._coming.clear()

    def close(self) -> None:
        """Stop. What is being fetched at the moment is not waited for, and nobody will see it."""
        self.drop()
        if self._threads is not None and self._process == os.getpid():
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads = None
