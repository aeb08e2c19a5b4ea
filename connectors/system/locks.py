"""A lock and a flag that an interrupt, the garbage collector or a fork never leaves in a state that blocks others."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from queue import Empty, SimpleQueue

__all__ = ["Flag", "ForkSafeLock"]


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


class Flag:
    """An event for one thread that waits. Unlike `threading.Event`, it can be set wherever code can be interrupted.

    Setting an event takes a lock in Python: an interrupt in between leaves it held, and so the next one waits forever.
    """

    def __init__(self) -> None:
        self._set = False
        self._wake: SimpleQueue[None] = SimpleQueue()

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
            with contextlib.suppress(Empty):
                self._wake.get(timeout=seconds)
        return self._set


_LOCKS: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_LOCKS):
        lock.renew()


os.register_at_fork(after_in_child=_renew_all)
