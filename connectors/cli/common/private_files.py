"""Small private files: keys and credentials documents, read with clear errors, written whole or not at all."""

from __future__ import annotations

import codecs
import os
import re

from connectors.atomic_files import replace, write_new
from connectors.cli.common import console
from connectors.errors import ConfigError, InvalidKey, NotAnObject, ObjectExists, ObjectNotFound
from connectors.secrets import KEY_SIZE, SecretKey

__all__ = ["read_key", "read_private", "write_private"]

LIMIT = 1 << 20
"""Bytes that a key or a credentials document may have: far more than any needs."""

_HEX = re.compile(r"\s*[0-9A-Fa-f]{48,}\s*")


def read_private(path: str, what: str, *, limit: int = LIMIT) -> bytes:
    """Return what a small file holds, or standard input where `path` is ``-``.

    Args:
        path: the file's name.
        what: what errors call it: "key file".
        limit: bytes that it may have.

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
                data = file.read(limit + 1)
    except FileNotFoundError:
        return b"", _missing(path, what)
    except IsADirectoryError:
        return b"", f"{path!r} is a folder where the {what} was expected"
    except OSError as error:
        return b"", f"{_missing(path, what)} that can be read ({error.strerror})"
    except ValueError:  # a name with a null character
        return b"", _missing(path, what)
    if len(data) > limit:
        return b"", f"{shown} is larger than {limit} bytes, so it is something else"
    return data, "" if data.strip() else f"{shown} is empty"


def _missing(path: str, what: str) -> str:
    """Say that there is no such file; without its name if that is the secret itself, typed where a name belongs."""
    if _HEX.fullmatch(path):
        return (
            f"name the file that holds the key, not the key itself: it is in this machine's process list and in your "
            f"shell's history now, so make a new one (there is no such {what})"
        )
    if path.lstrip().startswith(("{", "[")):
        return f"name the file that holds the {what}, not its text (or - for standard input)"
    return f"there is no {what} {path!r}"


def read_key(path: str) -> SecretKey:
    """Return the key in a file of 64 hexadecimal digits; white space anywhere among them is ignored.

    Raises:
        InvalidKey: it holds something else.
        ConfigError: it cannot be read.
    """
    data = read_private(path, "key file")
    try:
        # `xxd -p` breaks its lines inside a key, and Windows' editors put a mark in front of it.
        text = "".join(data.decode("utf-8-sig").split())
        return SecretKey(text)
    except UnicodeDecodeError:
        problem = f"a key is 64 hexadecimal digits; {_no_text(data)}"
    except InvalidKey as error:
        problem = str(error)
    message = f"the key file {path!r}: {problem}"
    raise InvalidKey(message)


def _no_text(data: bytes) -> str:
    """Return what a key file is that is not text in UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "this is text in UTF-16; have the editor save it as UTF-8"
    if len(data) == KEY_SIZE:
        return "these are its raw bytes, which `xxd -p -c 64` turns into them"
    return "this is no text"


def write_private(path: str, data: bytes, *, force: bool = False) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Args:
        path: the file.
        data: what it is to hold.
        force: replace a file that is there.

    Raises:
        ObjectExists: there is one, and it was not to be replaced.
        NotAnObject: a folder stands there.
        ObjectNotFound: the folder it should stand in does not exist.
    """
    folder, name = os.path.split(os.path.abspath(path))
    if os.path.isdir(path) or not os.path.basename(path):
        message = f"{path!r} is a folder; name a file"
        raise NotAnObject(message)
    if not os.path.isdir(folder):
        message = f"there is no folder {folder!r} to write {name!r} into"
        raise ObjectNotFound(message)
    if not force and os.path.lexists(path):
        raise _exists(path)
    if force:
        replace(path, data)
    elif not write_new(path, data):
        raise _exists(path)


def _exists(path: str) -> ObjectExists:
    return ObjectExists(f"{path!r} exists already and stays as it is; --force replaces it")
