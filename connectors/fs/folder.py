"""A folder of sealed objects, each bound to its name, with an optional manifest."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from connectors.errors import IntegrityError, NotAnObject, NotSupported, ObjectNotFound, PinMismatch, naming
from connectors.fs.manifest import MANIFEST_NAME, FolderManifest, survey
from connectors.fs.twins import stored_twin, with_twin
from connectors.names import printable, twin_of
from connectors.storage.adapters import map_errors
from connectors.storage.trees import is_safe, list_tree
from connectors.streams import SealedObject
from connectors.system.atomic_files import is_staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from connectors._fsspec import AbstractFileSystem, Callback
    from connectors.formats import Format
    from connectors.streams import Sink, Source

    Committed = Callable[[int, str], object]
    Entry = dict[str, Any]

__all__ = ["Folder"]

T = TypeVar("T")


class _Store(Protocol):
    """The filesystem that contains a folder, and its methods to open sealed objects."""

    fs: AbstractFileSystem
    dataset: str | None

    def _strip_protocol(self, path: str) -> str: ...
    def open_sealed(self, path: str) -> Source: ...
    def open_place(self, path: str, *, exclusive: bool) -> Sink: ...


class Folder:
    """A folder whose objects are encrypted with their names bound in.

    Args:
        store: the filesystem that contains it.
        root: its path.
        codec: the format of its objects, not bound to a name; its pin is the manifest's.
        manifest: whether it has a manifest.

    Attributes:
        root: its path, without a slash at the end.
        manifest: its manifest, or None if it has none.
    """

    def __init__(self, store: _Store, root: str, codec: Format, *, manifest: bool) -> None:
        self.root = root
        self._store = store
        self._codec = codec
        self.manifest: FolderManifest | None = None
        if manifest:
            bound, path = codec.bound(MANIFEST_NAME), f"{root}/{MANIFEST_NAME}"
            bound.pin = codec.pin
            self.manifest = FolderManifest(
                bound,
                lambda: store.open_sealed(path),
                lambda: store.open_place(path, exclusive=False),
                lambda: not self.stored(),
                store.dataset,
            )

    def relative(self, path: str) -> str:
        """Return a path relative to the folder, as it is bound into the object.

        Raises:
            ObjectNotFound: the path is outside the folder.
        """
        whole = self._store._strip_protocol(path)  # noqa: SLF001 - fsspec's name
        # Some filesystems have a slash before each path, which is not bound.
        inside, root = f"{whole.lstrip('/')}/", f"{self.root.lstrip('/')}/" if self.root else ""
        relative = inside.removeprefix(root).rstrip("/")
        if not inside.startswith(root) or not is_safe(relative):
            message = f"{path} is outside the folder {self.root or '/'}; nothing else is accessible here"
            raise ObjectNotFound(message)
        return relative

    def codec_for(self, path: str) -> Format:
        """Return the format bound to one object's name."""
        name = self._member(path)
        if is_staged(name):
            message = f"{name!r} cannot be an object: half-written files have such names, which listings hide"
            raise NotSupported(message)
        return self._codec.bound(name)

    def _member(self, path: str) -> str:
        """Return a path relative to the folder; refuse the manifest's."""
        name = self.relative(path)
        if self.manifest is not None and name == MANIFEST_NAME:
            message = f"{MANIFEST_NAME} is the folder's manifest, which is read and written automatically"
            raise NotSupported(message)
        return name

    def opened(self, path: str, opens: Callable[[Source, Format], T]) -> T:
        """Return the result of `opens` for an object's sealed bytes and its format, pinned to the manifest's version.

        Raises:
            ObjectNotFound: there is no such object; the message names one that looks the same.
            IntegrityError: the object is in the manifest but not in the storage, now or when `opens` reads.
            PinMismatch: the storage has another version of it.
        """
        codec = self.codec_for(path)
        with naming(None, printable(self.relative(path))):
            return self._opened(path, codec, opens)

    def _opened(self, path: str, codec: Format, opens: Callable[[Source, Format], T]) -> T:
        if self.manifest is None:
            try:
                return opens(self._store.open_sealed(path), codec)
            except ObjectNotFound as error:
                missing = error
            raise with_twin(missing, self.twin(path))
        name = self.relative(path)
        member = self.manifest.member(name)
        problem: IntegrityError
        # In this order: an object that is replaced between the two is found as the second one.
        for pin in [member.pin] if member.next is None else [member.pin, member.next]:
            codec.pin = pin
            try:
                return opens(self._store.open_sealed(path), codec)
            except (ObjectNotFound, NotAnObject):
                problem = self.manifest.missing(name)
                break
            except PinMismatch:
                message = (
                    f"{name!r} is not the object in the folder's manifest: it was rolled back, replaced, or rewritten "
                    "without updating the manifest; do not trust it"
                )
                problem = PinMismatch(message)
        raise problem

    def committed(self, path: str) -> Committed | None:
        """Return the function to call after an object has been written, which updates the manifest."""
        if self.manifest is None:
            return None
        manifest, name = self.manifest, self.relative(path)
        manifest.prepare()  # raise errors now, and not after the object is written
        return lambda size, pin: manifest.written(name, size, pin)

    def remove(self, paths: Sequence[str], remove: Callable[[], object]) -> None:
        """Remove objects, then remove from the manifest those that are gone from the storage."""
        shown = ", ".join(paths)
        if self.manifest is None:
            map_errors(shown, remove)
            return
        names = {name for path in paths for name in self.manifest.at(self._member(path))}
        try:
            map_errors(shown, remove)
        finally:
            self.manifest.removed(names.difference(self.stored()))

    def has_object(self, path: str) -> bool:
        """Return whether a path is that of an object in the manifest."""
        return self.manifest is not None and self.relative(path) in self.manifest.at(self.relative(path))

    def is_missing(self, path: str) -> IntegrityError | None:
        """Return an error if a path that the storage does not have is in the manifest."""
        name = self.relative(path)
        return self.manifest.missing(name) if self.manifest is not None and self.manifest.at(name) else None

    def twin(self, path: str) -> str:
        """Return the end of a message about a missing path: which one looks the same, in another Unicode form."""
        name = self.relative(path)
        if self.manifest is None:
            return stored_twin(self._store.fs, self.root, name)
        return twin_of(name, self.manifest.paths(name.count("/") + 1))

    def held(self, path: str, entries: Iterable[Entry], depth: int | None, *, folders: bool) -> list[Entry]:
        """Check a listing of the storage against the manifest, and return its entries.

        Args:
            path: the path that was listed.
            entries: the listed entries.
            depth: the number of levels listed; None for all.
            folders: whether the listing includes folders.
        """
        if self.manifest is None:
            return [entry for entry in entries if entry["type"] == "directory" or not is_staged(entry["name"])]
        # An object and a folder can have the same name, and the storage may list either twice.
        listed = {(self.relative(entry["name"]), entry["type"] == "file"): entry for entry in entries}
        files = {name for name, is_file in listed if is_file and not _is_internal(name)}
        others = {name for name, is_file in listed if not is_file} if folders else None
        self.manifest.check_listed(self.relative(path), files, others, depth)
        # Leave out empty folders, which the manifest does not cover.
        return [
            entry
            for (name, is_file), entry in listed.items()
            if (name in files if is_file else self.manifest.within(name))
        ]

    def listed_size(self, path: str) -> int | None:
        """Return the plain size of an object from the manifest; None if the folder has no manifest."""
        return None if self.manifest is None else self.manifest.member(self.relative(path)).size

    def one_manifest(self) -> AbstractContextManager[None]:
        """Return a context that writes the manifest once at its end, for all changes."""
        return nullcontext() if self.manifest is None else self.manifest.held()

    def needed_manifest(self) -> FolderManifest:
        """Return the manifest.

        Raises:
            NotSupported: the folder has none.
        """
        if self.manifest is None:
            message = 'this folder has no manifest; set "manifest": true in its encryption'
            raise NotSupported(message)
        return self.manifest

    def write_manifest(self, callback: Callback) -> int:
        """Rewrite the manifest from the stored objects; return their number."""
        manifest = self.needed_manifest()

        def open_object(name: str) -> SealedObject:
            source = self._store.open_sealed(f"{self.root}/{name}")
            return SealedObject(source, self._codec.bound(name), name=self._store.dataset)

        members = survey(self.stored(), open_object, callback)
        manifest.replace(members)
        return len(members)

    def stored(self) -> list[str]:
        """Return the relative paths of the objects that the storage lists, without the manifest."""
        found = list_tree(self._store.fs, self.root)
        return [name for name in map(self.relative, found) if not _is_internal(name)]


def _is_internal(name: str) -> bool:
    """Return whether an object is the manifest or a staged file."""
    return name == MANIFEST_NAME or is_staged(name)
