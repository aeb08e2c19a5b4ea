"""Background writing: a thread writes to the sink while the caller encrypts the next buffer.

A single thread, so that the sink gets its bytes in order and is never called twice at once. The caller writes the last
buffer itself, so a small object needs no thread.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from connectors.errors import ConnectorError
from connectors.streams.sinks import FileSink

if TYPE_CHECKING:
    from concurrent.futures import Future

    from connectors.streams.sinks import Sink

__all__ = ["BackgroundWriter", "note_failure"]

BUFFERS = 3
"""One being filled, one being written, and one waiting."""


class BackgroundWriter:
    """Writes buffers to a sink in a background thread.

    A caller's own file object is written in the caller's thread, as it may be bound to it.

    Args:
        sink: the destination.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._in_thread = not isinstance(sink, FileSink)
        self._thread: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._writing: deque[tuple[Future[None], memoryview]] = deque()
        self._failed = False

    def send(self, buffer: memoryview, size: int) -> memoryview:
        """Send the first `size` bytes of a buffer, and return another buffer of the same size to fill.

        Raises:
            ConnectorError: raised by the sink, for this or an earlier buffer.
        """
        if not self._in_thread:
            self._sink.write(buffer[:size])
            return buffer
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "connectors-behind")
        try:
            future = self._thread.submit(self._write, buffer[:size])
        except RuntimeError:  # the interpreter is exiting, or no thread can be started
            self.wait()
            # The pool may have queued the buffer although it has no thread: a later thread would write it again.
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None
            self._write(buffer[:size])
            return buffer
        self._writing.append((future, buffer))
        if len(self._writing) < BUFFERS:
            return memoryview(bytearray(len(buffer)))
        return self._written()

    def _written(self) -> memoryview:
        """Wait for the oldest write, and return its buffer."""
        future, buffer = self._writing[0]
        future.result()  # before it is removed, so that an interrupt does not lose it
        self._writing.popleft()
        return buffer

    def _write(self, data: memoryview) -> None:
        if self._failed:
            return  # after an error the sink is only discarded, and the first error is raised
        self._failed = True
        self._sink.write(data)
        self._failed = False

    def finish(self, data: memoryview) -> None:
        """Write the last data, after everything sent before."""
        self.wait()
        if self._thread is not None:
            self._thread.shutdown(wait=False)
        self._sink.write(data)

    def wait(self) -> None:
        """Wait until everything sent has been written.

        Raises:
            ConnectorError: raised by the sink.
        """
        while self._writing:
            self._written()

    def abandon(self) -> None:
        """Drop what is queued, and wait for the write in progress."""
        self._failed = True
        if self._thread is not None and self._process == os.getpid():
            self._thread.shutdown(wait=False, cancel_futures=True)
            # Not for the thread itself: Python 3.11 marks a thread as ended when joining it is interrupted.
            wait([future for future, _ in self._writing if not future.cancelled()])
        self._writing.clear()

    def discard(self, error: BaseException) -> None:
        """Discard the sink because of `error`; a failure to discard becomes a note of it."""
        try:
            try:
                self.abandon()
            finally:
                self._sink.discard()
        except Exception as failure:  # noqa: BLE001 - reported in a note
            note_failure(error, failure)


def note_failure(error: BaseException, failure: Exception) -> None:
    """Add a note to `error` that the staged data could not be removed."""
    # Only a ConnectorError is known to hold no secret.
    told = f": {failure}" if isinstance(failure, ConnectorError) else ""
    error.add_note(f"Its staged data could not be removed: {type(failure).__name__}{told}")
