"""How much is read at once: measured, and more only while it brings more."""

from __future__ import annotations

import time

__all__ = ["AT_ONCE", "FAR_AT_ONCE", "FAR_MOST", "GAIN", "MAX_AT_ONCE", "Depth", "Rate"]

AT_ONCE = 3
"""Number of ranges or streams read at once, initially."""
MAX_AT_ONCE = 12
"""Upper limit of the prefetch depth, which starts at `AT_ONCE`: high latency needs more requests in flight."""
FAR_AT_ONCE = 12
"""Number of streams initially, if requests take so long that a single one would mostly wait for the next bytes."""
FAR_MOST = 24
"""Upper limit of that number."""
GAIN = 1.25
"""The speedup that doubling the depth must bring, to be worth its memory."""


class Rate:
    """How fast a reader is served, and how much of that time it waits.

    Args:
        measuring: whether the time has started; if not, it starts when a first run has been taken.

    Attributes:
        seconds: the time measured.
    """

    def __init__(self, *, measuring: bool = False) -> None:
        self._since = time.monotonic() if measuring else None
        self._waited = 0.0
        self._bytes = 0
        self.seconds = 0.0

    def took(self, size: int, waited: float) -> None:
        """Record that the reader took a run of `size` bytes, for which it waited some seconds."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            return
        self._bytes += size
        self._waited += waited
        self.seconds = now - self._since

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self._bytes / max(self.seconds, 1e-9)

    @property
    def most_gain(self) -> float:
        """The speedup that there would be if the reader never waited."""
        return self.seconds / max(self.seconds - self._waited, 1e-9)


class Depth:
    """The prefetch depth: doubled as long as the reader has to wait and doubling increases the throughput.

    Args:
        first: the number of runs to fetch at once, initially.
        limit: the most.
        before: the throughput, in bytes per second, with half as many, if `first` has to prove itself too.
        least: the fewest that are tried if more do not help; None for `first`.
        gain: the speedup that doubling must bring.

    Attributes:
        now: the number of runs to fetch at once.
    """

    def __init__(
        self, first: int, limit: int, *, before: float | None = None, least: int | None = None, gain: float = GAIN
    ) -> None:
        self.now = first
        self._limit = limit
        self._least = first if least is None else least
        self._gain = gain
        self._was = 0 if before is None else first // 2  # the depth before the step that is being tried; 0 for none
        self._rate = before or 0.0  # with it
        self._runs = self._bytes = 0
        self._left = 0  # runs that were fetched while more were at once, and tell nothing about fewer
        self._waited = False
        self._since: float | None = None  # unknown until a first run was taken

    @property
    def is_settled(self) -> bool:
        """Whether it has stopped changing because nothing else helps, or is allowed."""
        return self.now == self._limit and not self._was and self.now <= self._least

    def took(self, size: int, *, waited: bool) -> None:
        """Record that the reader took a run of `size` bytes, and whether it had to wait for it."""
        now = time.monotonic()
        if self._left:
            self._left -= 1
            self._since = None
        if self._since is None:
            self._since = now
            return
        self._runs += 1
        self._bytes += size
        self._waited |= waited
        if self._runs < 2 * self.now:
            return
        rate = self._bytes / max(now - self._since, 1e-9)
        more_may_help = self._waited
        self._runs, self._bytes, self._waited, self._since = 0, 0, False, now
        was, self._was = self._was, 0
        if was > self.now:
            if more_may_help and self._gain * rate < self._rate:
                self.now = self._least = was  # fewer bring less
            self._limit = self.now
        elif was:
            if rate < self._gain * self._rate:
                self.now = self._limit = was  # more do not bring more
                rate = self._rate
            else:
                self._least = self.now
        if more_may_help and self.now < self._limit:
            self._try(min(2 * self.now, self._limit), rate)
        elif self.now > self._least:
            self._try(max(self.now // 2, self._least), rate)

    def _try(self, depth: int, rate: float) -> None:
        self._left = self.now if depth < self.now else 0
        self._was, self._rate, self.now = self.now, rate, depth
