"""Opening sealed objects as plain files, with credentials that are renewed when they expire; a folder's manifest."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from connectors._fsspec import DEFAULT_CALLBACK, LocalFileSystem
from connectors.errors import CredentialsExpired, NotAnObject, NotSupported, ObjectNotFound, naming
from connectors.fs.plain import PlainView
from connectors.fs.twins import stored_twin, with_twin
from connectors.storage.adapters import open_sink, open_source
from connectors.storage.renewal import renewed_source
from connectors.streams import RenewableSink, SealedObject, SealedWriter, buffered
from connectors.streams.object import missing_pinned

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors._fsspec import AbstractFileSystem, Callback
    from connectors.errors import ConnectorError, StorageError
    from connectors.formats import Format
    from connectors.fs.folder import Folder
    from connectors.streams import Sink, Source
    from connectors.system.locks import ForkSafeLock

__all__ = ["OpeningView"]

T = TypeVar("T")


class OpeningView(PlainView):
    """Opens the sealed objects of an inner filesystem: the reading and writing part of `EncryptedFileSystem`.

    Attributes:
        fs: the inner filesystem; replaced by one with renewed credentials when they expire.
        dataset: the dataset's name in errors.
    """

    fs: AbstractFileSystem
    dataset: str | None
    _codec: Format
    _folder: Folder | None
    _renewed: Callable[[], AbstractFileSystem | None] | None
    _renewing: ForkSafeLock
    _reference: tuple[Callable[..., object], tuple[object, ...]] | None

    def _open(self, path: str, mode: str = "rb", *, autocommit: bool = True, **_: Any) -> Any:
        with naming(self.dataset):
            if mode == "rb":
                file = self._opened(path, lambda source, codec: buffered(source, codec, name=self.dataset))
                file.place = None if self._reference is None else (self, path)
                return file
            folder = self._folder
            codec = self._codec if folder is None else folder.codec_for(path)
            self._check_unpinned()
            committed = None if folder is None else folder.committed(path)
            sink = self.open_place(path, exclusive=mode == "xb")
            return SealedWriter(sink, codec, name=self.dataset, autocommit=autocommit, committed=committed)

    def _open_object(self, path: str) -> SealedObject:
        with naming(self.dataset):
            inner = self._strip_protocol(path)
            return self._opened(inner, lambda source, codec: SealedObject(source, codec, name=self.dataset))

    def _opened(self, path: str, opens: Callable[[Source, Format], T]) -> T:
        if self._folder is not None:
            return self._folder.opened(path, opens)
        try:
            # Many sources send the first request on the first read, which may also raise ObjectNotFound.
            return opens(self.open_sealed(path), self._codec)
        except (ObjectNotFound, NotAnObject) as error:
            raised = self._missing(path, error)
        raise self._told_apart(path, raised)

    def _told_apart(self, path: str, error: ConnectorError) -> ConnectorError:
        """Return the error for a missing path; the message names what looks the same in another Unicode form."""
        if not isinstance(error, ObjectNotFound):
            return error
        inner = self._strip_protocol(path)
        parent, _, name = inner.rpartition("/")
        twin = stored_twin(self.fs, parent, name) if self._folder is None else self._folder.twin(path)
        return with_twin(error, twin)

    @property
    def _is_pinned_object(self) -> bool:
        return self._folder is None and self._codec.pin is not None

    def _missing(self, path: str, error: StorageError) -> ConnectorError:
        """Return the error for a path that the storage does not have: a pin or a manifest means that it exists."""
        if self._is_pinned_object:
            return missing_pinned()
        return (None if self._folder is None else self._folder.is_missing(path)) or error

    def _check_unpinned(self) -> None:
        if self._codec.pin is not None:
            message = "this dataset is pinned, and writing would replace the pinned object; remove the pin to write"
            raise NotSupported(message)

    def open_place(self, path: str, *, exclusive: bool) -> Sink:
        """Open a sink for the sealed bytes of a new object."""
        sink = open_sink(self.fs, path, exclusive=exclusive)
        if self._renewed is not None and isinstance(sink, RenewableSink):
            sink.renew_by(self._renew)
        return sink

    def open_sealed(self, path: str) -> Source:
        """Open the sealed bytes of an object; reads continue with renewed credentials when they expire."""
        fs = self.fs
        if self._renewed is None or isinstance(fs, LocalFileSystem):
            return open_source(fs, path)  # local files need no credentials

        def renew() -> Source | None:
            nonlocal fs
            fs, before = self._renew(fs), fs
            return None if fs is before else open_source(fs, path)

        try:
            source = open_source(fs, path)
        except CredentialsExpired as error:
            expired = error
        else:
            return renewed_source(source, renew)
        fs, before = self._renew(fs), fs
        if fs is before:
            raise expired
        return renewed_source(open_source(fs, path), renew)

    def _renew(self, expired: AbstractFileSystem) -> AbstractFileSystem:
        """Return the inner filesystem with renewed credentials; `expired` itself if there are none."""
        with self._renewing.current:
            fresh = self._renewed() if self.fs is expired and self._renewed is not None else None
            if fresh is not None:
                self.fs = fresh
            return self.fs

    @property
    def pin(self) -> str:
        """The fingerprint of this version of a folder with a manifest: 64 hexadecimal digits.

        Raises:
            NotSupported: it is not a folder with a manifest.
            IntegrityError: the manifest is invalid.
        """
        with naming(self.dataset):
            return self._bound_folder().needed_manifest().pin

    def write_manifest(self, callback: Callback = DEFAULT_CALLBACK) -> int:
        """Rewrite the folder's manifest from the objects in the storage; return their number.

        Each object is opened and its end verified. A missing object or an old version cannot be detected.

        Args:
            callback: an `fsspec.Callback` that counts the objects.

        Raises:
            NotSupported: it is not a folder with a manifest, or is pinned.
            IntegrityError: an object was not encrypted for its name.
        """
        with naming(self.dataset):
            self._check_unpinned()
            return self._bound_folder().write_manifest(callback)

    def _bound_folder(self) -> Folder:
        if self._folder is None:
            message = "only a folder whose objects are bound to their names has a manifest"
            raise NotSupported(message)
        return self._folder

    def one_manifest(self) -> AbstractContextManager[None]:
        """Return a context that writes the manifest, if there is one, once at its end."""
        return nullcontext() if self._folder is None else self._folder.one_manifest()
