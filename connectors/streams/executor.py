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
    """Runs calls, in the order of their submission, in threads that do not delay the interpreter's exit.

    The standard library's pools wait at exit for their threads, and one may wait minutes for a silent server.

    Args:
        name: the threads' name.
        threads: the most threads; one runs the calls one after the other.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self._name = name
        self._threads = threads
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._started = 0
        self._ended = False
        weakref.finalize(self, _end, self._queue, threads).atexit = False

    def submit(self, call: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """Submit a call.

        Raises:
            RuntimeError: no thread can be started, or the executor was shut down.
        """
        if self._ended:
            message = "the executor was shut down"
            raise RuntimeError(message)
        if self._started < self._threads:
            self._start()
        future: Future[T] = Future()
        self._queue.put((future, functools.partial(call, *arguments, **named)))
        return future

    def _start(self) -> None:
        try:
            Thread(target=_work, args=(self._queue,), name=self._name, daemon=True).start()
        except RuntimeError:
            if not self._started:
                raise
            self._threads = self._started  # those that there are do all of it
        else:
            self._started += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base's signature
        """End the threads after what was submitted, or with `cancel_futures` after what they are doing; do not wait."""
        self._ended = True
        if cancel_futures:
            while True:
                try:
                    waiting = self._queue.get_nowait()
                except Empty:
                    break
                if waiting is not None:
                    waiting[0].cancel()
        _end(self._queue, self._started)


def _end(queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None], threads: int) -> None:
    """Have threads end after what is in their queue."""
    for _ in range(threads):
        queue.put(None)


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
