"""Signals that stop a run, handled according to what the run is doing when they arrive."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

__all__ = ["Stopped", "Stops"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(SystemExit):
    """A signal stopped the run: nothing more is published, and the private folder has been removed.

    If it is not caught, the process exits with 128 plus the signal's number, as shells have it.

    Attributes:
        signal: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


class Stops:
    """A context that queues SIGTERM, SIGINT and SIGHUP, or raises them as `Stopped` where that is safe.

    Only the main thread can handle signals; in another thread this does nothing. A signal that was ignored before
    stays ignored: that is how nohup works.

    Attributes:
        received: the first signal, or None.
        events: a queue of the signals that were not raised; other events may be put into it as well.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        # SimpleQueue is reentrant: a signal handler may interrupt its own thread inside `put`.
        self.events: SimpleQueue[object] = SimpleQueue()
        self._raising = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # None: a handler that was not installed from Python, which Python could not restore.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._handle)
            # While SIGCHLD is ignored, children leave no exit status.
            if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
                self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        if not isinstance(error, Stopped):
            # A signal that arrived after the last output still stops the program.
            self.check()

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.received is None:
            self.received = number
        if self._raising:
            # Only once: the cleanup that follows must not be interrupted.
            self._raising = False
            raise Stopped(number)
        self.events.put(signal.Signals(number))

    def check(self) -> None:
        """Raise `Stopped` if a signal has arrived."""
        if self.received is not None:
            raise Stopped(self.received)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let a signal raise `Stopped` immediately, anywhere in the block."""
        self._raising = True
        try:
            self.check()
            yield
        finally:
            self._raising = False
        # A signal may arrive inside a destructor, where Python drops the exception.
        self.check()
