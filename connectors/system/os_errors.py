"""Convert the operating system's errors on local files to `connectors.errors`: a full disk, a quota, a limit."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, TypeVar

from connectors.errors import AccessDenied, ConnectorError, MachineFailed, NotAnObject, ObjectNotFound, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OF_THIS_MACHINE", "failure", "numbered", "on_this_machine", "reason_of", "spooled"]

T = TypeVar("T")
S = TypeVar("S", bound=StorageError)

_ROOM = "free some space, or choose another place"
_FILES = "close some, or raise the limit (ulimit -n)"
_ADVICE: Final = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "choose another place",
    errno.EFBIG: "raise the limit on the size of a file (ulimit -f), or choose another place",
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: "give this machine more memory",
    errno.EIO: "check the disk",
    errno.ENAMETOOLONG: "choose a shorter name",
}

OF_THIS_MACHINE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EMFILE, errno.ENFILE})
"""Error numbers that are about this machine, whichever storage is in use."""

_KINDS: Final[tuple[tuple[type[OSError], type[StorageError], str], ...]] = (
    (FileNotFoundError, ObjectNotFound, "its folder no longer exists"),
    (NotADirectoryError, ObjectNotFound, "a part of its path is not a folder"),
    (IsADirectoryError, NotAnObject, "it is a folder"),
    (PermissionError, AccessDenied, "give this process permission"),
)


def failure(error: OSError, path: str, cannot: str = "cannot be written") -> StorageError:
    """Convert an `OSError` about a path to a `StorageError` that keeps its number and says what to do.

    Args:
        error: the original error.
        path: the path it is about.
        cannot: what cannot be done with the path.
    """
    kind, advice = next(
        ((kind, advice) for builtin, kind, advice in _KINDS if isinstance(error, builtin)),
        (MachineFailed, _ADVICE.get(error.errno or 0, "try again, or choose another place")),
    )
    # The system's message comes last, as in other tools; never the error's own text, which may come from anywhere.
    return numbered(kind(f"{path} {cannot}; {advice}: {reason_of(error)}"), error, path)


def reason_of(error: OSError) -> str:
    """Return the system's message for an error."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def numbered(told: S, error: OSError, path: str) -> S:
    """Copy the system error's number, message and path to a `StorageError`."""
    told.errno, told.strerror, told.filename = error.errno, reason_of(error), path
    return told


def on_this_machine(path: str, call: Callable[[], T], cannot: str = "cannot be written") -> T:
    """Call `call`, which uses a local file, and convert its `OSError`.

    Raises:
        MachineFailed: the disk is full or broken, or a limit is reached.
        ObjectNotFound, NotAnObject, AccessDenied: as the system reports.
    """
    try:
        return call()
    except ConnectorError:
        raise
    except OSError as error:
        told = failure(error, path, cannot)
    raise told


def spooled(call: Callable[[], T]) -> T:
    """Call `call`, which uses a temporary file of sealed bytes, and convert its `OSError`.

    Raises:
        MachineFailed, ObjectNotFound, AccessDenied: the file cannot be created or written.
    """
    return on_this_machine("$TMPDIR", call, "cannot hold a temporary file of sealed bytes")
