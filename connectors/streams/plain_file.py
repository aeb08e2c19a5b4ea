"""The file that users read: buffered plain bytes, also for native threads that share one file.

DuckDB reads one file from several of its own threads, each with a `seek` and then a `read`, and no lock around the two
(seen in 2.0.1, with every fsspec filesystem). A `seek` of another thread in between would move the read elsewhere, and
make it return the bytes of another place. Such a read returns to where its own thread has last moved.

Threads that run Python code share one position, as with any file of Python: a program may move in one thread of a pool
and read on in another. So a read returns to its own place only if it, or the thread that moved the file since, was
called by no Python code, which is how native threads call.

If another thread is reading a file while the process forks, Python's own lock of the file stays held in the child.
There `read`, `readinto` and `seek` are refused, where they would wait forever, and `close` closes what is below.
"""

from __future__ import annotations

import io
import os
import sys
from threading import get_ident
from typing import TYPE_CHECKING, Any

from connectors.errors import NotSupported, ObjectChanged, StorageError
from connectors.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from threading import RLock

    from _typeshed import WriteableBuffer

    from connectors.streams.reader import SealedReader

__all__ = ["PlainFile"]


class PlainFile(io.BufferedReader):
    """A buffered file of plain bytes.

    It pickles, if its filesystem does, as the path, the position and the fingerprint of this version of the object.

    It has a `size`, as the files of fsspec's own filesystems do; fsspec's `tail` needs it.
    """

    raw: SealedReader

    def __init__(self, raw: SealedReader, buffer_size: int) -> None:
        super().__init__(raw, buffer_size)
        self.place: tuple[Any, str] | None = None
        """The filesystem and the path that open it again in another process; None if that would need a secret."""
        self._turn = ForkSafeLock()
        self._sought: dict[int, int] = {}  # by thread: where it has moved, until it reads
        self._mover: tuple[int, bool] | None = None  # the thread that last moved the position, and whether it is native

    @property
    def size(self) -> int:
        """The plain size in bytes, verified."""
        return self.raw.size

    def __reduce_ex__(self, protocol: object) -> Any:
        if self.place is None:
            message = (
                "this open file holds a key and does not pickle; open it in the other process, or through "
                "dataset://, whose files do"
            )
            raise TypeError(message)
        return _open_again, (*self.place, _version(self), self.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a plain offset; beyond the end is allowed and reads nothing."""
        native = _is_native()
        with self._my_turn():
            position = super().seek(offset, whence)
            self._sought[get_ident()] = position
            self._mover = get_ident(), native
            return position

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end; everything up to the end if it is negative or None."""
        native = _is_native()
        with self._my_turn():
            self._return(native)
            return super().read(size)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer`; return the number of bytes, fewer only at the end."""
        native = _is_native()
        with self._my_turn():
            self._return(native)
            return super().readinto(buffer)

    def close(self) -> None:
        """Close the file and its source."""
        if self._turn.orphaned:
            self.raw.close()
        else:
            super().close()

    def _my_turn(self) -> RLock:
        if self._turn.orphaned:
            message = "another thread was reading this file when the process forked; open it again in this process"
            raise StorageError(message)
        return self._turn.current

    def _return(self, native: bool) -> None:  # noqa: FBT001
        """Return to where this thread has moved, if a native thread has moved the position since, or this is one."""
        me, mover = get_ident(), self._mover
        sought = self._sought.pop(me, None)
        if mover is not None and mover[0] != me:
            if sought is None:
                self._sought.pop(mover[0], None)  # this reads on from there
            elif native or mover[1]:
                super().seek(sought)
        self._mover = me, native


def _is_native() -> bool:
    """Return whether the caller of the method that asks is no Python code: a thread that runs none of its own."""
    try:
        sys._getframe(2)  # noqa: SLF001 - there is no public way to see whether a frame exists
    except ValueError:
        return True
    return False


def _version(file: PlainFile) -> str | int:
    """Return what tells this version of an object from others: its fingerprint, or the size of an unencrypted one."""
    try:
        return file.raw.pin
    except NotSupported:
        return file.size


def _open_again(fs: Any, path: str, version: str | int, position: int) -> PlainFile:
    """Open a file in the process that it was sent to."""
    file: PlainFile = fs.open(path, "rb")
    if _version(file) != version:
        file.close()
        message = f"{path} was replaced after it was opened in the other process; open it again"
        raise ObjectChanged(message)
    file.seek(position)
    return file
