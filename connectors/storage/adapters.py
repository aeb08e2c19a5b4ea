"""A `Source` and a `Sink` over any fsspec filesystem: how the sealed side is reached.

A filesystem may bring its own: see `connectors.storage.capabilities`. Any other is read by ranges; for writing, local
files are staged beside their place, and elsewhere the sealed object is spooled and put when it is whole: fsspec's own
files publish what was written so far when an error closes them.
"""

from __future__ import annotations

import os
import tempfile
from threading import Lock
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, TypeVar

from connectors._fsspec import LocalFileSystem, MemoryFileSystem
from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    NotAnObject,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageUnavailable,
)
from connectors.storage.capabilities import OpensSinks, OpensSources
from connectors.streams import FileSource, PathSink
from connectors.streams.os_errors import OF_THIS_MACHINE, failure, spooled, write_all
from connectors.streams.sources import FillsBuffers, fill, open_local

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors._fsspec import AbstractFileSystem
    from connectors.streams import Sink, Source

__all__ = [
    "RangeSource",
    "RenewedSource",
    "SpoolSink",
    "is_of_library",
    "open_sink",
    "open_source",
    "renewed_source",
    "said_size",
    "translated",
]

T = TypeVar("T")


def translated(path: str, call: Callable[[], T]) -> T:
    """Return what `call` does, with the built-in errors that filesystems raise turned into ours.

    A function rather than a context manager: what is raised at the end of a ``with`` block carries the error that came
    out of the block along, and what a storage library says in its errors may hold a signed URL.
    """
    told: ConnectorError
    try:
        return call()
    except ConnectorError:
        raise
    except FileNotFoundError:
        told = ObjectNotFound(f"nothing is stored at {path}")
    except FileExistsError:
        told = ObjectExists(f"an object is already stored at {path}")
    except (IsADirectoryError, NotADirectoryError):
        told = NotAnObject(f"{path} is a folder, or lies below a file; name a single object")
    except PermissionError:
        told = AccessDenied(f"the storage does not allow this at {path}")
    except OSError as error:
        if error.errno not in OF_THIS_MACHINE:
            raise
        told = failure(error, path, "cannot be read or written")
    raise told


def said_size(info: Mapping[str, Any], *, strict: bool = True) -> int | None:
    """Return the size of an object, as the storage says in what a filesystem tells of it.

    Raises:
        StorageUnavailable: it says none, or what is none; None is returned for that if not `strict`.
    """
    size = info.get("size")
    if isinstance(size, int) and size >= 0:
        return size
    if strict:
        message = f"the storage reports no valid size for {info['name']}"
        raise StorageUnavailable(message)
    return None


def is_of_library(error: BaseException, *packages: str) -> bool:
    """Tell whether an error was raised in a library's code and not in ours: then it is about an answer, and no bug.

    Args:
        error: the error.
        packages: the library, and those it stands on.
    """
    modules = [frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in walk_tb(error.__traceback__)]
    return bool(modules) and not modules[-1].startswith("connectors") and not set(packages).isdisjoint(modules)


