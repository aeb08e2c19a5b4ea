"""What a run that rekeys accepts, counts and returns."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from connectors._fsspec import Callback
from connectors.errors import ObjectNotFound, PinMismatch
from connectors.fs.progress import BytesOf, InTurn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OTHER_VERSION", "Counter", "Pinned", "Rekeyed", "Stopping", "nothing_in"]

OTHER_VERSION = (
    "this is not the object that is pinned, or in the folder's manifest: it was rolled back, replaced or rewritten; do "
    "not trust it"
)
"""The message of `PinMismatch`."""


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What a run has done; a dry run: what it would do.

    Attributes:
        rewritten: the number of objects that were rewritten.
        already: the number of objects that were under the new key before.
        size: the plain bytes of the rewritten objects.
        pin: the new pin: that of the object, or of the manifest of a folder. None if there is none.
        readable_meanwhile: whether a document with both keys reads everything during the run.
    """

    rewritten: int
    already: int
    size: int
    pin: str | None
    readable_meanwhile: bool = True


@dataclass(frozen=True, slots=True)
class Pinned:
    """The versions of an object or a manifest that a run accepts.

    Attributes:
        pin: the only one that it accepts; None accepts any.
        continues: accept every one under the new key: the caller knows that an earlier run has made it.
    """

    pin: str | None
    continues: bool

    def accepts(self, is_new: bool, pin: str) -> bool:  # noqa: FBT001 - as `Accepts`
        """Return whether a version is accepted.

        Raises:
            PinMismatch: it is not, and is under the new key.
        """
        if self.pin in (None, pin) or (is_new and self.continues):
            return True
        if is_new:
            message = (
                "this is pinned, and is under the new key already; if an earlier run was stopped, say so: "
                "continues=True, --continue; if none was, do not trust the storage"
            )
            raise PinMismatch(message)
        return False


class Counter:
    """Counts what is done, in several threads.

    Args:
        callback: counts plain bytes.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback = callback
        self._in_turn = InTurn(callback)
        self._lock = Lock()
        self._rewritten = self._already = self._size = 0

    def total(self, size: int | None) -> None:
        """Tell the callback how many bytes there are."""
        self._callback.set_size(size)

    def bytes(self) -> Callback:
        """Return a callback for the bytes of one object."""
        return BytesOf(self._in_turn)

    def passed(self, size: int, *, is_new: bool) -> None:
        """Count an object that is not rewritten: it is under the new key, or this is a dry run."""
        self._in_turn.relative_update(size)
        self.done(size, is_new=is_new)

    def done(self, size: int, *, is_new: bool = False) -> None:
        """Count an object whose bytes were counted."""
        with self._lock:
            if is_new:
                self._already += 1
            else:
                self._rewritten += 1
                self._size += size

    def result(self, pin: str | None) -> Rekeyed:
        """Return what was counted."""
        return Rekeyed(self._rewritten, self._already, self._size, pin)


def nothing_in(root: str) -> ObjectNotFound:
    """Return the error for a folder without objects."""
    return ObjectNotFound(f"there are no objects in {root}/; name the folder as its documents do")


class Stopping(Callback):
    """Counts bytes as another callback does, and ends the copy when the run has ended.

    Args:
        callback: the other one.
        check: raises if the run has ended.
    """

    def __init__(self, callback: Callback, check: Callable[[], None]) -> None:
        super().__init__()
        self._callback = callback
        self._check = check

    def relative_update(self, inc: int = 1) -> None:
        """Count bytes."""
        self._check()
        self._callback.relative_update(inc)
