"""Read key files and passphrases: digits, references, Tink's keysets, and what people type."""

from __future__ import annotations

import base64
import codecs
import contextlib
import sys
from getpass import getpass
from typing import TYPE_CHECKING

from connectors.cli.common.private_files import read_private
from connectors.credentials.parsing import parse_document
from connectors.errors import BackendNotFound, ConfigError, InvalidCredentials, InvalidKey
from connectors.keys import reference, resolve
from connectors.keys.files import key_in
from connectors.keys.keysets import is_keyset
from connectors.secrets import Hidden, SecretKey, SecretText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.keys import KeyReference

__all__ = [
    "ask",
    "ask_for_passphrases",
    "begins_object",
    "is_keyset_document",
    "key_in_file",
    "keyset_reference",
    "new_passphrase_for_the_old",
    "passphrase_file",
    "read_key",
    "read_key_member",
    "resolved",
]


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
        InvalidKey: it holds something else, or the reference breaks a rule.
        ConfigError: it cannot be read.
    """
    return key_in_file(path, Hidden(read_private(path, "key file")))


def key_in_file(path: str, data: Hidden) -> SecretKey | KeyReference:
    """Return what is in a key file's content; raises as `read_key_member`."""
    shown = f"the key file {path!r}"
    if not is_keyset(data) and not begins_object(data):
        return key_in(data, shown)
    try:
        if not begins_object(data):  # a binary keyset
            return keyset_reference(Hidden(base64.b64encode(data.reveal()).decode()))
        members = Hidden(parse_document(data))
        if is_keyset_document(members):
            return keyset_reference(members)
        if "encryption" not in members.reveal():
            return reference(members)
        problem = "this is a credentials document; name a file that holds its encryption.key alone"
    except (InvalidCredentials, BackendNotFound) as error:
        problem = str(error)
    message = f"{shown}: {problem}"
    raise InvalidKey(message)


def is_keyset_document(members: Hidden) -> bool:
    """Return whether the members of a document are those of a Tink keyset."""
    return not members.reveal().keys().isdisjoint({"primaryKeyId", "encryptedKeyset"})


def keyset_reference(keyset: Hidden) -> KeyReference:
    """Return the reference to the key of a Tink keyset.

    Raises:
        InvalidCredentials: it is encrypted, or cannot be used.
    """
    return reference(Hidden({"source": "tink", "keyset": keyset.reveal()}))


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
