"""The base of sinks that hold an object back until it is committed, once, by the process that opened them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from connectors.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AtomicSink"]


class AtomicSink(ABC):
    """One object that is being written. A subclass says how bytes are taken, published and dropped.

    Args:
        shown: the object's location, for messages.
    """

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._state: Literal["open", "committed", "discarded"] = "open"
        self._process = os.getpid()

    @abstractmethod
    def take(self, data: memoryview) -> None:
        """Take all of `data`; the caller may reuse the buffer when this returns."""

    @abstractmethod
    def publish(self) -> None:
        """Make the complete object appear, in place of the previous object."""

    @abstractmethod
    def drop(self) -> None:
        """Drop what was taken; called once, unless the object was published."""

    def write(self, data: memoryview) -> None:
        """Take all of `data`.

        Raises:
            StorageError: the storage did not accept it, or something before it. The sink accepts nothing more.
        """
        self._do(lambda: self.take(memoryview(data).cast("B")))

    def commit(self) -> None:
        """Make the complete object appear, in place of the previous object.

        Raises:
            ObjectExists: the object is created exclusively, and exists.
            StorageUnavailable: no response came, so the complete object may or may not have appeared.
        """
        self._do(self.publish)
        self._state = "committed"

    def _do(self, work: Callable[[], None]) -> None:
        """Do something with an open sink; discard it if that fails."""
        if self._process != os.getpid():
            message = f"{self._shown} was opened for writing by the parent process; open it again in this one"
            raise StorageUnavailable(message)
        if self._state != "open":
            message = f"{self._shown} was already {self._state}"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)
        try:
            work()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Keep the previous object. Does nothing when called again, or in a forked child: the sink is its parent's."""
        if self._state == "open" and self._process == os.getpid():
            self._state = "discarded"
            self.drop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown} {self._state}>"
