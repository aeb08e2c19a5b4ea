"""Multipart upload: send several parts of one object at once while the next one is being filled."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Thread, current_thread
from typing import TYPE_CHECKING, Generic, TypeVar

from connectors.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AT_ONCE", "HELD", "PartsInFlight"]

T = TypeVar("T")

AT_ONCE = 4
"""Parts sent at once: enough to saturate a link that a single connection does not."""
HELD = 64 << 20
"""Bytes in memory per writer: the parts being sent and the one being filled. A larger part is sent alone, before the
next one is started."""


class PartsInFlight(Generic[T]):
    """Sends the parts of a multipart upload in threads, and keeps the responses in order.

    Only one thread may call it at a time, in the process that created it. It ends with `abandon`, or with `finish` if
    nothing failed. An object of a single part does not need it.

    Args:
        send: sends a part, given its number (from 1) and its bytes; returns the store's response. It is called in
            several threads at once. Its errors and their contexts must not contain secrets.
        at_once: the number of parts sent at once.
        held: the bytes in memory, including the part being filled.
    """

    def __init__(self, send: Callable[[int, memoryview], T], *, at_once: int = AT_ONCE, held: int = HELD) -> None:
        self._send = send
        self._at_once = at_once
        self._held = held
        self._count = 0
        self._threads: set[Thread] = set()
        self._pool = ThreadPoolExecutor(at_once, "connectors-parts", _enlist, (self._threads,))
        # The thread that pops a waiting part sends it. The pool's own futures are not used: a signal may arrive when
        # the pool has started a part but not yet returned its future.
        self._waiting: dict[int, memoryview] = {}
        self._travelling: dict[Future[T], tuple[int, int]] = {}
        self._answers: dict[int, T] = {}
        self._failure: BaseException | None = None
        self._abandoned = False

    def __len__(self) -> int:
        """Return the number of parts so far."""
        return self._count

    def put(self, part: memoryview, following: int = 0) -> None:
        """Send the next part; the caller must not use it any more.

        Waits until it can be sent, and until there is memory for the part after it.

        Args:
            part: its bytes.
            following: the size of the part after it.

        Raises:
            BaseException: raised by `send` for an earlier part. This part is not sent then.
            StorageUnavailable: the parts were abandoned.
        """
        self._settle(timeout=0)
        while len(self._travelling) >= self._at_once:
            self._settle()
        size = part.nbytes
        self._count += 1
        self._start(part, size)
        while self._travelling and sum(size for _, size in self._travelling.values()) + following > self._held:
            self._settle()

    def _start(self, part: memoryview, size: int) -> None:
        number, answer = self._count, Future[T]()
        self._travelling[answer] = number, size
        self._waiting[number] = part
        try:
            self._pool.submit(self._run, answer, number)
        except RuntimeError:
            # The interpreter is exiting, or no thread can be started: send it here, unless a thread has started it.
            self._run(answer, number)
            self._settle(timeout=0)

    def _run(self, answer: Future[T], number: int) -> None:
        try:
            part = self._waiting.pop(number, None)
            if part is None:
                return
            sent = self._send(number, part)
            part = None  # its memory is for the next one, which starts with the result
        except BaseException as error:  # noqa: BLE001 - raised in `_settle`
            answer.set_exception(error)
        else:
            answer.set_result(sent)

    def _settle(self, timeout: float | None = None) -> None:
        """Collect the responses that have arrived, at least one if there is time; raise the first failure."""
        done, _ = wait(self._travelling, timeout, FIRST_COMPLETED)
        for answer in sorted(done, key=lambda one: self._travelling[one]):
            number, _ = self._travelling.pop(answer)
            error = answer.exception()
            if error is None:
                self._answers[number] = answer.result()
            elif self._failure is None:
                self._failure = error
        if self._abandoned:  # by the interpreter at exit, maybe during the wait
            message = "the parts were abandoned because the program is exiting; nothing was written"
            raise StorageUnavailable(message)
        if self._failure is not None:
            raise self._failure

    def finish(self) -> list[T]:
        """Wait until all parts have been sent; return the store's responses in the order of the parts.

        Raises:
            BaseException: raised by `send` for one of them.
        """
        self._settle(timeout=0)
        while self._travelling:
            self._settle()
        self._pool.shutdown()
        return [self._answers[number] for number in range(1, self._count + 1)]

    def abandon(self, then: Callable[[], object] = lambda: None, *, elsewhere: bool = False) -> None:
        """Start no more parts, wait for those being sent, and call `then`. A second call does nothing.

        A part that arrives after its upload was aborted can recreate the upload, so abort it in `then`.

        Args:
            then: called when no part is being sent any more.
            elsewhere: return at once and do this in another thread, because this one must not wait. The sending
                threads, in which the garbage collector may run too, never wait.
        """
        if self._abandoned:
            return
        self._abandoned = True
        if elsewhere or current_thread() in self._threads:
            self._leave(then)
            return
        try:
            self._drain()
        except BaseException:  # interrupted: do it in another thread
            self._leave(then)
            raise
        then()

    def _leave(self, then: Callable[[], object]) -> None:
        def end() -> None:
            self._drain()
            then()

        Thread(target=end, name="connectors-abandon").start()

    def _drain(self) -> None:
        for answer, (number, _) in list(self._travelling.items()):
            if self._waiting.pop(number, None) is not None:
                del self._travelling[answer]
        wait(self._travelling)  # not for the threads: an interrupted join would mark them as ended
        self._pool.shutdown(wait=False)
        self._answers.clear()
        self._failure = None


def _enlist(threads: set[Thread]) -> None:
    """Register a sending thread. Not a method, because the thread would then keep its object alive."""
    threads.add(current_thread())
