"""Read-ahead: the runs that a reader will want next, fetched by threads while it uses the one it has.

Where chunks are large, threads open them as well, on as many processors as there are. Small chunks are opened by their
reader: each takes so little time that threads would do nothing but wait for each other, for Python's global lock.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.streams.sealed import OPENED_FROM

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from connectors.streams.sealed import FetchedRun, SealedObject

__all__ = ["ReadAhead"]

AT_ONCE = 4
"""Runs that are worked on at once: enough to keep a link busy, few enough to be held in memory. One more may wait."""


@dataclass(frozen=True, slots=True)
class _Coming:
    """A run on its way.

    Attributes:
        start: the plain offset it starts at.
        stop: the plain offset it ends at.
        run: its bytes, when they are there: sealed, or with the offset they start at, opened.
    """

    start: int
    stop: int
    run: Future[FetchedRun | tuple[int, memoryview]]


class ReadAhead:
    """Runs of one object, in order, for a reader that reads on.

    A reader that was carried across a fork begins anew: its threads stayed behind.
    """

    def __init__(self, opened: SealedObject) -> None:
        self._opened = opened
        self._at_once = opened.at_once(AT_ONCE)
        self._coming: deque[_Coming] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def take(self, position: int) -> tuple[int, memoryview] | None:
        """Return the run that starts at `position`, if that is the next one on its way; else forget all of them.

        Raises:
            IntegrityError, StorageError: it is not what its owner sealed, or cannot be had.
        """
        if self._process != os.getpid():
            self._coming.clear()
            self._threads, self._process = None, os.getpid()
        if not self._coming or self._coming[0].start != position:
            self.drop()
            return None
        run = self._coming.popleft().run.result()
        return run if isinstance(run, tuple) else self._opened.open_run(run)

    def fill(self, position: int, run_size: int) -> None:
        """Send for the runs from `position` on, of about `run_size` plain bytes each, as far as is not done yet."""
        layout, size = self._opened.layout, self._opened.size
        if self._coming:
            position = self._coming[-1].stop
        while position < size and len(self._coming) <= self._at_once:
            first, last = layout.index(position), layout.index(min(position + run_size, size) - 1)
            stop = min(layout.plain_start(last + 1), size)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._at_once, "connectors-ahead")
            work: Callable[..., FetchedRun | tuple[int, memoryview]] = self._opened.fetch_run
            if layout.chunk >= OPENED_FROM:
                work = self._opened.read_run
            self._coming.append(_Coming(position, stop, self._threads.submit(work, first, last - first + 1)))
            position = stop

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
