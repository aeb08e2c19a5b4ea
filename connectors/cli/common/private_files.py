"""Read and write small private files: keys, passphrases, credentials documents."""

from __future__ import annotations

import os
import re
import traceback

from connectors.cli.common import console
from connectors.errors import ConfigError, NotAnObject, ObjectExists, ObjectNotFound
from connectors.keys.files import warn_if_wide
from connectors.secrets import Hidden
from connectors.system.atomic_files import replace, write_new

__all__ = ["LIMIT", "exists_error", "read_private", "write_private"]

LIMIT = 1 << 20
"""The size limit of a private file in bytes, far above what any needs."""

_WARNED = ("key file", "passphrase file")
_HEX = re.compile(r"\s*[0-9A-Fa-f]{48,}\s*")


def read_private(path: str, what: str, *, limit: int = LIMIT) -> bytes:
    """Return the content of a small file, or of standard input if `path` is ``-``.

    Args:
        path: the file's name.
        what: what errors call it: "key file".
        limit: the largest size, in bytes.

    Raises:
        ConfigError: there is no such file, it is a folder, cannot be read, is empty, or larger than the limit.
    """
    data, problem = _read(path, what, limit)
    if problem:
        raise ConfigError(problem)
    return data


def _read(path: str, what: str, limit: int) -> tuple[bytes, str]:
    shown = f"the {what} {path!r}"
    try:
        if path == "-":
            shown = f"the {what} on standard input"
            data = console.stdin().read(limit + 1)
        else:
            with open(path, "rb") as file:
                if what in _WARNED:
                    warn_if_wide(file.fileno(), shown)
                data = file.read(limit + 1)
    except FileNotFoundError:
        return b"", _missing(path, what)
    except IsADirectoryError:
        return b"", f"the {what} {path!r} is a folder"
    except OSError as error:
        return b"", f"the {what} {path!r} cannot be read ({error.strerror})"
    except ValueError:  # a null character in the name
        return b"", _missing(path, what)
    if len(data) > limit:
        return b"", f"{shown} is larger than {limit} bytes; it must be another file"
    return data, "" if data.strip() else f"{shown} is empty"


def _missing(path: str, what: str) -> str:
    """Return the message for a missing file, without its name where that is the secret itself, passed by mistake."""
    if _HEX.fullmatch(path):
        return (
            f"name the file that holds the key, not the key itself: it is now in this machine's process list and your "
            f"shell's history, so make a new one (there is no such {what})"
        )
    if path.lstrip().startswith(("{", "[")):
        return f"name the file that holds the {what}, not its content (or - for standard input)"
    return f"there is no {what} {path!r}"


def write_private(path: str, data: bytes | Hidden, *, force: bool = False) -> None:
    """Write a file that only its owner can read, atomically.

    Args:
        path: the file.
        data: its content.
        force: replace an existing file.

    Raises:
        ObjectExists: the file exists, and `force` is not set.
        NotAnObject: the path is a folder.
        ConfigError: the path is a device, a pipe or a socket.
        ObjectNotFound: the parent folder does not exist.
    """
    data = Hidden(data)
    folder, name = os.path.split(os.path.abspath(path))
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        message = f"{path!r} is a device or a pipe, which a private file would replace; name a file"
        raise ConfigError(message)
    if os.path.isdir(path) or not os.path.basename(path):
        message = f"{path!r} is a folder; name a file"
        raise NotAnObject(message)
    if not os.path.isdir(folder):
        message = f"there is no folder {folder!r} to write {name!r} into"
        raise ObjectNotFound(message)
    if not force and os.path.lexists(path):
        raise exists_error(path)
    try:
        if force:
            replace(path, data.reveal())
        written = force or write_new(path, data.reveal())
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # those below hold the content
        raise
    if not written:
        raise exists_error(path)


def exists_error(path: str) -> ObjectExists:
    """Return the error for a file that would be replaced."""
    return ObjectExists(f"{path!r} already exists and was not changed; --force replaces it")
