"""Writes an object that is spooled and then sent in one request, to a store that has no multipart uploads."""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod

from connectors.storage.http.messages import FileBody
from connectors.system.os_errors import spooled

__all__ = ["PutSink"]

_IN_MEMORY = 1 << 24
"""Bytes held in memory; a larger object goes to an unnamed temporary file."""


class PutSink(ABC):
    """One object that is being written; a subclass says how it is sent.

    The sealed bytes are held in memory and in an unnamed temporary file, because a request starts with its size, and
    may have to be retried. Nothing is sent before `commit`; `discard` sends nothing.

    Attributes:
        size: the bytes that were written so far.
    """

    def __init__(self) -> None:
        self.size = 0
        self._spool = spooled(
            lambda: tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - commit or discard closes it
        )

    @abstractmethod
    def send(self, body: FileBody) -> None:
        """Send the object, and make it appear; called once, by `commit`.

        Raises:
            ConnectorError: it was not sent, or nobody knows whether it was; `discard` follows.
        """

    def write(self, data: memoryview) -> None:
        """Take all of `data`.

        Raises:
            MachineFailed: there is not enough space in ``$TMPDIR``.
        """
        spooled(lambda: self._spool.write(data))
        self.size += len(data)

    def commit(self) -> None:
        """Send the object. Raises as `send` does."""
        spooled(self._spool.flush)
        self.send(FileBody(self._spool, self.size))
        self._spool.close()

    def discard(self) -> None:
        """Drop what was written."""
        with contextlib.suppress(OSError):  # closing flushes the rest, perhaps to a full disk
            self._spool.close()
