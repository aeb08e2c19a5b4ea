"""Files that appear whole or not at all, and that a second writer does not overwrite."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from typing import TYPE_CHECKING

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PRIVATE", "SHARED", "locked", "read", "replace", "write_once"]

SHARED = 0o666
"""The mode of a file that others may read, as far as the umask lets them."""
PRIVATE = 0o600
"""The mode of a file that its owner alone reads."""


def read(path: str) -> bytes | None:
    """Return what a file holds, or None if there is none.

    Raises:
        InvalidDocument: it is no regular file (a link, a pipe), or larger than any document.
    """
    try:
        # A folder from anybody's hands may hold a pipe that never ends, or a link to somewhere else.
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
                data = file.read(MAX_SIZE + 1)
        else:
            os.close(descriptor)
    if not regular or len(data) > MAX_SIZE:
        message = f"{path} is {'larger than any document' if regular else 'no regular file'}; it does not belong there"
        raise InvalidDocument(message)
    return data


def write_once(path: str, data: bytes, mode: int = SHARED) -> bool:
    """Write a file unless there is one already, and tell whether it was written.

    Whoever looks finds it whole or not at all, and of two writers one finds the other's.
    """
    with _staged(path, data, mode) as staged:
        try:
            os.link(staged, path)
        except FileExistsError:
            return False
    _sync_folder(os.path.dirname(path))
    return True


def replace(path: str, data: bytes, mode: int = SHARED) -> None:
    """Write a file, in the place of one that may be there."""
    with _staged(path, data, mode) as staged:
        os.replace(staged, path)
    _sync_folder(os.path.dirname(path))


@contextlib.contextmanager
def _staged(path: str, data: bytes, mode: int) -> Iterator[str]:
    """Yield the name of a file with these bytes, beside where it is to stand; it does not stay."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o777 if mode == SHARED else 0o700, exist_ok=True)
    staged = os.path.join(folder, f".{secrets.token_hex(16)}.part")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield staged
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Let one process at a time into the block; the others wait. No file is left behind."""
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    """Make a new name survive a power cut, where the filesystem lets a folder be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
