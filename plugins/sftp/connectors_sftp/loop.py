"""The event loop that SSH runs in: one for a process, in a thread of its own.

A forked child has no such thread, and must leave its parent's connections alone; it gets a loop of its own when it
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
    """Return this process's loop and its thread, started where they are not yet."""
    process = os.getpid()
    with _lock:
        if process not in _loops:
            # The parent's is kept: it holds the parent's sockets, which nobody is to close.
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="connectors-sftp", daemon=True)
            thread.start()
            _loops[process] = loop, thread
        return _loops[process]


def in_loop() -> bool:
    """Tell whether this is the loop's own thread, which cannot wait for itself."""
    loop = _loops.get(os.getpid())
    return loop is not None and loop[1] is threading.current_thread()


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the loop, and return what it returns.

    Raises:
        StorageUnavailable: the process is ending, and its connections are closed.
    """
    if _ended or in_loop():
        coroutine.close()
        message = "the connections to SFTP servers are closed: the process is ending"
        if not _ended:
            message = "a file on an SFTP server cannot be waited for in the thread that fetches it"
        raise StorageUnavailable(message)
    future = asyncio.run_coroutine_threadsafe(coroutine, _running()[0])
    try:
        return future.result()
    except BaseException:
        future.cancel()  # does nothing, unless it is the waiting that was interrupted
        raise


def post(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in the loop, and wait for nothing: from any thread, also in the midst of garbage collection."""
    if _ended:
        coroutine.close()
        return
    loop, _ = _running() if os.getpid() not in _loops else _loops[os.getpid()]
    loop.call_soon_threadsafe(_start, coroutine)


def _start(coroutine: Coroutine[Any, Any, object]) -> None:
    task = asyncio.ensure_future(coroutine)
    _posted.add(task)  # the loop itself holds no task
    task.add_done_callback(_posted.discard)


async def _end() -> None:
    """Cancel what still runs in the loop, and wait until it has taken notice."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT / 2):
            await asyncio.gather(*_posted, return_exceptions=True)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@atexit.register
def _stop() -> None:
    """Close this process's loop, so that nothing in it complains of being dropped half way."""
    global _ended  # noqa: PLW0603 - the process ends once
    _ended = True
    loop, thread = _loops.get(os.getpid(), (None, None))
    if loop is None or thread is None:
        return
    with contextlib.suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(_end(), loop).result(STOP_TIMEOUT)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(STOP_TIMEOUT)
