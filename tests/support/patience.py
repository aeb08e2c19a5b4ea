"""How long tests wait, in one place: for what ought to happen, and for what ought not to.

What a test waits for is an event. `PATIENCE` only guards against hanging: a machine that is busy with other work takes
many times as long as an idle one, so only a bug lets it run out. It is shorter than the timeout of a whole test in
pyproject.toml, so that the message names what did not happen.

Where time itself is tested, as when a server is silent or credentials expire, a test cannot be that patient. `scaled`
stretches such a time by what the machine has to do beside the test.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PATIENCE", "scaled", "until"]

PATIENCE = 600.0
"""Seconds until a test gives up waiting: for a thread, a process, a server's start or a response."""
MOST = 8.0
"""The highest factor of `scaled`."""


def until(happened: Callable[[], bool], what: str) -> None:
    """Wait until `happened` returns True.

    Raises:
        AssertionError: it does not; the message says `what` was waited for.
    """
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s in vain: {what}"
        time.sleep(0.01)


def scaled(seconds: float) -> float:
    """Return the seconds times the number of processes for each processor at the moment: from 1 to `MOST` times."""
    return seconds * min(MOST, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
