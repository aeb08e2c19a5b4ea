"""Locks after a fork: free in the child, unless the thread that forked holds them."""

from __future__ import annotations

import subprocess
import sys
import threading

from patience import PATIENCE

from connectors.system.locks import Flag, ForkSafeLock, Mailbox
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


BOMBARDED = """
import os, random, signal, sys, threading, time
from connectors.system.locks import Flag, Mailbox

signal.signal(signal.SIGUSR1, lambda *_: None)
parent = os.getpid()
child = os.fork()
if not child:
    while os.getppid() == parent:
        os.kill(parent, signal.SIGUSR1)
        time.sleep(random.random() * 0.002)
    os._exit(0)
box, waits = Mailbox(), 0
while waits < 3000:  # each of them may be interrupted as its time is up
    assert box.get(timeout=0.001) is None
    assert not Flag().wait(0.0005)
    waits += 1
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print(waits)
"""


def test_waits_end_however_many_signals_interrupt_them() -> None:
    """`queue.SimpleQueue.get` with a timeout does not, in Python 3.11 and 3.12."""
    done = subprocess.run(
        [sys.executable, "-c", BOMBARDED], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "3000\n", "")


def test_mailbox_returns_what_comes_in_its_order() -> None:
    box: Mailbox[int] = Mailbox()
    assert box.get(timeout=0) is None
    for number in range(3):
        box.put(number)
    assert [box.get(), box.get(timeout=0), box.get(timeout=60)] == [0, 1, 2]
    assert box.get(timeout=0.01) is None
    thread = threading.Thread(target=lambda: [box.put(number) for number in range(10_000)])
    thread.start()
    assert [box.get() for _ in range(10_000)] == list(range(10_000))
    thread.join()
