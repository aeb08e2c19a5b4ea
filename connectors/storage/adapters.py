"""A `Source` and a `Sink` over any fsspec filesystem.

A filesystem may provide its own: see `connectors.storage.capabilities`. Any other one is read by ranges. For writing,
local files are staged and renamed; elsewhere the sealed object is spooled to a temporary file and uploaded on commit,
because fsspec's own files publish incomplete objects when they are closed by an error.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from typing import TYPE_CHECKING, Any, TypeVar

from connectors._fsspec import LocalFileSystem, MemoryFileSystem
from connectors.errors import (
    AccessDenied,
    ConnectorError,
    NotAnObject,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage.capabilities import OpensSinks, creates_exclusively, opens_sources, replaces_atomically
from connectors.streams import FileSource, PathSink
from connectors.streams.sources import open_local
from connectors.system.atomic_files import write_all
from connectors.system.locks import ForkSafeLock
from connectors.system.os_errors import OF_THIS_MACHINE, failure, spooled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors._fsspec import AbstractFileSystem
    from connectors.streams import Sink, Source

__all__ = [
    "RangeSource",
    "SpoolSink",
    "check_replaceable",
    "claimed_size",
    "map_errors",
    "open_sink",
    "open_source",
]

T = TypeVar("T")

_IN_MEMORY = ForkSafeLock()
"""Held while an object appears in memory."""


def map_errors(path: str, call: Callable[[], T]) -> T:
    """Call `call`, and convert the built-in errors that filesystems raise to those of `connectors.errors`.

    This is a function and not a context manager because an error raised at the end of a ``with`` block keeps the
    block's error as its context, and errors of storage libraries may contain a signed URL.
    """
    mapped: ConnectorError
    try:
        return call()
    except ConnectorError:
        raise
    except FileNotFoundError:
        mapped = ObjectNotFound(f"nothing is stored at {path}")
    except FileExistsError:
        mapped = ObjectExists(f"an object is already stored at {path}")
    except (IsADirectoryError, NotADirectoryError):
        mapped = NotAnObject(f"{path} is a folder, or lies below a file; name a single object")
    except PermissionError:
        mapped = AccessDenied(f"the storage does not allow this at {path}")
    except OSError as error:
        mapped = _other_failure(error, path)
    raise mapped


def _other_failure(error: OSError, path: str) -> ConnectorError:
    """Return our error for an OSError that has no own type; its text may be the storage's, and is not shown."""
    if error.errno in OF_THIS_MACHINE:
        return failure(error, path, "cannot be read or written")
    if error.errno is None or isinstance(error, (ConnectionError, TimeoutError)):
        return StorageUnavailable(f"the storage failed at {path} ({type(error).__name__}); try again later")
    return StorageError(f"{path} cannot be read or written: {os.strerror(error.errno)}")


def claimed_size(info: Mapping[str, Any], *, strict: bool = True) -> int | None:
    """Return the size of an object as its storage reports it, from a filesystem's `info`.

    Raises:
        StorageUnavailable: `strict`, and there is no valid size; otherwise None is returned.
    """
    size = info.get("size")
    if isinstance(size, int) and size >= 0:
        return size
    if strict:
        message = f"the storage reports no valid size for {info['name']}"
        raise StorageUnavailable(message)
    return None


