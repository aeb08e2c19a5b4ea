"""Prefetch: threads fetch the next runs while the reader decrypts and uses the current one.

They are only fetched. The reader decrypts them when it reaches them, directly into the caller's buffer. Threads that
decrypted small chunks would mostly wait for the global interpreter lock.
"""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.streams.executor import submit
from connectors.streams.fetch import AT_ONCE

if TYPE_CHECKING:
    from concurrent.futures import Future

    from connectors.streams.object import FetchedRun, SealedObject

__all__ = ["MAX_AT_ONCE", "Prefetcher"]

MAX_AT_ONCE = 12
"""Upper limit of the prefetch depth, which starts at `AT_ONCE`: high latency needs more requests in flight."""
MAX_HELD = 48 << 20
"""Plain bytes in all prefetched runs, unless a single one is larger."""
GAIN = 1.25
"""The speedup that doubling the depth must bring, to be worth its memory."""


class _Depth:
    """The prefetch depth: doubled as long as the reader has to wait and doubling increases the throughput.

    Attributes:
        now: the number of runs to fetch at once.
    """

    def __init__(self, first: int, limit: int) -> None:
        self.now = first
        self._limit = limit
        self._trying = False
        self._rate = 0.0
        self._runs = self._bytes = 0
        self._waited = False
        self._since: float | None = None

    def took(self, size: int, *, waited: bool) -> None:
        """Record that the reader took a run of `size` bytes, and whether it had to wait for it."""
        now = time.monotonic()
        if self._since is None:  # it is unknown when the first fetch started
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
            self._limit, self._trying = self.now, False
        elif waited and self.now < self._limit:
            self.now = min(2 * self.now, self._limit)
            self._rate, self._trying = rate, True


@dataclass(frozen=True, slots=True)
class _Coming:
    """A run being fetched, and its start and end in the plain bytes."""

    start: int
    stop: int
    run: Future[FetchedRun]


class Prefetcher:
    """Prefetches runs of one object, in order, for sequential reads.

    After a fork, the child starts again: threads do not survive a fork.
    """

    def __init__(self, opened: SealedObject) -> None:
        self._opened = opened
        # For a local file, more threads would only compete with decryption for the CPU.
        self._workers = 1 if opened.is_local else MAX_AT_ONCE
        self._depth = _Depth(1, 1) if opened.is_local else _Depth(AT_ONCE, MAX_AT_ONCE)
        self._coming: deque[_Coming] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def take(self, position: int) -> FetchedRun | None:
        """Return the run at `position` if it is the next prefetched one; otherwise drop all of them.

        Raises:
            StorageError: it cannot be fetched.
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
        """Start fetching the runs from plain offset `start` to `stop`, except those already in flight.

        Args:
            start: the start of a chunk.
            stop: at most the object's size.
            run_size: the approximate plain size of a run.
        """
        layout, size = self._opened.layout, self._opened.size
        if self._coming:
            start = self._coming[-1].stop
        at_once = min(self._depth.now, max(1, MAX_HELD // max(run_size, layout.chunk)))
        while start < stop and len(self._coming) < at_once:
            first, last = layout.index(start), layout.index(min(start + run_size, stop) - 1)
            end = min(layout.plain_start(last + 1), size)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, "connectors-ahead")
            self._coming.append(
                _Coming(start, end, submit(self._threads, self._opened.fetch_run, first, last - first + 1))
            )
            start = end

    def drop(self) -> None:
        """Drop all prefetched runs: the reader has moved elsewhere."""
        for one in self._coming:
            one.run.cancel()
        self._coming.clear()

    def close(self) -> None:
        """Stop, without waiting for the fetches in progress; their results are dropped."""
        self.drop()
        if self._threads is not None and self._process == os.getpid():
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads = None
