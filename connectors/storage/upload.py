"""Parts of one object on their way to a store, several at once, while the next one is being filled."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Thread, current_thread
from typing import TYPE_CHECKING, Generic, TypeVar

from connectors.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BytesIO

__all__ = ["AT_ONCE", "HELD", "PartsInFlight"]

T = TypeVar("T")

AT_ONCE = 4
"""Parts that travel at once: enough to keep a link busy that one connection does not fill."""
HELD = 64 << 20
"""Bytes that one writer holds, of parts that travel and the one that is being filled. A part larger than that is held
alone: it has arrived before the next one is begun."""


class PartsInFlight(Generic[T]):
    """Sends the parts of one object by threads, and keeps their answers in order.

    For one caller at a time, of whatever thread, in the process that made it. It ends with `abandon`, or with `finish`
    if nothing failed. An object of one part needs none of this; so the threads are there from the first part on.

    Args:
        send: sends a part, given its number, from 1 on, and its bytes; returns the store's answer. It is called in
            several threads at once, and what it raises must hold no secret, nor anything that does as its context.
        at_once: parts that travel at once.
        held: bytes that are held, the part that is being filled included.
    """

    def __init__(self, send: Callable[[int, BytesIO], T], *, at_once: int = AT_ONCE, held: int = HELD) -> None:
        self._send = send
        self._at_once = at_once
        self._held = held
        self._count = 0
        self._threads: set[Thread] = set()
        self._pool = ThreadPoolExecutor(at_once, "connectors-parts", _enlist, (self._threads,))
        # Who takes a part from those that wait sends it. The answers are not the pool's own futures: a signal may come
        # when the pool has begun with a part and has not returned its future yet.
        self._waiting: dict[int, BytesIO] = {}
        self._travelling: dict[Future[T], tuple[int, int]] = {}
        self._answers: dict[int, T] = {}
        self._failure: BaseException | None = None
        self._abandoned = False

    def __len__(self) -> int:
        """Return how many parts there were up to now."""
        return self._count

    def put(self, part: BytesIO, following: int = 0) -> None:
        """Send the next part, which is from now on nobody else's.

        Waits until it can be sent, and until there is room to fill the one after it.

        Args:
            part: its bytes.
            following: how many bytes the part after it will have.

        Raises:
            BaseException: what `send` raised for an earlier part. This one is not sent then.
            StorageUnavailable: the parts were abandoned.
        """
        self._settle(timeout=0)
        while len(self._travelling) >= self._at_once:
            self._settle()
        with part.getbuffer() as view:
            size = view.nbytes
        self._count += 1
        self._begin(part, size)
        while self._travelling and sum(size for _, size in self._travelling.values()) + following > self._held:
            self._settle()

    def _begin(self, part: BytesIO, size: int) -> None:
        number, answer = self._count, Future[T]()
        self._travelling[answer] = number, size
        self._waiting[number] = part
        try:
            self._pool.submit(self._run, answer, number)
        except RuntimeError:
            # The interpreter is ending, or no more threads are to be had: it goes without, if none has begun with it.
            self._run(answer, number)
            self._settle(timeout=0)

    def _run(self, answer: Future[T], number: int) -> None:
        try:
            part = self._waiting.pop(number, None)
            if part is None:
                return
            sent = self._send(number, part)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is taken in
            answer.set_exception(error)
        else:
            answer.set_result(sent)

    def _settle(self, timeout: float | None = None) -> None:
        """Take in the answers that are there, at least one if there is time; raise the first failure."""
        done, _ = wait(self._travelling, timeout, FIRST_COMPLETED)
        for answer in sorted(done, key=lambda one: self._travelling[one]):
            number, _ = self._travelling.pop(answer)
            error = answer.exception()
            if error is None:
                self._answers[number] = answer.result()
            elif self._failure is None:
                self._failure = error
        if self._abandoned:  # by the interpreter, which is ending, maybe in the middle of a wait
            message = "the parts were abandoned because the program is exiting; nothing was written"
            raise StorageUnavailable(message)
        if self._failure is not None:
            raise self._failure

    def finish(self) -> list[T]:
        """Wait until all parts have arrived; return the store's answers in the parts' order.

        Raises:
            BaseException: what `send` raised for one of them.
        """
        self._settle(timeout=0)
        while self._travelling:
            self._settle()
        self._pool.shutdown()
        return [self._answers[number] for number in range(1, self._count + 1)]

    def abandon(self, then: Callable[[], object] = lambda: None, *, elsewhere: bool = False) -> None:
        """Begin no more parts, wait for those that travel, and call `then`. Does nothing a second time.

        A part that arrives after its upload was aborted can bring the upload back to life: so the abort is for `then`.

        Args:
            then: what is done when nothing travels any more.
            elsewhere: return at once and have all of that done by another thread, as this one must not wait. Garbage is
                collected in whatever thread makes some: one of those that send here is known, and never waits.
        """
        if self._abandoned:
            return
        self._abandoned = True
        if elsewhere or current_thread() in self._threads:
            self._leave(then)
            return
        try:
            self._drain()
        except BaseException:  # interrupted: it is to be done all the same
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
        wait(self._travelling)  # and not for the threads: a wait for them that is interrupted takes them for ended
        self._pool.shutdown(wait=False)
        self._answers.clear()
        self._failure = None


def _enlist(threads: set[Thread]) -> None:
    """Begin a thread that sends. No method: the thread would keep its object alive, and so itself."""
    threads.add(current_thread())
