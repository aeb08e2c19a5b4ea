"""`rekey`: give a dataset another key, format or context, in place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from connectors._fsspec import DEFAULT_CALLBACK
from connectors.credentials.model import Credentials
from connectors.errors import InvalidCredentials, naming
from connectors.fs.encrypted import EncryptedFileSystem
from connectors.fs.rekeying import Pinned, Rekeyed, Rekeying
from connectors.keys import resolve as resolve_key
from connectors.secrets import Hidden, TinkKey
from connectors.storage.registry import resolve

if TYPE_CHECKING:
    from connectors._fsspec import Callback
    from connectors.app.dataset import Document
    from connectors.formats import DatasetFormat, Format
    from connectors.secrets import SecretKey

__all__ = ["Rekeyed", "rekey"]


def rekey(
    location: str,
    old: Document,
    new: Document,
    *,
    callback: Callback = DEFAULT_CALLBACK,
    dry_run: bool = False,
    without_readers: bool = False,
    continues: bool = False,
    name: str | None = None,
    root: str | None = None,
) -> Rekeyed:
    r"""Encrypt a dataset anew, one object or a folder: from an old key to a new one, perhaps in another format.

    Each object is read under the old key to its verified end, encrypted under the new one, decrypted again and compared
    in memory, and then replaced atomically. What is under the new key already stays, so if a run was stopped, run it
    again. After an error nothing else is replaced: some objects are under the new key, the others under the old one.

    **Readers** of a folder need both keys during the run: give them, before it, the new document with the old key in
    ``former_keys``. They read the folder at every moment, with or without a manifest; a process that has read the
    manifest reads it again with `Dataset.refresh`. After the run they need the new key alone.

    That needs cobblestone-256, before and after, and the same context: only its headers tell which key an object is
    under. (`auto` also reads gcm, whose objects nobody with former keys reads.) Folders that change their format or
    context have no readers during the run: `without_readers`. Objects in the formats gcm and tink-gcm-hkdf are told
    apart by authenticating them under the new key first.

    What a storage keeps with an object besides its bytes, such as tags, a content type or user metadata, is that of a
    new object afterwards.

    Nothing else must write to the dataset during the run. An object that was replaced while it was read is an error;
    what is written in the moment in which its new encryption is published is lost. The storage can omit an object from
    a folder without a manifest, which then stays under the old key. If credentials expire, run it again with new ones.

    Args:
        location: the dataset's URL.
        old: its credentials document. Its pin, if it has one, is checked.
        new: the new document: the same `bind`, `manifest` and layout, and another key, format or context. It
            has no pin; its `former_keys` do not matter. Its credentials are those that write.
        callback: an `fsspec.Callback` that counts plain bytes, of a total that the storage reports.
        dry_run: replace nothing, and only count.
        without_readers: accept that a folder cannot be read until the run has ended.
        continues: an earlier run was stopped: accept a version under the new key in place of the pinned one. Nothing
            else tells whether a run has made it, or a storage that has another object under the new key.
        name: the dataset's name in errors.
        root: the folder that key files in the documents are below: the app config's root.

    Returns:
        The numbers of objects and bytes, and the new pin.

    Raises:
        ConfigError, KeyRefused, KeyUnavailable: the documents cannot be used, or do not fit; nothing was replaced.
        PinMismatch: the object or folder is not the version that is pinned; nothing was replaced.
        IntegrityError: an object is under neither key, or the storage did not return what was written.
        MachineFailed: what was encrypted does not decrypt to the same bytes, or this machine failed otherwise.
        ObjectChanged: an object was replaced while it was read.
        StorageError, NotSupported: the storage refused or failed.

    >>> import connectors
    >>> old, new = {"encryption": {"key": "0a" * 32}}, {"encryption": {"key": "0b" * 32}}
    >>> connectors.Dataset("memory://clinic/pulse", old).write_bytes(b"61\n")
    >>> done = rekey("memory://clinic/pulse", old, new)
    >>> done.rewritten, done.already, done.size
    (1, 0, 3)
    >>> connectors.Dataset("memory://clinic/pulse", new).read_bytes()
    b'61\n'
    >>> rekey("memory://clinic/pulse", old, new).already
    1
    """
    documents = [one if isinstance(one, Credentials) else Hidden(one) for one in (old, new)]
    del old, new  # a traceback that prints locals would print them
    with naming(name):
        before, after = (_Side(location, one, root) for one in documents)
        _check(before, after, without_readers=without_readers)
        codecs = after.written(), before.read()
        if before.binds:
            codecs[0].bound("")  # raises if the new format binds no names
        reading, path = before.view(codecs[1], name)
        run = Rekeying(
            reading=reading,
            writing=reading if before.stored_as(after) else after.view(codecs[0], name)[0],
            new=codecs[0],
            old=codecs[1],
            dataset=name,
            callback=callback,
            dry_run=dry_run,
        )
        pinned = Pinned(before.encryption.pin, continues=continues)
        if not before.is_folder:
            done = run.run_object(path, pinned)
        elif before.encryption.manifest:
            done = run.run_manifest_folder(path.rstrip("/"), pinned)
        else:
            done = run.run_folder(path.rstrip("/"), binds=before.binds)
        return replace(done, readable_meanwhile=_can_be_read_between(before, after))


class _Side:
    """The dataset as one of the two documents describes it.

    Args:
        location: the dataset's URL.
        document: a credentials document, or validated credentials.
        root: the folder that key files are below.

    Raises:
        ConfigError: the document cannot be used.
    """

    def __init__(self, location: str, document: Hidden | Credentials, root: str | None) -> None:
        self._location = location
        self._root = root
        self._backend, self.credentials = resolve(location, document)
        if self.credentials.encryption is None:
            message = "both documents must say how the dataset is encrypted; plain bytes have no key to change"
            raise InvalidCredentials(message)
        self.encryption = self.credentials.encryption
        if self.encryption.format == "s3-encryption-client":
            message = (
                "objects of the format s3-encryption-client have keys of their own, and the dataset none to change; "
                "copy them into a dataset of another format, or have AWS KMS rotate the key that wraps theirs"
            )
            raise InvalidCredentials(message)
        self.is_folder = self.credentials.is_folder(location)
        self.binds = self.credentials.binds_names(location)

    def key(self) -> SecretKey:
        """Return its key."""
        return resolve_key(self.encryption.key, self._root)

    def read(self) -> Format:
        """Return the format that reads the objects."""
        return self.encryption.model_copy(update={"pin": None}).codec(self._root)

    def written(self) -> Format:
        """Return the format that objects get, which reads no other one, and nothing under former keys."""
        return self.encryption.model_copy(update={"pin": None, "former_keys": (), "format": self.written_format}).codec(
            self._root
        )

    @property
    def written_format(self) -> DatasetFormat:
        """The name of the format that objects are written in."""
        if self.encryption.format != "auto":
            return self.encryption.format
        return "tink-gcm-hkdf" if isinstance(self.key(), TinkKey) else "cobblestone-256"

    def seals_as(self, other: _Side) -> bool:
        """Return whether the two documents say the same about new objects and about old ones."""

        def said(one: _Side) -> object:
            return one.encryption.format, one.encryption.context or "", one.encryption.segment_size, one.key()

        return not self.encryption.former_keys and said(self) == said(other)

    def stored_as(self, other: _Side) -> bool:
        """Return whether both reach the storage in the same way."""
        mine, others = (one.credentials.model_copy(update={"encryption": None}) for one in (self, other))
        return mine == others

    def is_where(self, other: _Side) -> bool:
        """Return whether two documents do not name different places, as far as their members tell."""
        mine, others = (getattr(one.credentials, "endpoint_url", None) for one in (self, other))
        accounts = {getattr(one.credentials, "account_name", None) for one in (self, other)} - {None}
        return mine == others and len(accounts) <= 1

    def view(self, codec: Format, name: str | None) -> tuple[EncryptedFileSystem, str]:
        """Return a filesystem of its objects, and its path in that."""
        inner, path = self._backend.connect(self._location, self.credentials)
        return EncryptedFileSystem(fs=inner, codec=codec, dataset=name), path


def _check(before: _Side, after: _Side, *, without_readers: bool) -> None:
    """Check that two documents are of one dataset, and can be exchanged for each other.

    Raises:
        InvalidCredentials: they cannot.
    """
    old, new = before.encryption, after.encryption
    message = None
    if before.is_folder != after.is_folder:
        message = "one document is for a folder and the other one for a single object; make layout the same in both"
    elif before.is_folder and (old.bind, old.manifest) != (new.bind, new.manifest):
        message = "bind and manifest must be the same in both documents; only the key, format and context can change"
    elif not before.is_where(after):
        message = "the two documents name different endpoints or accounts, so that others' objects would be replaced"
    elif old.columns != new.columns:
        message = (
            "columns must be the same in both documents: the keys of columns are inside the objects, where rekeying "
            "does not look; write the files anew"
        )
    elif new.pin is not None:
        message = "the new document has a pin, which no object can have yet; leave it out, and add the one that results"
    elif before.seals_as(after):
        message = "both documents have the same key, format and context; there is nothing to change"
    elif before.is_folder and not without_readers and not _can_be_read_between(before, after):
        message = (
            "while this folder changes its format or context, no document can read all of it: only cobblestone-256 "
            "objects with one context are told apart by their keys; if nothing reads the folder until the run has "
            "ended, say so: without_readers=True, --without-readers"
        )
    if message is not None:
        raise InvalidCredentials(message)


def _can_be_read_between(before: _Side, after: _Side) -> bool:
    formats = {before.written_format, after.written_format}
    return formats == {"cobblestone-256"} and (before.encryption.context or "") == (after.encryption.context or "")
