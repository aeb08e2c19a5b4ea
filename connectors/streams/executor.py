"""Submit work to a thread pool, or run it directly if no thread can start (thread limit, interpreter exit)."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

__all__ = ["submit"]

T = TypeVar("T")


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
