"""How long a storage is waited for: as long as bytes arrive, and not for ever where none or next to none do.

What has arrived is kept. Where an answer breaks off, the rest is asked for, and tries are counted only while they bring
nothing: a network that breaks again and again delays a reader, and does not stop it.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from connectors.errors import StorageUnavailable

if TYPE_CHECKING:
    from connectors.errors import ConnectorError

__all__ = ["MIN_PROGRESS", "RangeBuffer", "RetryPolicy"]

MIN_PROGRESS = 1 << 16
"""Bytes that are progress: a byte now and then is none, and could go on for ever."""


class RetryPolicy:
    """Decides whether the same thing is asked for once more, and pauses before that.

    Attributes:
        attempts: tries in a row that bring nothing until it is enough.
        first_pause: seconds that the first pause lasts at most; it doubles with each one that follows.
        longest_pause: seconds that any pause lasts at most, also one that the storage asks for.
        longest_wait: seconds in which `MIN_PROGRESS` bytes must arrive, in however many tries that bring something.
    """

    attempts = 5
    first_pause = 0.5
    longest_pause = 30.0
    longest_wait = 300.0

    def __init__(
        self, *, attempts: int | None = None, first_pause: float | None = None, longest_pause: float | None = None
    ) -> None:
        self.attempts = self.attempts if attempts is None else attempts
        self.first_pause = self.first_pause if first_pause is None else first_pause
        self.longest_pause = self.longest_pause if longest_pause is None else longest_pause
        self._barren = 0
        self._came = 0  # by the last try
        self._recent = 0  # since progress was made
        self._since = time.monotonic()

    def arrived(self, size: int) -> None:
        """Note that a try has brought `size` bytes."""
        self._came += size
        self._recent += size
        if self._recent >= MIN_PROGRESS:
            self._recent, self._since = 0, time.monotonic()

    def pause(self, error: ConnectorError, asked: float | None = None) -> float:
        """Return how many seconds to wait before the next try.

        Args:
            error: what became of the last one.
            asked: seconds for which the storage wants to be left alone.

        Raises:
            StorageUnavailable: it is enough; the message is that of `error`, and says so.
        """
        came, self._came = self._came, 0
        self._barren = 0 if came else self._barren + 1
        if self._barren >= self.attempts:
            message = f"{error} (gave up after {self._barren} requests in a row without progress)"
            raise StorageUnavailable(message)
        if came and time.monotonic() - self._since > self.longest_wait:
            message = f"{error} (gave up: only {self._recent} bytes arrived in {self.longest_wait:g} s)"
            raise StorageUnavailable(message)
        # Full jitter, so that the workers of one job do not all come back at once.
        longest = (
            0 if came >= MIN_PROGRESS else min(self.longest_pause, self.first_pause * 2 ** max(0, self._barren - 1))
        )
        seconds = random.uniform(0, longest)  # noqa: S311 - nothing secret hangs on it
        return seconds if asked is None else max(seconds, min(asked, self.longest_pause))

    def wait(self, error: ConnectorError, asked: float | None = None) -> None:
        """Pause before the next try; arguments and errors are those of `pause`."""
        time.sleep(self.pause(error, asked))


class RangeBuffer:
    """A range of an object that arrives in as many answers as it takes.

    Args:
        start: where it starts.
        stop: where it stops, if the object does not end before.
        buffer: what it is put into; if not given, one is made when it is known how much there is.
        retry_policy: decides how often it is asked for.

    Attributes:
        position: where in the object the next byte lies that is to be asked for.
        stop: where the last one ends.
    """

    def __init__(
        self, start: int, stop: int, buffer: memoryview | None = None, retry_policy: RetryPolicy | None = None
    ) -> None:
        self.position = self._start = start
        self.stop = stop
        self._buffer = buffer
        self._retry_policy = retry_policy or RetryPolicy()

    @property
    def complete(self) -> bool:
        """Whether all of it is there."""
        return self.position >= self.stop

    def room(self, size: int) -> memoryview:
        """Return the place of what is missing, in an object of `size` bytes."""
        self.stop = min(self.stop, size)
        if self._buffer is None:
            self._buffer = memoryview(bytearray(max(0, self.stop - self._start)))
        return self._buffer[self.position - self._start : self.stop - self._start]

    def came(self, size: int, broken: ConnectorError) -> None:
        """Note that an answer has filled `size` bytes of the room; pause before the next one, if some are missing.

        Raises:
            StorageUnavailable: too many have brought nothing; the message is that of `broken`.
        """
        self.position += size
        self._retry_policy.arrived(size)
        if not self.complete:
            self._retry_policy.wait(broken)

    @property
    def data(self) -> memoryview:
        """What is there of it."""
        return self._buffer[: self.position - self._start] if self._buffer is not None else memoryview(b"")
