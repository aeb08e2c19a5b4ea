"""Signals that stop a program: raised as an exception where that is safe, queued elsewhere, and never lost.

Python drops what a signal handler raises inside a destructor, a weakref callback or a callback from C, and a library
may catch it. So, until the block is left, a thread checks whether the exception still exists, and sends the signal
again if it does not. While it exists, it is leaving the block, and the cleanup on that way is not interrupted.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from connectors.system.locks import Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

__all__ = ["Stopped", "Stops"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_INTERVAL = 0.5
"""Seconds between two checks of an exception that was raised."""
_KEPT = 10.0
"""Seconds after which an exception that exists, but that no cleanup is handling, counts as caught and kept."""


class Stopped(SystemExit):
    """A signal stopped the program. `connectors.runner.run` raises it when its private folder has been removed.

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
        # Reentrant: a signal handler may interrupt its own thread inside `put`.
        self.events: Mailbox[object] = Mailbox()
        self._raising = False
        self._raised: weakref.ref[Stopped] | None = None
        self._raised_at = 0.0
        self._sending = threading.Lock()
        self._left = threading.Event()
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
        self._raising = False
        with self._sending:  # nothing is sent after the handlers have been restored
            self._left.set()
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        if not isinstance(error, Stopped):
            # A signal that arrived after the last output still stops the program.
            self.check()

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.received is None:
            self.received = number
        if not self._raising:
            self.events.put(signal.Signals(number))
        elif not self._is_on_its_way():
            raise self._stop()  # no variable of this frame may refer to it: the exception refers to the frame

    def _stop(self) -> Stopped:
        first, stopped = self._raised is None, Stopped(self.received or 0)
        self._raised, self._raised_at = weakref.ref(stopped), time.monotonic()
        if first:
            with suppress(RuntimeError):  # a limit on threads: then the end of the block is the only second look
                threading.Thread(target=self._insist, name="connectors-stop", daemon=True).start()
        return stopped

    def _is_on_its_way(self) -> bool:
        """Return whether the exception that was raised last is leaving the block."""
        stopped = None if self._raised is None else self._raised()
        if stopped is None:
            return False
        handled, seen = sys.exc_info()[1], set[int]()
        while handled is not None and id(handled) not in seen:
            if handled is stopped:
                return True
            seen.add(id(handled))
            handled = handled.__context__
        return time.monotonic() - self._raised_at < _KEPT

    def _insist(self) -> None:
        """Send the signal to the main thread again and again; its handler ignores it while the exception exists."""
        while not self._left.wait(_INTERVAL):
            with self._sending:
                if self._raising and not self._left.is_set():
                    signal.pthread_kill(threading.main_thread().ident or 0, self.received or 0)

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
        # The exception may have been dropped a moment ago.
        self.check()
