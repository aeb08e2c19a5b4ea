"""Interrupts, as of Ctrl-C."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["interrupted"]

AGAIN = 10.0
"""Seconds until the signal is sent again: one that comes just before a wait begins does not end the wait."""


@contextmanager
def interrupted(when: Callable[[], object]) -> Iterator[None]:
    """Expect that a block in the main thread is interrupted, once `when` has returned in another thread."""
    ended = threading.Event()

    def interrupt() -> None:
        when()
        while not ended.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            ended.wait(AGAIN)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        ended.set()
        thread.join()
