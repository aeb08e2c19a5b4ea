"""Work for threads, done without one where none is to be had: at a machine's limit, or while the interpreter ends."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

__all__ = ["begin"]

T = TypeVar("T")


def begin(pool: Executor, call: Callable[..., T], *arguments: Any) -> Future[T]:
    """Have a thread of `pool` call `call`, or call it now if the pool gets none; return what will come of it.

    It is called once: a pool that gets no thread keeps the work, and does it when it gets one for something else.
    """
    answer: Future[T] = Future()

    def work() -> None:
        # What decides that it is done once; a thread of the pool may come to it while its caller does.
        try:
            there = waiting.pop()
        except IndexError:
            return
        if not answer.set_running_or_notify_cancel():
            return
        try:
            result = call(*there)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is taken
            answer.set_exception(error)
        else:
            answer.set_result(result)

    waiting = [arguments]
    try:
        pool.submit(work)
    except RuntimeError:
        work()
    return answer
