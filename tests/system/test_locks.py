"""Locks after a fork: free in the child, unless the thread that forked holds them."""

from __future__ import annotations

import threading

from patience import PATIENCE

from connectors.system.locks import Flag, ForkSafeLock
from connectors.testing.tools import in_child


def is_free(lock: ForkSafeLock) -> tuple[bool, bool]:
    """Return whether a thread of this process can take the lock, and whether it says that it was left held."""
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(lock.current.acquire(blocking=False)))
    thread.start()
    thread.join()
    return taken[0], lock.orphaned


def test_a_lock_that_another_thread_holds_is_free_in_a_child() -> None:
    lock, held, go = ForkSafeLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock.current:
            held.set()
            go.wait(PATIENCE)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(PATIENCE)
    try:
        assert in_child("fork", is_free, lock) == (True, True)
        assert is_free(lock) == (False, False)
    finally:
        go.set()
        thread.join()


def test_a_lock_that_the_forking_thread_holds_stays_held_in_the_child() -> None:
    lock = ForkSafeLock()
    with lock.current:
        assert in_child("fork", is_free, lock) == (False, False)
    assert in_child("fork", is_free, lock) == (True, False)


def test_a_flag_ends_a_wait():
    flag = Flag()
    assert not flag.wait(0)
    thread = threading.Thread(target=flag.set)
    thread.start()
    assert flag.wait(60)
    thread.join()
    assert flag.is_set()
    flag.set()
    assert flag.wait(60)
    assert flag.wait(60)
