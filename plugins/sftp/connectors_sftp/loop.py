"""The event loop for SSH: one per process, in its own thread.

A forked child does not have this thread, and must leave its parent's connections alone; it starts its own loop when it
first needs one.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["in_loop", "post", "run"]

T = TypeVar("T")

STOP_TIMEOUT = 5.0
"""Seconds that connections may take to close when the process ends."""

_loops: dict[int, tuple[asyncio.AbstractEventLoop, threading.Thread]] = {}
_lock = threading.Lock()
_ended = False
_posted: set[asyncio.Task[Any]] = set()


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it while the process forked
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def _running() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    """Return this process's loop and its thread; start them if necessary."""
    process = os.getpid()
    with _lock:
        if process not in _loops:
            # The parent's loop is kept, because it holds the parent's sockets, which must not be closed here.
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="connectors-sftp", daemon=True)
            thread.start()
            _loops[process] = loop, thread
        return _loops[process]


def in_loop() -> bool:
    """Return whether this is the loop's own thread, which cannot wait for itself."""
    loop = _loops.get(os.getpid())
    return loop is not None and loop[1] is threading.current_thread()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the loop, and return its result.

    Raises:
        StorageUnavailable: the process is ending, and its connections are closed.
    """
    if _ended or in_loop():
        coroutine.close()
        message = "the connections to SFTP servers are closed: the process is ending"
        if not _ended:
            message = "the thread that does the requests to SFTP servers cannot wait for one"
        raise StorageUnavailable(message)
    future = asyncio.run_coroutine_threadsafe(coroutine, _running()[0])
    try:
        return future.result()
    except BaseException:
        future.cancel()  # only has an effect if the waiting was interrupted
        raise


def post(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in the loop without waiting for it: from any thread, even during garbage collection."""
    if _ended:
        coroutine.close()
        return
    loop, _ = _running() if os.getpid() not in _loops else _loops[os.getpid()]
    loop.call_soon_threadsafe(_start, coroutine)


def _start(coroutine: Coroutine[Any, Any, object]) -> None:
    task = asyncio.ensure_future(coroutine)
    _posted.add(task)  # the loop itself holds only a weak reference
    task.add_done_callback(_posted.discard)


async def _end() -> None:
    """Wait for the posted tasks, then cancel all others and wait for them to end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT / 2):
            await asyncio.gather(*_posted, return_exceptions=True)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@atexit.register
def _stop() -> None:
    """Stop this process's loop, so that asyncio does not complain about unfinished tasks."""
    global _ended  # noqa: PLW0603 - the process ends once
    _ended = True
    loop, thread = _loops.get(os.getpid(), (None, None))
    if loop is None or thread is None:
        return
    with contextlib.suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(_end(), loop).result(STOP_TIMEOUT)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(STOP_TIMEOUT)
