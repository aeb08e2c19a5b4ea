"""What this machine refuses, told as errors of ours: a full disk, a quota, a limit, a folder that is gone."""

from __future__ import annotations

import errno
import os
from typing import IO, TYPE_CHECKING, Final, TypeVar

from connectors.errors import AccessDenied, ConnectorError, MachineFailed, NotAnObject, ObjectNotFound, StorageError

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

__all__ = ["OF_THIS_MACHINE", "failure", "numbered", "on_this_machine", "reason_of", "spooled", "write_all"]

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
"""The numbers of errors that a machine has by itself, whatever storage is being talked to."""

_KINDS: Final[tuple[tuple[type[OSError], type[StorageError], str], ...]] = (
    (FileNotFoundError, ObjectNotFound, "its folder no longer exists"),
    (NotADirectoryError, ObjectNotFound, "a part of its path is not a folder"),
    (IsADirectoryError, NotAnObject, "it is a folder"),
    (PermissionError, AccessDenied, "give this process permission"),
)


def failure(error: OSError, path: str, cannot: str = "cannot be written") -> StorageError:
    """Return what the system said about a place as an error of ours, which keeps its number and says what to do.

    Args:
        error: what was raised.
        path: the place.
        cannot: what is told of it.
    """
    kind, advice = next(
        ((kind, advice) for builtin, kind, advice in _KINDS if isinstance(error, builtin)),
        (MachineFailed, _ADVICE.get(error.errno or 0, "try again, or choose another place")),
    )
    # The system's own words last, as every tool has them; never the error's own text, which may be anybody's.
    return numbered(kind(f"{path} {cannot}; {advice}: {reason_of(error)}"), error, path)


def reason_of(error: OSError) -> str:
    """Return what the system calls an error."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def numbered(told: S, error: OSError, path: str) -> S:
    """Give an error of ours the number of the system's."""
    told.errno, told.strerror, told.filename = error.errno, reason_of(error), path
    return told


def on_this_machine(path: str, call: Callable[[], T], cannot: str = "cannot be written") -> T:
    """Return what `call` does with a local file, whose system's errors become ours.

    Raises:
        MachineFailed: there is no room, a limit is reached, the disk is broken.
        ObjectNotFound, NotAnObject, AccessDenied: what it says.
    """
    try:
        return call()
    except ConnectorError:
        raise
    except OSError as error:
        told = failure(error, path, cannot)
    raise told


def spooled(call: Callable[[], T]) -> T:
    """Return what `call` does with a temporary file, in which sealed bytes wait until they are whole.

    Raises:
        MachineFailed, ObjectNotFound, AccessDenied: there is no room for it.
    """
    return on_this_machine("$TMPDIR", call, "cannot hold a temporary file of sealed bytes")


def write_all(file: IO[bytes] | io.FileIO, data: memoryview) -> None:
    """Write all of `data` to an unbuffered local file, which takes what it likes at once."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
