"""Read-ahead: the runs that a reader will want next, fetched by threads while it opens and uses the one it has.

Only fetched: what has not been verified stays sealed until its reader comes to it, and then is opened straight to where
the reader wants it. Threads that opened small chunks would do little but wait for each other, for Python's global lock.
"""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.streams.executor import begin
from connectors.streams.fetch import AT_ONCE

if TYPE_CHECKING:
    from concurrent.futures import Future

    from connectors.streams.object import FetchedRun, SealedObject

__all__ = ["MOST_AT_ONCE", "Prefetcher"]

MOST_AT_ONCE = 12
"""How many `AT_ONCE` may become: the longer the way, the more is on it while the first of it arrives."""
MOST_HELD = 48 << 20
"""Plain bytes in all runs that are on their way, unless a single one has more."""
GAIN = 1.25
"""How much faster twice as many at once have to bring the runs, to be worth their memory."""


class _Depth:
    """How many runs are fetched at once: doubled while the reader waits for them and that makes them come faster.

    Attributes:
        now: how many.
    """

    def __init__(self, first: int, most: int) -> None:
        self.now = first
        self._most = most
        self._trying = False
        self._rate = 0.0
        self._runs = self._bytes = 0
        self._waited = False
        self._since: float | None = None

    def took(self, size: int, *, waited: bool) -> None:
        """Note that the reader took a run of `size` bytes, and whether it had to wait for it."""
        now = time.monotonic()
        if self._since is None:  # the first one has been on its way since nobody knows when
            self._since = now
            return
        self._runs += 1
        self._bytes += size
        self._waited |= waited
        if self._runs < 2 * self.now:
            return
        rate = self._bytes / max(now - self._since, 1e-9)
        waited = self._waited
        self._runs, self._bytes, self._waited, self._since = 0, 0, False, now
        if self._trying and rate < GAIN * self._rate:
            self.now //= 2
            self._most, self._trying = self.now, False
        elif waited and self.now < self._most:
            self.now = min(2 * self.now, self._most)
            self._rate, self._trying = rate, True


@dataclass(frozen=True, slots=True)
class _Coming:
    """A run on its way, and from where to where it lies in the plain bytes."""

    start: int
    stop: int
    run: Future[FetchedRun]


class Prefetcher:
    """Runs of one object, in order, for a reader that reads on.

    A reader that was carried across a fork begins anew: its threads stayed behind.
    """

    def __init__(self, opened: SealedObject) -> None:
        self._opened = opened
        # From a local file more would only take processors from whoever opens what is fetched.
        self._workers = 1 if opened.is_local else MOST_AT_ONCE
        self._depth = _Depth(1, 1) if opened.is_local else _Depth(AT_ONCE, MOST_AT_ONCE)
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
        coming = self._coming.popleft()
        waited = not coming.run.done()
        run = coming.run.result()
        self._depth.took(coming.stop - coming.start, waited=waited)
        return run

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
        at_once = min(self._depth.now, max(1, MOST_HELD // max(run_size, layout.chunk)))
        while start < stop and len(self._coming) < at_once:
            first, last = layout.index(start), layout.index(min(start + run_size, stop) - 1)
            end = min(layout.plain_start(last + 1), size)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, "connectors-ahead")
            self._coming.append(
                _Coming(start, end, begin(self._threads, self._opened.fetch_run, first, last - first + 1))
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
