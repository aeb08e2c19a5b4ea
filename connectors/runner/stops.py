"""The signals that tell a run to stop: kept in order with what the run is doing when they come."""

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
    """A signal told the run to stop: nothing more is published, and the private folder is gone.

    Not caught, it ends the process, with the exit code that shells use: 128 and the signal's number.

    Attributes:
        signal: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


class Stops:
    """A context in which SIGTERM, SIGINT and SIGHUP are noted, queued, or raised as `Stopped` where that is safe.

    Only the main thread can handle signals; in another thread this does nothing. A signal that was being ignored
    stays so: that is how nohup works.

    Attributes:
        received: the first signal, or None.
        events: a queue of the signals that were not raised, which others may put into as well.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        # Of all queues the one that a signal handler can put into while its own thread is in the middle of it.
        self.events: SimpleQueue[object] = SimpleQueue()
        self._raising = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # None is a handler that was not installed from Python, and that Python could not put back.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._handle)
            # Children of a process that ignores this one leave no exit status behind.
            if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
                self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        if not isinstance(error, Stopped):
            # One that came when there was nothing left to stop still means what it says.
            self.check()

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.received is None:
            self.received = number
        if self._raising:
            # Once only: the clean-up that this sets off is not to be interrupted in turn.
            self._raising = False
            raise Stopped(number)
        self.events.put(signal.Signals(number))

    def check(self) -> None:
        """Raise `Stopped` if a signal has come."""
        if self.received is not None:
            raise Stopped(self.received)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let a signal raise `Stopped` at once, in the middle of whatever the block does."""
        self._raising = True
        try:
            self.check()
            yield
        finally:
            self._raising = False
        # Python drops what is raised inside a destructor, and a signal can come there as well.
        self.check()
