"""Callbacks that count while several files travel at once, or one after the other."""

from __future__ import annotations

from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

from connectors._fsspec import DEFAULT_CALLBACK, Callback

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BytesOf", "InTurn"]


class InTurn:
    """A callback, with those of its files, which threads call in turn: a user's callback need not be safe in threads.

    Args:
        callback: counts the files.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._turn = RLock()

    def relative_update(self, inc: int = 1) -> None:
        """Count files, or what the callback counts in their place."""
        with self._turn:
            self._callback.relative_update(inc)

    @contextmanager
    def branched(self, one: Any, other: Any) -> Iterator[Callback]:
        """Yield the callback for the bytes of one file, as `fsspec.Callback.branched` does; close it at the end."""
        with self._turn:
            branch = self._callback.branched(one, other)
            child = branch.__enter__()
        try:
            yield child if child is DEFAULT_CALLBACK else _Turning(child, self._turn)
        except BaseException as error:
            with self._turn:
                branch.__exit__(type(error), error, error.__traceback__)
            raise
        with self._turn:
            branch.__exit__(None, None, None)


class _Turning(Callback):
    """Calls another callback when it is this thread's turn."""

    def __init__(self, callback: Callback, turn: RLock) -> None:
        super().__init__()
        self._callback = callback
        self._turn = turn

    def set_size(self, size: int | None) -> None:
        """Tell the size."""
        with self._turn:
            self._callback.set_size(size)

    def relative_update(self, inc: int = 1) -> None:
        """Count bytes."""
        with self._turn:
            self._callback.relative_update(inc)

    def absolute_update(self, value: int) -> None:
        """Tell the number of bytes."""
        with self._turn:
            self._callback.absolute_update(value)

    def branched(self, path_1: Any, path_2: Any) -> Any:
        """Return the callback's own branch."""
        with self._turn:
            return self._callback.branched(path_1, path_2)


class BytesOf(Callback):
    """Counts one file's bytes as part of those of several, whose callback has been told the size of all of them.

    Args:
        total: counts the bytes of all files.
    """

    def __init__(self, total: Callback | InTurn) -> None:
        super().__init__()
        self._total = total

    def relative_update(self, inc: int = 1) -> None:
        """Count bytes."""
        self._total.relative_update(inc)
