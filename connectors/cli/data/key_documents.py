"""Finds the keys in documents: credentials documents, references, key files and folders of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.app.layout import CREDENTIALS, DATASET
from connectors.cli.common.private_files import (
    LIMIT,
    is_keyset_document,
    keyset_reference,
    read_key_member,
    read_private,
)
from connectors.credentials.parsing import parse_document
from connectors.errors import ConfigError, InvalidCredentials
from connectors.keys import reference
from connectors.keys.files import key_in
from connectors.keys.keysets import is_keyset
from connectors.secrets import Hidden, SecretKey
from connectors.system.atomic_files import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.keys import KeyReference

__all__ = ["KeyDocument", "documents_at"]


@dataclass(frozen=True, repr=False)
class KeyDocument:
    """A document with keys.

    Attributes:
        path: its file.
        members: the document; of a key file, nothing.
        keys: the keys and the references in it, with the names of their members.
        root: the app config's root, if it is in one.
    """

    path: str
    members: Hidden
    keys: tuple[tuple[str, SecretKey | KeyReference], ...]
    root: str | None

    @property
    def is_key_file(self) -> bool:
        """Whether it is a file of 64 hexadecimal digits, or a Tink keyset."""
        return self.members.reveal() is None

    def replace(self, references: Mapping[str, KeyReference]) -> None:
        """Write the document with other references, atomically; only its owner can read it then."""
        members: dict[str, Any] = self.members.reveal()
        if "encryption" not in members:
            members = references["the key"].document()
        else:
            encryption = {**members["encryption"]}
            if "encryption.key" in references:
                encryption["key"] = references["encryption.key"].document()
            former = list(encryption.get("former_keys") or ())
            for place in range(len(former)):
                former[place] = references[_former(place)].document()
            columns = {name: references[_column(name)].document() for name in encryption.get("columns") or ()}
            changed = {**({"former_keys": former} if former else {}), **({"columns": columns} if columns else {})}
            members = {**members, "encryption": {**encryption, **changed}}
        replace(self.path, f"{json.dumps(members, indent=2, ensure_ascii=False)}\n".encode())


def documents_at(path: str) -> Iterator[KeyDocument]:
    """Yield the document at a path, or those in a folder and the folders below it that have keys.

    Raises:
        ConfigError: there is nothing, it cannot be read, or there is no key in it.
        InvalidCredentials, InvalidKey: a document breaks a rule.
    """
    if not os.path.isdir(path):
        document = _document(path)
        if document is None:
            message = f"there is no key in {path!r}: it has no encryption, and is no reference to a key"
            raise ConfigError(message)
        yield document
        return
    found = [one for file in sorted(_files(path)) if (one := _document(file)) is not None]
    if not found:
        message = f"there is no document with a key in {path!r}; they are called *.json or {CREDENTIALS}"
        raise ConfigError(message)
    yield from found


def _files(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        message = f"the folder {folder!r} cannot be listed: {error.strerror}"
        raise ConfigError(message) from None

    for above, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            file = os.path.join(above, name)
            if (name == CREDENTIALS or name.endswith(".json")) and os.path.isfile(file):
                yield file


def _document(path: str) -> KeyDocument | None:
    """Return a document with its keys; None if it is a JSON object without any."""
    data = Hidden(read_private(path, "document", limit=LIMIT))
    if not data.reveal().lstrip().startswith(b"{"):
        key = read_key_member(path) if is_keyset(data) else key_in(data, f"the key file {path!r}")
        return KeyDocument(path, Hidden(None), (("the key", key),), _root_of(path))
    members = Hidden(parse_document(data))
    if is_keyset_document(members):
        return KeyDocument(path, Hidden(None), (("the key", _keyset(path, members)),), _root_of(path))
    if isinstance(members.reveal().get("source"), str):
        return KeyDocument(path, members, (("the key", _key(path, members)),), _root_of(path))
    encryption = members.reveal().get("encryption")
    if not isinstance(encryption, dict) or "key" not in encryption:
        return None
    former = encryption.get("former_keys") or ()
    given = [("encryption.key", Hidden(encryption["key"]))]
    given += [(_former(place), Hidden(one)) for place, one in enumerate(former if isinstance(former, list) else ())]
    columns = encryption.get("columns") or {}
    given += [(_column(name), Hidden(one)) for name, one in (columns if isinstance(columns, dict) else {}).items()]
    keys = tuple((member, _key(f"{path}: {member}", one)) for member, one in given)
    return KeyDocument(path, members, keys, _root_of(path))


def _keyset(path: str, members: Hidden) -> KeyReference:
    try:
        return keyset_reference(members)
    except ConfigError as error:
        problem = str(error)
    message = f"{path}: {problem}"
    raise InvalidCredentials(message)


def _former(place: int) -> str:
    return f"encryption.former_keys.{place}"


def _column(name: str) -> str:
    return f"encryption.columns.{name}"


def _key(shown: str, value: Hidden) -> SecretKey | KeyReference:
    try:
        return reference(value) if isinstance(value.reveal(), dict) else SecretKey.of_member(value)
    except ConfigError as error:
        problem = str(error)
    message = f"{shown}: {problem}"
    raise InvalidCredentials(message)


def _root_of(path: str) -> str | None:
    """Return the root of the app config that a document is in: <root>/<port>/<object>/dataset/credentials.bin."""
    parts = os.path.abspath(path).split(os.sep)
    inside = parts[-1] == CREDENTIALS and parts[-2:-1] == [DATASET]
    return os.sep.join(parts[:-4]) or os.sep if inside and len(parts) > 4 else None  # noqa: PLR2004 - four names
