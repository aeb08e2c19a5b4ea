"""Write local files and folders atomically: each appears whole or not at all, under a name that is its own.

This is the one place that stages, syncs, links and renames. What is staged lies beside its destination. A staged file
has no name on Linux, so a writer that is killed leaves nothing. A link replaces nothing, so a file that is about to
replace another gets a hidden name first: a writer killed between these two steps leaves a hidden file, which is whole.
Elsewhere, and for folders, the name is hidden from the start: ``.NAME.<32 hexadecimal digits>.part``. On filesystems
without links, such as FAT, a new file is empty for the moment before it is whole.

If the machine has no room, that is `MachineFailed`, which names the file; the system names none where a write fails.
Other errors of the operating system pass through as they are.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from functools import partial
from typing import IO, TYPE_CHECKING

from connectors.errors import InvalidDocument
from connectors.system.os_errors import OF_THIS_MACHINE, failure

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Mapping

__all__ = [
    "StagedFile",
    "is_staged",
    "locked",
    "read_regular",
    "replace",
    "shared_mode",
    "write_all",
    "write_folder",
    "write_new",
]

_STAGED = re.compile(r"\..*\.[0-9a-f]{32}\.part", re.DOTALL)
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700
_SHARED, _SHARED_FOLDER = 0o666, 0o777
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM})
"""What filesystems answer that cannot sync a folder; other errors mean that a sync has failed."""

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})
"""What filesystems answer that have no links, such as FAT."""


class StagedFile:
    """A file beside its destination, which only its owner can read until it gets its name.

    Args:
        path: the destination; absolute, if the process may change its working folder meanwhile.

    Attributes:
        file: the open file, unbuffered.
    """

    file: io.FileIO

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder = os.path.dirname(path) or os.curdir
        self._hidden: str | None = None
        unnamed = _open_unnamed(self._folder)
        if unnamed is None:
            self._hidden = _hidden_name(path)
            self.file = _create(self._hidden, _PRIVATE)
        else:
            self.file = open(unnamed, "wb", buffering=0)  # noqa: SIM115 - closed by those below

    def write(self, data: bytes | memoryview) -> None:
        """Append all of `data`."""
        write_all(self.file, data)

    def create(self, mode: int | None = None) -> None:
        """Sync the file and give it its name.

        Args:
            mode: its permissions; if None, only its owner can read it.

        Raises:
            FileExistsError: something has that name.
        """
        self._finish(mode)
        try:
            self._link(self._path)
        except OSError as error:
            if self._hidden is None or error.errno not in _NO_LINKS:
                raise
            # The name is taken first, by an empty file, which is then replaced.
            with _create(self._path, _PRIVATE):
                pass
            os.replace(self._hidden, self._path)
            self._hidden = None
        self.drop()
        _sync_new_name(self._folder)

    def replace(self, mode: int | None = None) -> None:
        """Sync the file and give it its name, in place of a file or link that has it.

        Args:
            mode: its permissions; if None, only its owner can read it.
        """
        self._finish(mode)
        if self._hidden is None:
            # Noted before it is made: an interrupt may come between the two.
            self._hidden = _hidden_name(self._path)
            self._link_unnamed(self._hidden)
        self.file.close()
        os.replace(self._hidden, self._path)
        self._hidden = None
        _sync_new_name(self._folder)

    def drop(self) -> None:
        """Close the file and remove its hidden name; does nothing a second time."""
        self.file.close()
        if self._hidden is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._hidden)
            self._hidden = None

    def _finish(self, mode: int | None) -> None:
        if mode is not None:
            os.fchmod(self.file.fileno(), mode)
        os.fsync(self.file.fileno())

    def _link(self, path: str) -> None:
        if self._hidden is not None:
            os.link(self._hidden, path)
        else:
            self._link_unnamed(path)

    def _link_unnamed(self, path: str) -> None:
        # The file is linked by its descriptor, as it has no name. Python follows a source that is a link only if it is
        # given a folder's descriptor; which one does not matter, as the source is absolute.
        number = self.file.fileno()
        os.link(f"/proc/self/fd/{number}", path, src_dir_fd=number, follow_symlinks=True)


def write_new(path: str, data: bytes, *, private: bool = True) -> bool:
    """Write a file unless something has its name, and tell whether it was written.

    Args:
        path: the file; missing folders above it are made.
        data: its contents.
        private: only its owner can read it; else the umask decides.

    Raises:
        MachineFailed: the disk is full, or another limit of the machine is reached.
    """
    with _room(path), _staged(path, data, private=private) as staged:
        try:
            staged.create(None if private else shared_mode())
        except FileExistsError:
            return False
    return True


def replace(path: str, data: bytes, *, private: bool = True) -> None:
    """Write a file, in place of a file or link that has its name, whatever its permissions; else as `write_new`."""
    with _room(path), _staged(path, data, private=private) as staged:
        staged.replace(None if private else shared_mode())


@contextlib.contextmanager
def _room(path: str) -> Iterator[None]:
    """Convert errors about this machine."""
    try:
        yield
    except OSError as error:
        if error.errno not in OF_THIS_MACHINE:
            raise
        told = failure(error, path)
    else:
        return
    raise told


@contextlib.contextmanager
def _staged(path: str, data: bytes, *, private: bool) -> Iterator[StagedFile]:
    folder = os.path.dirname(path) or os.curdir
    os.makedirs(folder, mode=_PRIVATE_FOLDER if private else _SHARED_FOLDER, exist_ok=True)
    staged = StagedFile(path)
    try:
        staged.write(data)
        yield staged
    finally:
        staged.drop()


def write_folder(path: str, files: Mapping[str, bytes], *, replace: bool = False, private: bool = True) -> None:
    """Write a folder with everything in it.

    The files change together. A process that looks meanwhile finds the old folder or the new one; while one replaces
    another there is, for the moment between two renames, none. If placing the new one fails, the old one comes back.
    If the process is killed in that moment, the old one is in a hidden folder, as ``old``.

    Args:
        path: the folder; the one above it is there.
        files: the contents of its files, by their paths in it: names with slashes between them, and no ``..``.
        replace: replace what has its name; else only an empty folder gives way.
        private: only its owner can enter it and read its files; else the umask decides.

    Raises:
        FileExistsError: something has its name and is not to be replaced.
        MachineFailed: as for `write_new`.
    """
    staged = _hidden_name(path)
    try:
        with _room(path):
            _fill(staged, files, private=private)
        if replace and os.path.lexists(path):
            _swap(staged, path)
        else:
            _rename_new(staged, path)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    _sync_new_name(os.path.dirname(path) or os.curdir)


def _fill(root: str, files: Mapping[str, bytes], *, private: bool) -> None:
    file_mode, folder_mode = (_PRIVATE, _PRIVATE_FOLDER) if private else (_SHARED, _SHARED_FOLDER)
    os.mkdir(root, folder_mode)
    folders = {root: None}
    for path, data in files.items():
        *above, _ = parts = path.split("/")
        for depth in range(1, len(above) + 1):
            folder = os.path.join(root, *above[:depth])
            if folder not in folders:
                os.mkdir(folder, folder_mode)
                folders[folder] = None
        with _create(os.path.join(root, *parts), file_mode) as file:
            write_all(file, data)
            os.fsync(file.fileno())
    for folder in reversed(folders):
        _sync_folder(folder)


def _rename_new(staged: str, path: str) -> None:
    try:
        os.rename(staged, path)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR} and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        raise


def _swap(staged: str, path: str) -> None:
    aside = _hidden_name(path)
    old = os.path.join(aside, "old")
    os.mkdir(aside, _PRIVATE_FOLDER)
    try:
        os.rename(path, old)
        try:
            os.rename(staged, path)
        except BaseException:
            os.rename(old, path)
            raise
    except BaseException:
        with contextlib.suppress(OSError):  # not empty: the old one could not be put back, and is the last there is
            os.rmdir(aside)
        raise
    shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Let one process at a time into the block; the others wait. No file is left behind.

    Args:
        folder: what is locked; made if it is missing.
    """
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_regular(path: str, limit: int) -> bytes | None:
    """Return the contents of a file in a folder that strangers write to, or None if it is missing.

    Args:
        path: the file.
        limit: bytes that it may have.

    Raises:
        InvalidDocument: it is not a regular file (but a link or a pipe), or larger than the limit.
    """
    try:
        # A link may lead elsewhere, and a pipe may never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        if not os.path.islink(path):
            raise
        regular, data = False, b""
    else:
        regular, data = stat.S_ISREG(os.fstat(descriptor).st_mode), b""
        if regular:
            with open(descriptor, "rb") as file:
                data = file.read(limit + 1)
        else:
            os.close(descriptor)
    if not regular or len(data) > limit:
        message = f"{path} is {'larger than any document' if regular else 'no regular file'}; it does not belong there"
        raise InvalidDocument(message)
    return data


