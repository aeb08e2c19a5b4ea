"""Submit work to a thread pool, or run it directly if no thread can start (thread limit, interpreter exit)."""

from __future__ import annotations

import functools
import weakref
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DaemonExecutor", "submit"]

T = TypeVar("T")


class DaemonExecutor(Executor):
    """Runs calls in order in one thread, which does not delay the interpreter's exit.

    The standard library's pools wait at exit for their threads, and one may wait minutes for a silent server.

    Args:
        name: the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._started = False
        self._ended = False
        weakref.finalize(self, self._queue.put, None).atexit = False

    def submit(self, call: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """Submit a call.

        Raises:
            RuntimeError: no thread can be started, or the executor was shut down.
        """
        if self._ended:
            message = "the executor was shut down"
            raise RuntimeError(message)
        if not self._started:
            Thread(target=_work, args=(self._queue,), name=self._name, daemon=True).start()
            self._started = True
        future: Future[T] = Future()
        self._queue.put((future, functools.partial(call, *arguments, **named)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base's signature
        """End the thread after what was submitted, or with `cancel_futures` after what it is doing; do not wait."""
        self._ended = True
        if cancel_futures:
            while True:
                try:
                    waiting = self._queue.get_nowait()
                except Empty:
                    break
                if waiting is not None:
                    waiting[0].cancel()
        self._queue.put(None)


def _work(queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]) -> None:
    """Run the calls of a queue. Not a method, because the thread would then keep its executor alive."""
    while (waiting := queue.get()) is not None:
        future, call = waiting
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised where the result is read
                future.set_exception(error)
        del waiting, future, call


def submit(pool: Executor, call: Callable[..., T], *arguments: Any) -> Future[T]:
    """Submit `call` to `pool`, or call it now if the pool cannot start a thread; return its future.

    It is called only once, although a pool without a thread keeps the work and runs it when it gets a thread later.
    """
    future: Future[T] = Future()

    def work() -> None:
        # `pop` is atomic, so only one of the caller and the pool's thread runs the call.
        try:
            taken = waiting.pop()
        except IndexError:
            return
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = call(*taken)
        except BaseException as error:  # noqa: BLE001 - raised where the result is read
            future.set_exception(error)
        else:
            future.set_result(result)

    waiting = [arguments]
    try:
        pool.submit(work)
    except RuntimeError:
        work()
    return future
