"""Datasets: resolve a location and its credentials, then read and write plain bytes."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from connectors._fsspec import DEFAULT_CALLBACK
from connectors.credentials.model import Credentials
from connectors.errors import ConnectorError, KeyRefused, NotAnObject, NotSupported, naming
from connectors.formats import Plain
from connectors.fs.encrypted import EncryptedFileSystem
from connectors.secrets import Hidden, redact_url
from connectors.storage.registry import resolve
from connectors.streams import PathSink, SealedWriter, copy_stream
from connectors.streams.sources import open_local
from connectors.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from connectors._fsspec import AbstractFileSystem, Callback
    from connectors.app.columns import Column, ColumnKeys
    from connectors.formats import Format
    from connectors.storage.backend import Backend
    from connectors.streams.sources import StrPath

    Document = bytes | str | Mapping[str, Any] | Credentials

__all__ = ["Dataset"]


@dataclass(frozen=True, slots=True, repr=False)
class _Resolved:
    """A dataset's resolved documents, valid in one process."""

    location: str
    backend: Backend
    credentials: Credentials
    process: int

    @property
    def is_folder(self) -> bool:
        return self.credentials.is_folder(self.location)


class Dataset:
    r"""One dataset, read and written as plain bytes.

    Args:
        location: a URL.
        credentials: a credentials document, as JSON text, bytes or a mapping, or a backend's `Credentials`.
        name: its name in errors.

    Raises:
        InvalidLocation, InvalidCredentials, BackendNotFound, BackendConflict: the dataset cannot be resolved.

    >>> dataset = Dataset("memory://clinic/temperatures", {"encryption": {"key": "00" * 32}})
    >>> dataset.write_bytes(b"37.2\n38.9\n")
    >>> with dataset.open("rt") as file:
    ...     [float(line) for line in file]
    [37.2, 38.9]
    """

    def __init__(self, location: str, credentials: Document, *, name: str | None = None) -> None:
        document = credentials if isinstance(credentials, Credentials) else Hidden(credentials)
        del credentials  # a traceback that prints locals would print it
        self._setup(lambda: (location, document), name)
        self._resolve()

    def _setup(self, read: Callable[[], tuple[str, Credentials | Hidden]], name: str | None) -> None:
        self._read = read
        self._name = name
        self._lock = ForkSafeLock()
        self._resolved: _Resolved | None = None
        self._filesystem: tuple[EncryptedFileSystem, str] | None = None

    @property
    def _root(self) -> str | None:
        """The folder that key files in the credentials are below; None outside an app config."""
        return None

    @property
    def name(self) -> str | None:
        """``port/object``, or the name given to the constructor."""
        return self._name

    @property
    def location(self) -> str:
        """The URL of the sealed object, without credentials."""
        return self._resolve().location

    @property
    def credentials(self) -> Credentials:
        """The credentials, validated."""
        return self._resolve().credentials

    @property
    def backend(self) -> Backend:
        """The backend that serves it."""
        return self._resolve().backend

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of objects, used through `filesystem`, instead of a single object."""
        return self._resolve().is_folder

    def _resolve(self) -> _Resolved:
        with self._lock.current, naming(self._name):
            # Connections, locks and event loops do not survive a fork: a child resolves again.
            if self._resolved is None or self._resolved.process != os.getpid():
                location, document = self._read()
                backend, credentials = resolve(location, document)
                self._resolved = _Resolved(location, backend, credentials, os.getpid())
                self._filesystem = None
            return self._resolved

    def filesystem(self) -> tuple[EncryptedFileSystem, str]:
        """Return an fsspec filesystem in which the dataset is plain, and the dataset's path in it.

        If the dataset is a folder, so is the path, and its objects are ``f"{path}/{name}"``.
        """
        with self._lock.current, naming(self._name):
            resolved = self._resolve()
            if self._filesystem is None:
                codec = self._codec()
                resolved = self._resolve()  # perhaps of renewed documents
                inner, path = resolved.backend.connect(resolved.location, resolved.credentials)
                path = path.rstrip("/") if resolved.is_folder else path
                view = EncryptedFileSystem(
                    fs=inner,
                    codec=codec,
                    root=path if resolved.credentials.binds_names(resolved.location) else None,
                    manifest=resolved.credentials.has_manifest(resolved.location),
                    dataset=self._name,
                    reference=self._filesystem_reference(),
                    renewed=self._renewed,
                )
                self._filesystem = view, path
            return self._filesystem

    def _codec(self) -> Format:
        """Return the format with its key. If the key is refused, and the documents were renewed, try the new ones."""
        before = self._resolve().credentials
        try:
            return before.codec(self._root)
        except KeyRefused as error:
            refused = error
        self._resolved = None
        renewed = self._resolve().credentials
        if renewed == before:
            raise refused
        return renewed.codec(self._root)

    def _renewed(self) -> AbstractFileSystem | None:
        """Return the storage's filesystem with renewed credentials, or None if the documents have not changed."""
        with self._lock.current, naming(self._name):
            before = self._resolve()
            location, document = self._read()
            backend, credentials = resolve(location, document)
            # Another location is another dataset; an open file must not switch to it.
            if location != before.location or credentials == before.credentials:
                return None
            inner, _ = backend.connect(location, credentials)
            self._resolved = _Resolved(location, backend, credentials, os.getpid())
            return inner

    def _filesystem_reference(self) -> tuple[Callable[..., object], tuple[object, ...]] | None:
        return None

    def refresh(self) -> None:
        """Drop the resolved documents, so that the next use reads renewed credentials.

        Open files do this automatically when their credentials expire, if only the credentials have changed. Files
        open for writing do it if the storage can continue an upload.
        """
        with self._lock.current:
            with suppress(ConnectorError):  # of documents that cannot be read; the next use tells
                encryption = self._resolve().credentials.encryption
                if encryption is not None:
                    encryption.forget_keys(self._root)
            self._resolved = None
            self._filesystem = None

    def open(
        self,
        mode: str = "rb",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open the dataset as a file of plain bytes, or of text.

        Args:
            mode: "rb" (seekable, verified), "wb", "xb" (fails if the object exists), or "rt", "wt", "xt".
            encoding: as for the built-in `open`; UTF-8 if not given.
            errors: as for the built-in `open`.
            newline: as for the built-in `open`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: the storage refused or failed.
            ObjectExists: exclusive creation, and the object exists.
            IntegrityError: the object is not what its owner encrypted.
            NotSupported: another mode.
        """
        with naming(self._name):
            fs, path = self._single()
            if "b" in mode:
                return fs.open(path, mode)
            return fs.open(path, mode, encoding=encoding or "utf-8", errors=errors, newline=newline)

    def _single(self) -> tuple[EncryptedFileSystem, str]:
        if self.is_folder:
            shown = f"dataset://{self._name}/NAME" if self._name else "the filesystem and path of filesystem()"
            message = f"this dataset is a folder of objects; open one of them, through {shown}"
            raise NotAnObject(message)
        return self.filesystem()

    def fingerprint(self) -> str:
        """Return the fingerprint of this version: 64 hexadecimal digits, for ``encryption.pin``.

        The end of the object is verified, a `gcm` object as a whole. A folder's fingerprint is its manifest's.

        Raises:
            NotSupported: the dataset is not encrypted, or is a folder without a manifest.
        """
        if self.is_folder:
            return self.filesystem()[0].pin
        opened: Any = self.open("rb")
        with opened as file:
            pin: str = file.raw.pin
            return pin

    def write_manifest(self, callback: Callback = DEFAULT_CALLBACK) -> int:
        """Rewrite the manifest of a folder from the objects in its storage; return their number.

        Each object is opened and its end verified. A missing object or an old version cannot be detected, so only the
        owner of the folder should call this, while nothing else writes to it.

        Args:
            callback: an `fsspec.Callback` that counts the objects.

        Raises:
            NotSupported: the dataset is not a folder with a manifest, or is pinned.
            IntegrityError: an object was not encrypted for its name.
        """
        return self.filesystem()[0].write_manifest(callback)

    def parquet_decryption(self) -> Any:
        """Return pyarrow's `FileDecryptionProperties`: they read the columns whose keys are in ``encryption.columns``.

        Pass them as `decryption_properties` to `pyarrow.parquet.read_table`, `pyarrow.parquet.ParquetFile`,
        `pandas.read_parquet` or `pyarrow.dataset.ParquetFragmentScanOptions`, for any file of this dataset. A key is
        asked for when one of its columns is first read. After `refresh`, call this again.

        Name the columns to read, if the document lacks keys: reading a column without its key is `KeyRefused`.
        In pyarrow 26, a filter on such a column, or a request for its statistics, ends the process or never returns;
        `parquet_columns` tells which columns can be read.

        Raises:
            NotSupported: the dataset is not encrypted, or pyarrow is not installed.
        """
        from connectors.app.columns import decryption_properties  # noqa: PLC0415 - loads the ciphers, for this alone

        with naming(self._name):
            return decryption_properties(self._column_keys())

    def parquet_encryption(self, columns: Mapping[str, Sequence[str]]) -> Any:
        """Return pyarrow's `FileEncryptionProperties`, to write one file with columns under keys of their own.

        Pass them as `encryption_properties` to `pyarrow.parquet.write_table`, `pyarrow.parquet.ParquetWriter` or
        `pandas.DataFrame.to_parquet`, and write to this dataset: only the sealed object around the file detects that a
        storage exchanged it. Call this for each file.

        Args:
            columns: the names of columns, by the names of their keys in ``encryption.columns``:
                ``{"pii": ["name", "birth_date"]}``. In other columns, and in the footer, everything can be read by all
                who have the dataset's key.

        Raises:
            NotSupported: the dataset is not encrypted, or pyarrow is not installed.
            ConfigError: there is no such key, a column is named twice, or its name cannot be passed to pyarrow.
            KeyRefused, KeyUnavailable, InvalidKey: a key's source does not give it.
        """
        from connectors.app.columns import encryption_properties  # noqa: PLC0415

        with naming(self._name):
            return encryption_properties(self._column_keys(), columns)

    def parquet_columns(self, name: str | None = None) -> list[Column]:
        """Return the columns of a Parquet file, with the name of each one's key, and whether the document has it.

        No key but the dataset's own is asked for.

        Args:
            name: the object's name, if the dataset is a folder.

        Raises:
            NotSupported: it is no Parquet file, or one whose footer is encrypted, or the dataset is not encrypted.
        """
        from connectors.app.columns import columns_in  # noqa: PLC0415

        with naming(self._name, name):
            encryption = self._column_keys().encryption
            fs, path = self.filesystem() if name is not None else self._single()
            with fs.open(path if name is None else f"{path}/{name}", "rb") as file:
                return columns_in(file, encryption)

    def _column_keys(self) -> ColumnKeys:
        from connectors.app.columns import ColumnKeys  # noqa: PLC0415

        encryption = self._resolve().credentials.encryption
        if encryption is None:
            message = "this dataset is not encrypted; columns have keys of their own only inside of sealed objects"
            raise NotSupported(message)
        return ColumnKeys(encryption, self._root, self._name)

    def read_bytes(self) -> bytes:
        """Return the whole dataset."""
        with self.open("rb") as file:
            data: bytes = file.read()
            return data

    def write_bytes(self, data: bytes) -> None:
        """Replace the whole dataset."""
        with self.open("wb") as file:
            file.write(data)

    def download(self, path: StrPath, callback: Callback = DEFAULT_CALLBACK) -> None:
        """Decrypt the dataset to a local file, which appears only after all of it has been verified.

        Args:
            path: the local file.
            callback: an `fsspec.Callback` that counts plain bytes.

        Raises:
            NotAnObject: the path or the dataset is a folder.
        """
        with naming(self._name):
            fs, inner = self._single()
            opened: Any = fs.open(inner, "rb")
            # Not through the reader's buffer: whole chunks are decrypted directly into the buffer that is written.
            with opened as reader, SealedWriter(PathSink(path), Plain()) as writer:
                copy_stream(reader.raw, writer, callback)

    def upload(self, path: StrPath, callback: Callback = DEFAULT_CALLBACK) -> None:
        """Replace the dataset with the encrypted contents of a local file.

        Args:
            path: the local file.
            callback: an `fsspec.Callback` that counts plain bytes.

        Raises:
            ObjectNotFound, NotAnObject: the file does not exist, or is a folder.
        """
        with naming(self._name):
            fs, inner = self._single()
            with open_local(path) as source, fs.open(inner, "wb") as writer:
                copy_stream(source, writer, callback)

    def __reduce__(self) -> Any:
        message = (
            "this dataset holds credentials and does not pickle; a dataset of an app config does, "
            "by its name: connectors.load()[port][object]"
        )
        raise TypeError(message)

    def __repr__(self) -> str:
        if self._resolved is None:
            return f"<Dataset {self._name or ''}>"
        return f"<Dataset {self._name or ''} at {redact_url(self._resolved.location)}>"