class RangeSource:
    """An object of any filesystem, read by ranges. What happens to it meanwhile is the format's to notice."""

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        info = translated(path, lambda: fs.info(path))
        if info["type"] == "directory":
            message = f"{path} is a folder; name a single object"
            raise NotAnObject(message)
        self.size: int = said_size(info) or 0

    def read_range(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        return translated(self._path, lambda: self._fs.cat_file(self._path, start=start, end=stop))

    def close(self) -> None:
        """Do nothing: no connection is held."""


class RenewedSource:
    """An object whose credentials may end while it is read: it is read on with renewed ones, if there are any.

    Args:
        source: the object, with the first credentials.
        renew: returns the object with renewed credentials, or None if there are none.
    """

    def __init__(self, source: Source, renew: Callable[[], Source | None]) -> None:
        self._source = source
        self._renew = renew
        self._expired: list[Source] = []
        self._size: int | None = None
        self._lock = Lock()

    @property
    def size(self) -> int:
        """The object's size in bytes, as the storage says."""
        if self._size is None:
            self._size = self._source.size
        return self._size

    def read_range(self, start: int, stop: int) -> bytes | memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            CredentialsExpired: they have ended, and there are no others.
            ObjectChanged: with the renewed ones, another object is found.
        """
        return self._renewing(lambda source: source.read_range(start, stop))

    def _renewing(self, read: Callable[[Source], T]) -> T:
        source = self._source
        try:
            return read(source)
        except CredentialsExpired as error:
            expired = error
        if not self._is_renewed(source):
            raise expired
        return read(self._source)

    def _is_renewed(self, expired: Source) -> bool:
        with self._lock:
            if self._source is not expired:
                return True  # by another thread
            renewed = self._renew()
            if renewed is None:
                return False
            if self._size is not None and renewed.size != self._size:
                renewed.close()
                message = "the object was replaced while its credentials were being renewed; open it again"
                raise ObjectChanged(message)
            self._expired.append(expired)  # other threads may be in the middle of using it
            self._source = renewed
            return True

    def close(self) -> None:
        """Let the object go."""
        for source in (*self._expired, self._source):
            source.close()


class RenewedFiller(RenewedSource):
    """A `RenewedSource` over a source that is a `FillsBuffers`, and so one itself."""

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Put the bytes from `start` on into `buffer`, and return how many; see `read_range` for the errors."""
        return self._renewing(lambda source: fill(source, start, buffer))


def renewed_source(source: Source, renew: Callable[[], Source | None]) -> RenewedSource:
    """Return a `RenewedSource` that fills buffers if `source` does."""
    return (RenewedFiller if isinstance(source, FillsBuffers) else RenewedSource)(source, renew)


class SpoolSink:
    """An object of any filesystem: spooled, sealed as it is, into a temporary file, and put on commit."""

    def __init__(self, fs: AbstractFileSystem, path: str, *, exclusive: bool) -> None:
        self._fs = fs
        self._path = path
        self._exclusive = exclusive
        translated(path, self._check)
        self._spool = spooled(
            lambda: tempfile.NamedTemporaryFile(prefix="sealed-", buffering=0)  # noqa: SIM115 - closed below
        )

    def _check(self) -> None:
        if self._fs.isdir(self._path):
            raise IsADirectoryError
        # Two writers can both pass here: only a backend's own sink can ask the storage to decide.
        if self._exclusive and self._fs.exists(self._path):
            raise FileExistsError

    def write(self, data: memoryview) -> None:
        """Append to the spool.

        Raises:
            MachineFailed: there is no room.
        """
        spooled(lambda: write_all(self._spool, data))

    def commit(self) -> None:
        """Put the object."""
        translated(self._path, self._put)
        self._spool.close()

    def _put(self) -> None:
        self._check()
        if isinstance(self._fs, MemoryFileSystem):
            # Its put_file would show the object growing.
            self._spool.seek(0)
            self._fs.pipe_file(self._path, self._spool.read())
        else:
            self._fs.put_file(self._spool.name, self._path)

    def discard(self) -> None:
        """Drop the spool."""
        self._spool.close()


def open_source(fs: AbstractFileSystem, path: str) -> Source:
    """Return the sealed bytes at `path`, to be read.

    Raises:
        ObjectNotFound, NotAnObject, AccessDenied: there is no such object, or it may not be read.
    """
    if isinstance(fs, OpensSources):
        return fs.open_source(path)
    if isinstance(fs, LocalFileSystem):
        return translated(path, lambda: FileSource(open_local(path), owned=True))
    return RangeSource(fs, path)


def open_sink(fs: AbstractFileSystem, path: str, *, exclusive: bool) -> Sink:
    """Return a place for the sealed bytes of a new object at `path`.

    Raises:
        ObjectExists: exclusive, and something is stored there. Some storages can tell only on commit.
        NotAnObject, AccessDenied: it cannot be written there.
    """
    if isinstance(fs, OpensSinks):
        return fs.open_sink(path, exclusive=exclusive)
    if isinstance(fs, LocalFileSystem):
        if fs.auto_mkdir:
            translated(path, lambda: os.makedirs(os.path.dirname(path), exist_ok=True))
        return translated(path, lambda: PathSink(os.fspath(path), exclusive=exclusive))
    return SpoolSink(fs, path, exclusive=exclusive)
