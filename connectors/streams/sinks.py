"""Where a writer's sealed bytes go: a place in which an object appears whole, on commit, or not at all."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from connectors.errors import AccessDenied, ConfigError, NotAnObject, NotSupported, ObjectExists, ObjectNotFound
from connectors.streams.os_errors import on_this_machine, write_all
from connectors.streams.sources import BinaryFile, as_path, check_binary
from connectors.streams.staging import StagedFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import TypeIs

    from connectors._fsspec import AbstractFileSystem
    from connectors.streams.sources import StrPath

__all__ = ["FileSink", "PathSink", "RenewableSink", "Sink", "as_sink"]


@runtime_checkable
class Sink(Protocol):
    """An object in the making.

    Either `commit` is called, once, or `discard` is; after an error in either, or in `write`, `discard` may follow.
    `write` may be called in another thread than the others, but never two of them at once.
    """

    def write(self, data: memoryview) -> object:
        """Take all of `data`, which is the caller's again when this returns."""

    def commit(self) -> object:
        """Make the object appear, whole, in the place of what stood there."""

    def discard(self) -> object:
        """Leave what stood there; drop what was written. Does nothing a second time."""


@runtime_checkable
class RenewableSink(Sink, Protocol):
    """A sink that goes on with renewed credentials when its own expire while it is written."""

    def renew_by(self, renew: Callable[[AbstractFileSystem], AbstractFileSystem]) -> None:
        """Have `renew` called when the credentials have expired.

        Args:
            renew: takes the filesystem whose credentials have expired; returns one with renewed credentials, or the
                same one if there are none. May be called in another thread.
        """


class PathSink:
    """A local file, staged beside its place and renamed into it.

    Args:
        path: where the file is to appear.
        exclusive: refuse to replace a file, also one that appears while this one is being written.

    Raises:
        ObjectExists: exclusive, and there is one.
        NotAnObject: a folder stands there, or the path is a folder's.
        NotSupported: a device, pipe or socket stands there, which a rename would replace by a file.
        ObjectNotFound: the folder it should stand in does not exist.
        AccessDenied: this process may not write into it.
        MachineFailed: there is no room, or too many files are open.
    """

    def __init__(self, path: StrPath, *, exclusive: bool = False) -> None:
        shown = as_path(path)
        self._path = os.path.abspath(shown)  # of now: the process may change its folder before it commits
        self._exclusive = exclusive
        folder, name = os.path.split(self._path)
        if os.path.isdir(self._path) or not os.path.basename(shown):
            message = f"{shown!r} is a folder; name a file"
            raise NotAnObject(message)
        if exclusive and os.path.lexists(self._path):
            raise self._exists()
        if os.path.exists(self._path) and not os.path.isfile(self._path):
            message = f"{shown} is not a regular file and cannot be replaced atomically; pass an open file instead"
            raise NotSupported(message)
        if not os.path.isdir(folder):
            message = f"there is no folder {folder} to write {name} into"
            raise ObjectNotFound(message)
        try:
            self._staged = on_this_machine(self._path, lambda: StagedFile(self._path))
        except AccessDenied:
            message = f"this process may not write into {folder}"
        else:
            return
        raise AccessDenied(message)

    def _exists(self) -> ObjectExists:
        return ObjectExists(f"{self._path} already exists")

    def write(self, data: memoryview) -> None:
        """Append to the staged file.

        Raises:
            MachineFailed: there is no room.
        """
        on_this_machine(self._path, lambda: write_all(self._staged.file, data))

    def commit(self) -> None:
        """Sync the staged file and give it its name.

        Raises:
            ObjectExists: exclusive, and there is one by now.
            MachineFailed, ObjectNotFound, NotAnObject, AccessDenied: the system does not let it.
        """
        on_this_machine(self._path, self._commit)

    def _commit(self) -> None:
        descriptor = self._staged.file.fileno()
        os.fchmod(descriptor, self._mode())
        os.fsync(descriptor)
        if not self._exclusive:
            self._staged.replace()
            return
        try:
            self._staged.create()
        except FileExistsError:
            appeared = True
        else:
            appeared = False
        if appeared:
            raise self._exists()

    def _mode(self) -> int:
        """Return the permissions of the file that is replaced: what only its owner may read stays so."""
        try:
            return stat.S_IMODE(os.stat(self._path).st_mode) & 0o777
        except FileNotFoundError:
            return 0o666 & ~_umask()

    def discard(self) -> None:
        """Remove the staged file."""
        self._staged.drop()


class FileSink:
    """A file object that somebody else owns: written as it comes, and left open.

    It cannot be unwritten. A discarded object lacks its end, so no reader takes it for whole.
    """

    def __init__(self, file: BinaryFile) -> None:
        self._file = file

    def write(self, data: memoryview) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            taken = self._file.write(view)
            if taken is None and not isinstance(self._file, io.RawIOBase):
                return  # files outside `io` take all of it, and some do not say so
            if not taken:
                message = "the destination accepts no data at the moment; open it in blocking mode"
                raise BlockingIOError(message)
            view = view[taken:]  # a raw file may take part of it

    def commit(self) -> None:
        """Flush."""
        self._file.flush()

    def discard(self) -> None:
        """Do nothing."""


def as_sink(file: StrPath | BinaryFile | Sink) -> Sink:
    """Return `file` as a `Sink`: a path is staged and renamed, a file object written to.

    Raises:
        ConfigError: a file object that is not writable, or one in text mode.
    """
    if isinstance(file, (str, os.PathLike)):
        return PathSink(file)
    if _makes_objects(file):
        return file
    check_binary(file)
    if not file.writable():
        message = "the destination is not open for writing"
        raise ConfigError(message)
    return FileSink(file)


def _makes_objects(file: BinaryFile | Sink) -> TypeIs[Sink]:
    # The files of fsspec have all the methods of a sink, and publish less than was written to them if used as one.
    return isinstance(file, Sink) and not hasattr(file, "writable")


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
