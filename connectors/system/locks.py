"""A lock, a queue and a flag that no interrupt, garbage collection or fork leaves in a state that blocks others."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Flag", "ForkSafeLock", "Mailbox"]

T = TypeVar("T")


class ForkSafeLock:
    """A re-entrant lock. A forked child has its own: held only if the thread that forked holds it.

    Use it as ``with lock.current:``. The lock itself is a native one: an interrupt cannot come between its being taken
    and the block that releases it.

    Attributes:
        current: the lock of this process.
        orphaned: whether another thread held it as this process was forked, so that what it guards may be half done.
    """

    def __init__(self) -> None:
        self.current = threading.RLock()
        self.orphaned = False
        _LOCKS.add(self)

    def renew(self) -> None:
        """Have a lock that works in this process, which has just been forked."""
        if self.current.acquire(blocking=False):  # it is free, or held by the thread that forked
            self.current.release()
        else:
            self.current = threading.RLock()
            self.orphaned = True


class Mailbox(Generic[T]):
    """A queue for one thread that waits. A signal handler or the garbage collector may put into it.

    `queue.SimpleQueue` allows that too, but its `get` with a timeout waits forever in Python 3.11 and 3.12 if a signal
    interrupts it as the time is up: what remains of it is negative then, which means no limit.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._arrived = threading.Lock()  # free if something has come since the last wait
        self._arrived.acquire()

    def put(self, item: T) -> None:
        """Put something in, and wake the thread that waits."""
        self._items.append(item)
        with contextlib.suppress(RuntimeError):  # it is free already
            self._arrived.release()

    def get(self, timeout: float | None = None) -> T | None:
        """Return the next thing; None if none comes within `timeout` seconds, if there is a limit."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                pass
            left = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._arrived.acquire(timeout=left) and not self._items:
                return None


class Flag:
    """An event for one thread that waits. Unlike `threading.Event`, it can be set wherever code can be interrupted.

    Setting an event takes a lock in Python: an interrupt in between leaves it held, and so the next one waits forever.
    """

    def __init__(self) -> None:
        self._set = False
        self._wake: Mailbox[None] = Mailbox()

    def set(self) -> None:
        """Set the flag, and wake the thread that waits."""
        self._set = True
        self._wake.put(None)

    def is_set(self) -> bool:
        """Return whether it was set."""
        return self._set

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, but no longer than that; return whether it is."""
        if not self._set:
            self._wake.get(timeout=seconds)
        return self._set


_LOCKS: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_LOCKS):
        lock.renew()


os.register_at_fork(after_in_child=_renew_all)
