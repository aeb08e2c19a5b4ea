"""Sinks: destinations of sealed bytes, where an object appears atomically on commit, or not at all."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from connectors.errors import AccessDenied, ConfigError, NotAnObject, NotSupported, ObjectExists, ObjectNotFound
from connectors.streams.sources import BinaryFile, as_path, check_binary, no_properties
from connectors.system.atomic_files import StagedFile, shared_mode
from connectors.system.os_errors import on_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import TypeIs

    from connectors._fsspec import AbstractFileSystem
    from connectors.streams.sources import StrPath

__all__ = [
    "ExpectsSize",
    "FileSink",
    "PathSink",
    "RenewableSink",
    "Sink",
    "TakesProperties",
    "as_sink",
    "give_properties",
]


@runtime_checkable
class Sink(Protocol):
    """An object being written.

    Either `commit` is called once, or `discard` is; after an error in any method, `discard` may follow. `write` may be
    called in another thread than the others, but two methods are never called at the same time.
    """

    def write(self, data: memoryview) -> object:
        """Write all of `data`; the caller may reuse the buffer when this returns."""

    def commit(self) -> object:
        """Publish the object atomically, replacing the previous one."""

    def discard(self) -> object:
        """Drop what was written; the previous object stays. A second call does nothing."""


@runtime_checkable
class RenewableSink(Sink, Protocol):
    """A sink that continues with renewed credentials if its credentials expire during the write."""

    def renew_by(self, renew: Callable[[AbstractFileSystem], AbstractFileSystem]) -> None:
        """Set the function to call when the credentials have expired.

        Args:
            renew: takes the filesystem whose credentials have expired; returns one with renewed credentials, or the
                same one if there are none. It may be called in another thread.
        """


@runtime_checkable
class ExpectsSize(Sink, Protocol):
    """A sink that can prepare for the object's size, such as by choosing the parts of an upload."""

    def expect(self, size: int) -> None:
        """Prepare for `size` sealed bytes, before the first write; more or fewer may come.

        Raises:
            StorageError: the storage takes no object of that size.
        """


@runtime_checkable
class TakesProperties(Sink, Protocol):
    """A sink whose storage may keep properties with the object, such as the user metadata of S3."""

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Set the object's properties, before the first write.

        Args:
            properties: printable ASCII, by names in lower case.

        Raises:
            NotSupported: the storage keeps none.
        """


def give_properties(sink: Sink, properties: Mapping[str, str]) -> None:
    """Have a sink's storage keep properties with the object.

    Raises:
        NotSupported: it keeps none.
    """
    if not isinstance(sink, TakesProperties):
        raise no_properties()
    sink.set_properties(properties)


class PathSink:
    """A local file that is staged in the same folder and renamed atomically.

    Args:
        path: the final path of the file.
        exclusive: refuse to replace a file, even one that appears while this one is being written.

    Raises:
        ObjectExists: `exclusive`, and the file exists.
        NotAnObject: the path is a folder.
        NotSupported: the path is a device, pipe or socket, which a rename would replace with a file.
        ObjectNotFound: the folder of the path does not exist.
        AccessDenied: this process may not write to the folder.
        MachineFailed: the disk is full, or too many files are open.
    """

    def __init__(self, path: StrPath, *, exclusive: bool = False) -> None:
        shown = as_path(path)
        self._path = os.path.abspath(shown)  # absolute: the working directory may change before the commit
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
            MachineFailed: the disk is full.
        """
        on_this_machine(self._path, lambda: self._staged.write(data))

    def commit(self) -> None:
        """Sync the staged file and publish it under its name.

        Raises:
            ObjectExists: `exclusive`, and the file exists by now.
            MachineFailed, ObjectNotFound, NotAnObject, AccessDenied: as the system reports.
        """
        on_this_machine(self._path, self._commit)

    def _commit(self) -> None:
        if not self._exclusive:
            self._staged.replace(self._mode())
            return
        try:
            self._staged.create(shared_mode())
        except FileExistsError:
            appeared = True
        else:
            appeared = False
        if appeared:
            raise self._exists()

    def _mode(self) -> int:
        """Return the permissions of a new file, less those that the replaced one lacks: a private file stays private.

        Permissions that somebody else has widened, or those of a link or of the file it points to, widen nothing.
        """
        mode = shared_mode()
        try:
            replaced = os.lstat(self._path)
        except FileNotFoundError:
            return mode
        return mode if stat.S_ISLNK(replaced.st_mode) else mode & replaced.st_mode

    def discard(self) -> None:
        """Remove the staged file."""
        self._staged.drop()


class FileSink:
    """A caller's own file object: written immediately, and left open.

    What was written cannot be undone. A discarded object has no valid end, so every reader rejects it.
    """

    def __init__(self, file: BinaryFile) -> None:
        self._file = file

    def write(self, data: memoryview) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            taken = self._file.write(view)
            if taken is None and not isinstance(self._file, io.RawIOBase):
                return  # files outside `io` write everything, and some return None
            if not taken:
                message = "the destination accepts no data at the moment; open it in blocking mode"
                raise BlockingIOError(message)
            view = view[taken:]  # a raw file may write part of it

    def commit(self) -> None:
        """Flush."""
        self._file.flush()

    def discard(self) -> None:
        """Do nothing."""


def as_sink(file: StrPath | BinaryFile | Sink) -> Sink:
    """Return `file` as a `Sink`: a path is staged and renamed, a file object is written directly.

    Raises:
        ConfigError: a file object that is not writable, or is in text mode.
    """
    if isinstance(file, (str, os.PathLike)):
        return PathSink(file)
    if _is_sink(file):
        return file
    check_binary(file)
    if not file.writable():
        message = "the destination is not open for writing"
        raise ConfigError(message)
    return FileSink(file)


def _is_sink(file: BinaryFile | Sink) -> TypeIs[Sink]:
    # fsspec's files have all the methods of a sink, but used as one they would publish incomplete objects.
    return isinstance(file, Sink) and not hasattr(file, "writable")