class RangeSource:
    """An object of any filesystem, read by ranges. The format detects changes during the read."""

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        info = map_errors(path, lambda: fs.info(path))
        if info["type"] == "directory":
            message = f"{path} is a folder; name a single object"
            raise NotAnObject(message)
        self.size: int = claimed_size(info) or 0

    def read_range(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        return map_errors(self._path, lambda: self._fs.cat_file(self._path, start=start, end=stop))

    def close(self) -> None:
        """Do nothing: there is no open connection."""


class SpoolSink:
    """A new object of any filesystem: spooled, sealed, to a temporary file, and uploaded on commit."""

    def __init__(self, fs: AbstractFileSystem, path: str, *, exclusive: bool) -> None:
        self._fs = fs
        self._path = path
        self._exclusive = exclusive
        map_errors(path, self._check)
        self._spool = spooled(
            lambda: tempfile.NamedTemporaryFile(prefix="sealed-", buffering=0)  # noqa: SIM115 - closed below
        )

    def _check(self) -> None:
        if self._fs.isdir(self._path):
            raise IsADirectoryError
        # Two writers can both pass: what decides is the storage, in `_put`.
        if self._exclusive and self._fs.exists(self._path):
            raise FileExistsError
        if not self._exclusive:
            check_replaceable(self._fs, self._path)

    def write(self, data: memoryview) -> None:
        """Append to the spool.

        Raises:
            MachineFailed: the disk is full.
        """
        spooled(lambda: write_all(self._spool, data))

    def commit(self) -> None:
        """Upload the object."""
        map_errors(self._path, self._put)
        self._spool.close()

    def _put(self) -> None:
        if isinstance(self._fs, MemoryFileSystem):
            # Its put_file would show an incomplete object, and this process's writers share it.
            self._spool.seek(0)
            with _IN_MEMORY.current:
                self._check()
                self._fs.pipe_file(self._path, self._spool.read())
            return
        self._check()
        modes = inspect.signature(self._fs.put_file).parameters
        options: dict[str, Any] = {"mode": "create"} if self._exclusive and "mode" in modes else {}
        self._fs.put_file(self._spool.name, self._path, **options)

    def discard(self) -> None:
        """Drop the spool."""
        self._spool.close()


def open_source(fs: AbstractFileSystem, path: str) -> Source:
    """Open the sealed bytes at `path` for reading.

    Raises:
        ObjectNotFound, NotAnObject, AccessDenied: the object does not exist, or cannot be read.
    """
    if opens_sources(fs):
        return fs.open_source(path)
    if isinstance(fs, LocalFileSystem):
        return map_errors(path, lambda: FileSource(open_local(path, pipes=False), owned=True))
    return RangeSource(fs, path)


def open_sink(fs: AbstractFileSystem, path: str, *, exclusive: bool) -> Sink:
    """Open a sink for the sealed bytes of a new object at `path`.

    Raises:
        ObjectExists: `exclusive`, and the object exists. Some storages report this only on commit.
        NotAnObject, AccessDenied: the path cannot be written.
        NotSupported: the storage declares that it cannot create exclusively, or replace the object that exists.
    """
    if exclusive and not creates_exclusively(fs):
        message = (
            f"{path} cannot be created exclusively: in this storage, two writers could both succeed, and one "
            "would lose its data; give each writer a name of its own, and write with 'wb'"
        )
        raise NotSupported(message)
    if isinstance(fs, OpensSinks):
        if not exclusive:
            check_replaceable(fs, path)
        return fs.open_sink(path, exclusive=exclusive)
    if isinstance(fs, LocalFileSystem):
        if fs.auto_mkdir:
            map_errors(path, lambda: os.makedirs(os.path.dirname(path), exist_ok=True))
        return map_errors(path, lambda: PathSink(os.fspath(path), exclusive=exclusive))
    return SpoolSink(fs, path, exclusive=exclusive)


def check_replaceable(fs: AbstractFileSystem, path: str) -> None:
    """Refuse to replace an object in a storage that declares that it would do so in place.

    Raises:
        NotSupported: the object exists.
        StorageError: the storage does not say whether it does.
    """
    if replaces_atomically(fs):
        return
    try:
        map_errors(path, lambda: fs.info(path))  # not `exists`, which takes a refusal for absence
    except ObjectNotFound:
        return
    message = (
        f"{path} already exists, and this storage replaces objects in place: a failure half way would destroy it; "
        "write to another name, or remove it first"
    )
    raise NotSupported(message)
