"""The event loop for SSH: one per process, in its own thread.

A forked child does not have this thread, and must leave its parent's connections alone; it starts its own loop when it
first needs one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import weakref
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["in_loop", "post", "run"]

T = TypeVar("T")

STOP_TIMEOUT = 5.0
"""Seconds that connections may take to close when the process ends."""


class _Loop(threading.Thread):
    """An event loop in its thread, and what was posted to it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.posted: set[Future[Any]] = set()
        super().__init__(target=self.loop.run_forever, name="connectors-sftp", daemon=True)


_loops: dict[int, _Loop] = {}
"""By process: the parent's is kept, because it holds the parent's sockets, which must not be closed here."""
_lock = threading.Lock()
_ended = False


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it while the process forked
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def _own() -> _Loop:
    """Return this process's loop; start it if necessary, under a lock that garbage collection never needs."""
    process = os.getpid()
    if process not in _loops:
        with _lock:
            if process not in _loops:
                own = _Loop()
                own.start()
                _loops[process] = own
                weakref.finalize(own, _stop)  # at exit, the latest of these runs first: uploads are aborted before
    return _loops[process]


def in_loop() -> bool:
    """Return whether this is the loop's own thread, which cannot wait for itself."""
    return _loops.get(os.getpid()) is threading.current_thread()


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
    future = asyncio.run_coroutine_threadsafe(coroutine, _own().loop)
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
    own = _own()
    future = asyncio.run_coroutine_threadsafe(coroutine, own.loop)
    own.posted.add(future)  # the loop itself holds only a weak reference
    future.add_done_callback(own.posted.discard)


async def _end() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _stop() -> None:
    """Wait for what was posted, end all else and stop, so that asyncio does not complain about unfinished tasks."""
    global _ended  # noqa: PLW0603 - the process ends once
    _ended = True
    own = _loops.get(os.getpid())
    if own is None or not own.is_alive():  # a forked child calls this for its parent too
        return
    wait(list(own.posted), STOP_TIMEOUT / 2)
    with contextlib.suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(_end(), own.loop).result(STOP_TIMEOUT)
    own.loop.call_soon_threadsafe(own.loop.stop)
    own.join(STOP_TIMEOUT)
