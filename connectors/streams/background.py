"""A sink that is written to by a thread, while whoever fills it goes on.

One thread, so that a sink gets its bytes in order and never from two at once. A single buffer is written by the caller:
a small object costs no thread.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from connectors.streams.sinks import FileSink

if TYPE_CHECKING:
    from concurrent.futures import Future

    from connectors.streams.sinks import Sink

__all__ = ["BackgroundWriter"]

BUFFERS = 3
"""One that is being filled, one that is being written, and one that waits for whichever is done first."""


class BackgroundWriter:
    """What a sink is given, buffer by buffer.

    Somebody's own file is written to by whoever calls, as it may be bound to its thread.

    Args:
        sink: where it all goes.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._in_thread = not isinstance(sink, FileSink)
        self._thread: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._writing: deque[tuple[Future[None], memoryview]] = deque()
        self._failed = False

    def send(self, buffer: memoryview, size: int) -> memoryview:
        """Send the first `size` bytes of a buffer, and return another one, as large, to fill.

        Raises:
            ConnectorError: what the sink raised, of this or of an earlier buffer.
        """
        if not self._in_thread:
            self._sink.write(buffer[:size])
            return buffer
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "connectors-behind")
        try:
            future = self._thread.submit(self._write, buffer[:size])
        except RuntimeError:  # the interpreter is ending, or no more threads are to be had
            self.wait()
            # It may hold the buffer, for a thread that it has not got: one that it got later would write it again.
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None
            self._write(buffer[:size])
            return buffer
        self._writing.append((future, buffer))
        if len(self._writing) < BUFFERS:
            return memoryview(bytearray(len(buffer)))
        return self._written()

    def _written(self) -> memoryview:
        """Wait for the first of what was sent, and return its buffer."""
        future, buffer = self._writing[0]
        future.result()  # before it is taken out: an interrupt must not lose it from sight
        self._writing.popleft()
        return buffer

    def _write(self, data: memoryview) -> None:
        if self._failed:
            return  # after an error a sink is only discarded; it is the first one that is raised
        self._failed = True
        self._sink.write(data)
        self._failed = False

    def finish(self, data: memoryview) -> None:
        """Write the last of it, after all that was sent."""
        self.wait()
        if self._thread is not None:
            self._thread.shutdown(wait=False)
        self._sink.write(data)

    def wait(self) -> None:
        """Wait until all that was sent is written.

        Raises:
            ConnectorError: what the sink raised.
        """
        while self._writing:
            self._written()

    def abandon(self) -> None:
        """Drop what was sent; wait for what is being written at the moment."""
        self._failed = True
        if self._thread is not None and self._process == os.getpid():
            self._thread.shutdown(wait=False, cancel_futures=True)
            # Not for the thread: to Python 3.11 a thread is at its end when a wait for it is interrupted.
            wait([future for future, _ in self._writing if not future.cancelled()])
        self._writing.clear()
