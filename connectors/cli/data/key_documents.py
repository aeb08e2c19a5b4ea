"""Finds the keys in documents: credentials documents, references, key files and folders of them."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.app.layout import CREDENTIALS, DATASET
from connectors.cli.common.key_files import begins_object, is_keyset_document, key_in_file
from connectors.cli.common.private_files import LIMIT, read_private
from connectors.credentials.parsing import parse_document
from connectors.errors import ConfigError, InvalidCredentials
from connectors.keys import reference
from connectors.secrets import Hidden, SecretKey
from connectors.system.atomic_files import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.keys import KeyReference

__all__ = ["KeyDocument", "documents_at"]

_OBJECTS_KEYS = "s3-encryption-client"
"""The format whose documents have no key: each object has its own."""
_SUFFIX = ".json"


@dataclass(frozen=True, repr=False)
class KeyDocument:
    """A document with keys.

    Attributes:
        path: its file.
        data: what the file held as it was read.
        members: the document; of a key file, nothing.
        keys: the keys and the references in it, with the names of their members.
        root: the app config's root, if it is in one.
    """

    path: str
    data: Hidden
    members: Hidden
    keys: tuple[tuple[str, SecretKey | KeyReference], ...]
    root: str | None

    @property
    def is_key_file(self) -> bool:
        """Whether it is a file of 64 hexadecimal digits, or a Tink keyset."""
        return self.members.reveal() is None

    def replace(self, references: Mapping[str, KeyReference]) -> None:
        """Write the document with other references, atomically. The file keeps its owner and permissions.

        Raises:
            ConfigError: somebody has written the file since it was read.
            MachineFailed, OSError: it cannot be written.
        """
        if Hidden(_read(self.path)).reveal() != self.data.reveal():
            message = f"{self.path} was changed while it was being rewrapped, and stays as it is; run this again"
            raise ConfigError(message)
        path = os.path.realpath(self.path)  # a link to it stays a link
        before = os.stat(path)
        try:
            replace(path, self._rewritten(references).reveal())
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # those below hold the document
            raise
        with contextlib.suppress(PermissionError):
            os.chown(path, before.st_uid, before.st_gid)
        os.chmod(path, stat.S_IMODE(before.st_mode))

    def _rewritten(self, references: Mapping[str, KeyReference]) -> Hidden:
        members = Hidden({**self.members.reveal()})
        if "encryption" not in members.reveal():
            members = Hidden(references["the key"].document())
        else:
            encryption = Hidden({**members.reveal()["encryption"]})
            for member, made in references.items():
                _put(encryption.reveal(), member.split(".")[1:], made.document())
            members.reveal()["encryption"] = encryption.reveal()
        return Hidden(f"{json.dumps(members.reveal(), indent=2, ensure_ascii=False)}\n".encode())


def _put(members: dict[str, Any], path: list[str], value: object) -> None:
    """Put a value in the place of a member, or of an item of a list or an object that is a member."""
    name, *rest = path
    if not rest:
        members[name] = value
    elif isinstance(members[name], list):
        members[name] = [value if place == int(rest[0]) else one for place, one in enumerate(members[name])]
    else:
        members[name] = {**members[name], rest[0]: value}


def documents_at(path: str) -> tuple[list[KeyDocument], list[ConfigError]]:
    """Return the document at a path, or those in a folder and the folders below it, and what is wrong with others.

    In a folder, files that are called ``*.json`` or ``credentials.bin`` are looked at, without hidden ones; a file
    without any key is no document.

    Raises:
        ConfigError: there is nothing, it cannot be read, or there is no key in it.
        InvalidCredentials, InvalidKey: the only document breaks a rule.
    """
    if not os.path.isdir(path):
        document = _document(path)
        if document is None:
            message = (
                f"there is no key in {path!r}: it has no encryption, its objects have keys of their own, or it is no "
                "reference to a key"
            )
            raise ConfigError(message)
        return [document], []
    found: list[KeyDocument] = []
    problems: list[ConfigError] = []
    for file in sorted(_files(path)):
        try:
            document = _document(file)
        except ConfigError as error:
            problems.append(error)
        else:
            found += [] if document is None else [document]
    if not found and not problems:
        message = f"there is no document with a key in {path!r}; they are called *{_SUFFIX} or {CREDENTIALS}"
        raise ConfigError(message)
    return found, problems


def _files(folder: str) -> Iterator[str]:
    """Yield the files in a folder that may be documents, each once: links are followed, also those to folders."""

    def refuse(error: OSError) -> None:
        message = f"the folder {folder!r} cannot be listed: {error.strerror}"
        raise ConfigError(message) from None

    seen: set[str] = set()
    for above, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        # Hidden ones are those of a Kubernetes volume, which links lead to, and of tools.
        folders[:] = [one for one in folders if not one.startswith(".") and _is_first(os.path.join(above, one), seen)]
        for name in names:
            file = os.path.join(above, name)
            called_so = name == CREDENTIALS or (name.endswith(_SUFFIX) and not name.startswith("."))
            if called_so and os.path.isfile(file) and os.path.getsize(file) <= LIMIT and _is_first(file, seen):
                yield file


def _is_first(path: str, seen: set[str]) -> bool:
    real = os.path.realpath(path)
    first = real not in seen
    seen.add(real)
    return first


def _read(path: str) -> bytes:
    named = path.endswith(_SUFFIX) or os.path.basename(path) == CREDENTIALS
    return read_private(path, "document" if named else "key file", limit=LIMIT)


def _document(path: str) -> KeyDocument | None:
    """Return a document with its keys; None if there is none in it."""
    data = Hidden(_read(path))
    if not begins_object(data):
        if path.endswith(_SUFFIX):
            return None  # another kind of JSON
        return KeyDocument(path, data, Hidden(None), (("the key", key_in_file(path, data)),), _root_of(path))
    members = _parsed(path, data)
    if is_keyset_document(members):
        return KeyDocument(path, data, Hidden(None), (("the key", key_in_file(path, data)),), _root_of(path))
    if isinstance(members.reveal().get("source"), str):
        return KeyDocument(path, data, members, (("the key", _key(path, members)),), _root_of(path))
    encryption = Hidden(members.reveal().get("encryption"))
    if not _has_key(encryption):
        return None
    given = {"encryption.key": Hidden(encryption.reveal()["key"])}
    former = Hidden(encryption.reveal().get("former_keys") or [])
    if not isinstance(former.reveal(), list):
        message = f"{path}: encryption.former_keys: a list is expected"
        raise InvalidCredentials(message)
    given |= {f"encryption.former_keys.{place}": Hidden(one) for place, one in enumerate(former.reveal())}
    columns = Hidden(encryption.reveal().get("columns") or {})
    if not isinstance(columns.reveal(), dict):
        message = f"{path}: encryption.columns: an object is expected"
        raise InvalidCredentials(message)
    given |= {f"encryption.columns.{name}": Hidden(one) for name, one in columns.reveal().items()}
    keys = tuple((member, _key(f"{path}: {member}", one)) for member, one in given.items())
    return KeyDocument(path, data, members, keys, _root_of(path))


def _has_key(encryption: Hidden) -> bool:
    members = encryption.reveal()
    return isinstance(members, dict) and "key" in members and members.get("format") != _OBJECTS_KEYS


def _parsed(path: str, data: Hidden) -> Hidden:
    try:
        return Hidden(parse_document(data))
    except InvalidCredentials as error:
        message = f"{path}: {error}"
    raise InvalidCredentials(message)


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