def shared_mode() -> int:
    """Return the permissions of a new file that others may read, as far as the umask lets them."""
    return _SHARED & ~_umask()


def _umask() -> int:
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="utf-8", errors="replace") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0o077)  # it can be read only by setting it; other threads' files are private for that moment
    os.umask(mask)
    return mask


def is_staged(name: str) -> bool:
    """Return whether a file of this name is a staged one, which listings skip.

    >>> [is_staged(name) for name in (f".a.csv.{'0f' * 16}.part", "north/.cache.part", "a.csv")]
    [True, False, False]
    """
    return _STAGED.fullmatch(name.rpartition("/")[2]) is not None


def _hidden_name(path: str) -> str:
    """Return a new name beside a path; see `is_staged`."""
    folder, name = os.path.split(path)
    # Only the start of a long name: with its additions it must not exceed what a name may have.
    return os.path.join(folder, f".{name[:40]}.{secrets.token_hex(16)}.part")


def _open_unnamed(folder: str) -> int | None:
    """Open a file without a name in a folder; return None where there can be none, for whatever reason."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, _PRIVATE)
    except OSError:
        return None  # a reason that matters prevents a named file, too
    if os.path.exists(f"/proc/self/fd/{descriptor}"):
        return descriptor
    os.close(descriptor)  # without /proc it could never get a name
    return None


def _create(path: str, mode: int) -> io.FileIO:
    """Create a file; a link that has its name is an error, too."""
    return open(path, "xb", buffering=0, opener=partial(os.open, mode=mode))


def write_all(file: IO[bytes] | io.FileIO, data: bytes | memoryview) -> None:
    """Write all of `data` to an unbuffered file, which may take a part of it at a time."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _sync_folder(folder: str) -> None:
    """Sync a folder, where the filesystem can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync_new_name(folder: str) -> None:
    """Let a new name survive a power cut. A failure does not undo it: the file or folder is there, whole."""
    with contextlib.suppress(OSError):
        _sync_folder(folder)
