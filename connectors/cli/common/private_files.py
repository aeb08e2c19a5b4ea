"""Read and write small private files: keys, passphrases, credentials documents."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import sys
import traceback
from getpass import getpass
from typing import TYPE_CHECKING

from connectors.cli.common import console
from connectors.credentials.parsing import parse_document
from connectors.errors import (
    BackendNotFound,
    ConfigError,
    InvalidCredentials,
    InvalidKey,
    NotAnObject,
    ObjectExists,
    ObjectNotFound,
)
from connectors.keys import reference, resolve
from connectors.keys.files import key_in, warn_if_wide
from connectors.secrets import Hidden, SecretKey, SecretText
from connectors.system.atomic_files import replace, write_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.keys import KeyReference

__all__ = [
    "ask",
    "ask_for_passphrases",
    "begins_object",
    "exists_error",
    "new_passphrase_for_the_old",
    "passphrase_file",
    "read_key",
    "read_key_member",
    "read_private",
    "resolved",
    "write_private",
]

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


def read_key(path: str) -> SecretKey:
    """Return the key in a file of 64 hexadecimal digits, or the one that a reference in a file leads to.

    Raises:
        InvalidKey: it holds something else.
        ConfigError: it cannot be read.
        KeyRefused, KeyUnavailable: what holds the key does not give it.
    """
    return resolved(read_key_member(path))


def read_key_member(path: str) -> SecretKey | KeyReference:
    """Return what a key file holds: 64 hexadecimal digits, or a reference as `connectors keygen --wrap` writes it.

    Raises:
        InvalidKey: it holds something else, or the reference breaks a rule.
        ConfigError: it cannot be read.
    """
    data = Hidden(read_private(path, "key file"))
    shown = f"the key file {path!r}"
    if not begins_object(data):
        return key_in(data, shown)
    try:
        members = Hidden(parse_document(data))
        if "encryption" not in members.reveal():
            return reference(members)
        problem = "this is a credentials document; name a file that holds its encryption.key alone"
    except (InvalidCredentials, BackendNotFound) as error:
        problem = str(error)
    message = f"{shown}: {problem}"
    raise InvalidKey(message)


def begins_object(data: Hidden) -> bool:
    """Return whether a file's content is a JSON object, by how it begins; Windows editors begin it with a mark."""
    return bool(data.reveal().removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"))


def resolved(key: SecretKey | KeyReference, root: str | None = None) -> SecretKey:
    """Return a key; a passphrase is asked for at the terminal. Raises as `connectors.keys.resolve`."""
    if not isinstance(key, SecretKey):
        ask_for_passphrases()
    return resolve(key, root)


_IN_REFERENCE = 'name a file that holds it in the reference: "file": "PATH"'


def ask_for_passphrases(
    file: str | None = None,
    new_file: str | None = None,
    *,
    advice: str = _IN_REFERENCE,
    new_advice: str = _IN_REFERENCE,
) -> None:
    """Have passphrases asked for at the terminal, each once in a command, or read from files.

    Args:
        file: has the passphrase that keys are wrapped under; None: it is asked for.
        new_file: has the one that keys are to be wrapped under.
        advice: what to do where there is no terminal.
        new_advice: the same for the new passphrase.
    """
    from connectors.keys.passphrase import Passphrase  # noqa: PLC0415 - loads the ciphers

    given: dict[bool, SecretText] = {}

    def prompt(new: bool) -> SecretText:  # noqa: FBT001 - as the source calls it
        if new not in given:
            given[new] = _passphrase(new_file if new else file, new_advice if new else advice, new=new)
        return given[new]

    Passphrase.prompt = staticmethod(prompt)


@contextlib.contextmanager
def new_passphrase_for_the_old() -> Iterator[None]:
    """Give the new passphrase in the block where the old one is asked for."""
    from connectors.keys.passphrase import Passphrase  # noqa: PLC0415

    before = Passphrase.prompt

    def prompt(new: bool) -> SecretText:  # noqa: FBT001 - as the source calls it
        del new
        return SecretText("") if before is None else before(True)  # noqa: FBT003

    Passphrase.prompt = staticmethod(prompt)
    try:
        yield
    finally:
        Passphrase.prompt = before if before is None else staticmethod(before)


def _passphrase(file: str | None, advice: str, *, new: bool) -> SecretText:
    if file is not None:
        return passphrase_file(file)
    first = SecretText(ask("new passphrase" if new else "passphrase", advice))
    if new and SecretText(ask("the passphrase again", advice)) != first:
        message = "the two passphrases differ; nothing was changed"
        raise ConfigError(message)
    return first


def passphrase_file(file: str) -> SecretText:
    """Return the passphrase in a file, without the line break at its end.

    Raises:
        ConfigError: it cannot be read, or is not text.
    """
    from connectors.keys.passphrase import passphrase_in  # noqa: PLC0415

    return passphrase_in(Hidden(read_private(file, "passphrase file")))


def ask(what: str, advice: str = "use --passphrase-file FILE") -> str:
    """Return what is typed at the terminal, which does not show it.

    Raises:
        ConfigError: there is no terminal.
    """
    if not sys.stdin.isatty():
        message = f"the {what} cannot be asked for without a terminal; {advice}"
        raise ConfigError(message)
    return getpass(f"{what[:1].upper()}{what[1:]}: ", stream=sys.stderr)


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
