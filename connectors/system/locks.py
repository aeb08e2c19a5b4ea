"""A lock that a fork never leaves held by a thread that the child does not have."""

from __future__ import annotations

import os
import threading
import weakref

__all__ = ["ForkSafeLock"]


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


_LOCKS: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_LOCKS):
        lock.renew()


os.register_at_fork(after_in_child=_renew_all)
