"""The private folder of plain files that a run works in; it is removed afterwards.

A run that is killed cannot remove its folder, so the next run in the same ``$TMPDIR`` does. Each run holds a lock on
its own folder, which the system releases when the process ends: a folder that is not locked has been abandoned.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from connectors.errors import ConnectorError, MachineFailed
from connectors.system.os_errors import OF_THIS_MACHINE, numbered, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["PrivateFolder", "keeping", "remove"]

_PREFIX = "connectors-run-"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOENT})
_SPARE = 8
"""File descriptors reserved for removing the folder, in case the process has run out of them by then."""

_log = logging.getLogger(__name__)


class PrivateFolder:
    """A folder for plain files that only its user can enter; it is removed at the end of the block.

    Attributes:
        path: its path.

    Raises:
        MachineFailed: the disk is full, or a limit is reached.
    """

    def __init__(self) -> None:
        _sweep(tempfile.gettempdir())
        self._spare: list[int] = []
        self._lock = -1
        try:
            with keeping():
                self._spare += (os.open(os.devnull, os.O_RDONLY) for _ in range(_SPARE))
                self.path, self._lock = _make()
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        while self._spare:
            os.close(self._spare.pop())

    def make(self, name: str) -> str:
        """Make a subfolder and return its path."""
        path = os.path.join(self.path, name)
        with keeping():
            os.mkdir(path, 0o700)
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()
        try:
            remove(self.path)
        except OSError as problem:
            message = f"plain data remains in {self.path}, which could not be removed ({problem.strerror}): remove it"
        else:
            return
        finally:
            os.close(self._lock)
        if error is None:
            raise ConnectorError(message)
        error.add_note(message)
        _log.error(message)


def _make() -> tuple[str, int]:
    """Make a folder; return its path and the descriptor that holds its lock."""
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX)
        try:
            lock = _open(path)
        except FileNotFoundError:  # as below
            continue
        except BaseException:
            os.rmdir(path)
            raise
        if _try_lock(lock, otherwise=True) and os.path.isdir(path):
            return path, lock
        # Before it was locked, another run took it for an abandoned one and removed it.
        os.close(lock)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _try_lock(descriptor: int, *, otherwise: bool) -> bool:
    """Lock a folder and return whether that succeeded; return `otherwise` if the filesystem has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return otherwise
    return True


def _sweep(parent: str) -> None:
    """Remove the folders that killed runs of this user left behind."""
    with suppress(OSError):  # without $TMPDIR, making the new folder raises the error
        for name in os.listdir(parent):
            if name.startswith(_PREFIX):
                _remove_abandoned(os.path.join(parent, name))


def _remove_abandoned(path: str) -> None:
    try:
        lock = _open(path)
    except OSError:  # another user's, not a folder, or already removed
        return
    try:
        if os.fstat(lock).st_uid == os.geteuid() and _try_lock(lock, otherwise=False):
            remove(path)
            _log.warning("removed %s, with the plain files of a run that was killed", path)
    except FileNotFoundError:  # another run was faster
        return
    except OSError as problem:
        _log.warning("plain files of a run that was killed are left in %s: %s", path, problem.strerror)
    finally:
        os.close(lock)


def remove(folder: str) -> None:
    """Remove a folder and its contents.

    Raises:
        OSError: something in it cannot be removed.
    """
    try:
        shutil.rmtree(folder)
    except PermissionError:
        # The command may have made folders inaccessible. They are ours, so we can change that; links lead elsewhere.
        os.chmod(folder, 0o700)
        for parent, names, _ in os.walk(folder):
            for path in (os.path.join(parent, name) for name in names):
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
        shutil.rmtree(folder)


@contextmanager
def keeping() -> Iterator[None]:
    """Raise an error that says what to do if there is no room for plain files.

    Raises:
        MachineFailed: there is no room.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, ConnectorError) or error.errno not in _NO_ROOM | OF_THIS_MACHINE:
            raise
        advice = "set it to a folder that can hold them" if error.errno in _NO_ROOM else "raise this limit"
        message = f"plain files cannot be kept in $TMPDIR ({reason_of(error)}): {advice}"
        told = numbered(MachineFailed(message), error, "$TMPDIR")
    else:
        return
    raise told
