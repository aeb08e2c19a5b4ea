"""Read and write small private files: keys, passphrases, credentials documents."""

from __future__ import annotations

import base64
import os
import re
import sys
from getpass import getpass
from typing import TYPE_CHECKING

from connectors.cli.common import console
from connectors.credentials.parsing import parse_document
from connectors.errors import ConfigError, NotAnObject, ObjectExists, ObjectNotFound
from connectors.keys import reference, resolve
from connectors.keys.files import key_in, warn_if_wide
from connectors.keys.keysets import is_keyset
from connectors.secrets import Hidden, SecretKey, SecretText
from connectors.system.atomic_files import replace, write_new

if TYPE_CHECKING:
    from connectors.keys import KeyReference

__all__ = [
    "ask",
    "ask_for_passphrases",
    "exists_error",
    "is_keyset_document",
    "keyset_reference",
    "passphrase_in",
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
    """Return the key in a file of 64 hexadecimal digits, in a Tink keyset, or that a reference in a file leads to.

    Raises:
        InvalidKey: it holds something else.
        ConfigError: it cannot be read.
        KeyRefused, KeyUnavailable: what holds the key does not give it.
    """
    return resolved(read_key_member(path))


def read_key_member(path: str) -> SecretKey | KeyReference:
    """Return what a key file holds: 64 hexadecimal digits, or a reference as `connectors keygen --wrap` writes it.

    A Tink keyset is a reference of the source `tink`.

    Raises:
        InvalidKey: it holds something else.
        InvalidCredentials: the reference or the keyset breaks a rule.
        ConfigError: it cannot be read.
    """
    data = Hidden(read_private(path, "key file"))
    if not is_keyset(data):
        return key_in(data, f"the key file {path!r}")
    if data.reveal()[:1] in {b"\x08", b"\x12"}:
        return keyset_reference(Hidden(base64.b64encode(data.reveal()).decode()))
    members = Hidden(parse_document(data))
    return keyset_reference(members) if is_keyset_document(members) else reference(members)


def is_keyset_document(members: Hidden) -> bool:
    """Return whether the members of a document are those of a Tink keyset."""
    return not members.reveal().keys().isdisjoint({"primaryKeyId", "encryptedKeyset"})


def keyset_reference(keyset: Hidden) -> KeyReference:
    """Return the reference to the key of a Tink keyset.

    Raises:
        InvalidCredentials: it is encrypted, or cannot be used.
    """
    return reference(Hidden({"source": "tink", "keyset": keyset.reveal()}))


def resolved(key: SecretKey | KeyReference, root: str | None = None) -> SecretKey:
    """Return a key; a passphrase is asked for at the terminal. Raises as `connectors.keys.resolve`."""
    if not isinstance(key, SecretKey):
        ask_for_passphrases()
    return resolve(key, root)


def ask_for_passphrases(file: str | None = None, new_file: str | None = None) -> None:
    """Have passphrases asked for at the terminal, each once in a command, or read from files.

    Args:
        file: has the passphrase that keys are wrapped under; None: it is asked for.
        new_file: has the one that keys are to be wrapped under.
    """
    from connectors.keys.passphrase import Passphrase  # noqa: PLC0415 - loads the ciphers

    given: dict[bool, SecretText] = {}

    def prompt(new: bool) -> SecretText:  # noqa: FBT001 - as the source calls it
        if new not in given:
            given[new] = SecretText(_passphrase(new_file if new else file, new=new))
        return given[new]

    Passphrase.prompt = staticmethod(prompt)


def _passphrase(file: str | None, *, new: bool) -> str:
    if file is not None:
        return passphrase_in(file)
    first = ask("new passphrase" if new else "passphrase")
    if new and ask("the passphrase again") != first:
        message = "the two passphrases differ; nothing was changed"
        raise ConfigError(message)
    return first


def passphrase_in(file: str) -> str:
    """Return the passphrase in a file, without the line break at its end.

    Raises:
        ConfigError: it cannot be read, or is not text.
    """
    data = read_private(file, "passphrase file")
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        message = "the passphrase file is not UTF-8 text"
    raise ConfigError(message)


def ask(what: str) -> str:
    """Return what is typed at the terminal, which does not show it.

    Raises:
        ConfigError: there is no terminal.
    """
    if not sys.stdin.isatty():
        message = f"the {what} cannot be asked for without a terminal; use --passphrase-file FILE"
        raise ConfigError(message)
    return getpass(f"{what[:1].upper()}{what[1:]}: ", stream=sys.stderr)


def write_private(path: str, data: bytes, *, force: bool = False) -> None:
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
    if force:
        replace(path, data)
    elif not write_new(path, data):
        raise exists_error(path)


def exists_error(path: str) -> ObjectExists:
    """Return the error for a file that would be replaced."""
    return ObjectExists(f"{path!r} already exists and was not changed; --force replaces it")
