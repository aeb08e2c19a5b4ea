"""Retry policy: how often and how long a request is retried, with exponential backoff and jitter.

Bytes that have arrived are kept. If a response breaks off, the rest is requested. Only attempts without progress are
counted: an unreliable network slows a reader down but does not stop it.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from connectors.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.errors import ConnectorError

__all__ = ["MIN_PROGRESS", "RetryPolicy"]

MIN_PROGRESS = 1 << 16
"""Bytes that count as progress; a slow drip could go on forever."""


class RetryPolicy:
    """Decides whether a request is retried, and pauses before each retry.

    Attributes:
        attempts: the number of attempts in a row without progress before giving up.
        first_pause: upper limit of the first pause, in seconds; it doubles with each further pause.
        longest_pause: upper limit of every pause, in seconds, including one that the storage asks for.
        longest_wait: seconds in which `MIN_PROGRESS` bytes must arrive, over any number of attempts.
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
        self._failures = 0
        self._received = 0  # by the last attempt
        self._recent = 0  # since the last progress
        self._since = time.monotonic()

    def received(self, size: int) -> None:
        """Record that an attempt has returned `size` bytes."""
        self._received += size
        self._recent += size
        if self._recent >= MIN_PROGRESS:
            self._recent, self._since = 0, time.monotonic()

    def pause(self, error: ConnectorError, asked: float | None = None) -> float:
        """Return the seconds to wait before the next attempt: exponential backoff with full jitter.

        Args:
            error: the error of the last attempt.
            asked: the pause that the storage asked for (Retry-After), in seconds.

        Raises:
            StorageUnavailable: no more retries; the message is that of `error` with the reason appended.
        """
        received, self._received = self._received, 0
        self._failures = 0 if received else self._failures + 1
        if self._failures >= self.attempts:
            message = f"{error} (gave up after {self._failures} requests in a row without progress)"
            raise StorageUnavailable(message)
        if received and time.monotonic() - self._since > self.longest_wait:
            message = f"{error} (gave up: only {self._recent} bytes arrived in {self.longest_wait:g} s)"
            raise StorageUnavailable(message)
        # Full jitter, so that the workers of one job do not all retry at once.
        longest = (
            0
            if received >= MIN_PROGRESS
            else min(self.longest_pause, self.first_pause * 2 ** max(0, self._failures - 1))
        )
        seconds = random.uniform(0, longest)  # noqa: S311 - not used for security
        return seconds if asked is None else max(seconds, min(asked, self.longest_pause))

    def wait(
        self, error: ConnectorError, asked: float | None = None, sleep: Callable[[float], object] | None = None
    ) -> None:
        """Wait before the next attempt, in `sleep`. The other arguments and the errors are those of `pause`."""
        (sleep or time.sleep)(self.pause(error, asked))
