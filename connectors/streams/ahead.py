"""Read-ahead: the runs that a reader will want next, fetched and opened by threads while it uses the one it has."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

    from connectors.streams.sealed import SealedObject

__all__ = ["ReadAhead"]

DEPTH = 4
"""Runs on their way at once: enough to keep a link and two processors busy, few enough to be held in memory."""


@dataclass(frozen=True, slots=True)
class _Coming:
    """A run on its way.

    Attributes:
        start: the plain offset it starts at.
        stop: the plain offset it ends at.
        plain: its bytes, when they are there.
    """

    start: int
    stop: int
    plain: Future[tuple[int, memoryview]]


class ReadAhead:
    """Runs of one object, in order, for a reader that reads on.

    A reader that was carried across a fork begins anew: its threads stayed behind.
    """

    def __init__(self, opened: SealedObject) -> None:
        self._opened = opened
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
        return self._coming.popleft().plain.result()

    def fill(self, position: int, run_size: int) -> None:
        """Send for the runs from `position` on, of about `run_size` plain bytes each, as far as is not done yet."""
        layout, size = self._opened.layout, self._opened.size
        if self._coming:
            position = self._coming[-1].stop
        while position < size and len(self._coming) < DEPTH:
            first, last = layout.index(position), layout.index(min(position + run_size, size) - 1)
            stop = min(layout.plain_start(last + 1), size)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(DEPTH, "connectors-ahead")
            plain = self._threads.submit(self._opened.read_run, first, last - first + 1)
            self._coming.append(_Coming(position, stop, plain))
            position = stop

    def drop(self) -> None:
        """Forget what is on its way: the reader has gone elsewhere."""
        for one in self._coming:
            one.plain.cancel()
        self._coming.clear()

    def close(self) -> None:
        """Stop. What is being fetched at the moment is not waited for, and nobody will see it."""
        self.drop()
        if self._threads is not None and self._process == os.getpid():
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._threads = None
