"""EncryptedFileSystem: transparent encryption over any fsspec filesystem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from connectors._fsspec import LocalFileSystem, has_magic
from connectors.errors import (
    ConfigError,
    IntegrityError,
    NotAnObject,
    NotSupported,
    ObjectChanged,
    ObjectNotFound,
    TruncatedObject,
    naming,
)
from connectors.formats import DEFAULT_SEGMENT_SIZE, FormatName, Plain, select
from connectors.fs.coroutines import ThreadedCoroutines
from connectors.fs.folder import Folder
from connectors.fs.many import OVER_A_NETWORK
from connectors.fs.opening import OpeningView
from connectors.fs.sizes import ProvenSizes
from connectors.secrets import Hidden
from connectors.storage.adapters import check_replaceable, claimed_size, map_errors
from connectors.storage.capabilities import Renames
from connectors.storage.filesystem import ObjectFileSystem
from connectors.storage.guard import Guarded
from connectors.storage.trees import folder_links, list_folder, list_tree, remove
from connectors.system.locks import ForkSafeLock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence

    from connectors._fsspec import AbstractFileSystem
    from connectors.formats import Format
    from connectors.secrets import SecretKey

__all__ = ["AsyncEncryptedFileSystem", "EncryptedFileSystem"]


class EncryptedFileSystem(Guarded, OpeningView):
    """Shows the sealed objects of another fsspec filesystem as plain files: sizes, listings, ranges and bytes.

    Every method is complete or raises an error: what the storage refuses is never taken for absent. A `size` is
    verified or None: `info` opens the object, and listings know the sizes of a folder with a manifest. Over a store
    that is asynchronous or reached by a network, it is an `AsyncEncryptedFileSystem`, with fsspec's coroutines.

    Args:
        fs: the filesystem of sealed objects.
        key: a `SecretKey`, 32 bytes, or 64 hexadecimal digits.
        format: a name from `connectors.formats.NAMES`.
        context: bytes that bind the objects to a place or purpose.
        segment_size: bytes in a sealed segment; tink-gcm-hkdf only.
        root: a folder; only its objects are accessible. Each object's relative path is bound into its context, so that
            the storage cannot return one object for another. None binds nothing.
        manifest: the folder has a sealed manifest, which objects and listings are checked against and which is
            updated with every change; see `connectors.fs.manifest`. A pin of `codec` is then the manifest's.
        asynchronous: fsspec's coroutines are called from the caller's own event loop.
        loop: the event loop for fsspec's coroutines, if not fsspec's own.
        codec: the format with its key, instead of `key`, `format`, `context` and `segment_size`.
        dataset: the dataset's name in errors.
        reference: a function and its arguments that recreate this filesystem, for pickling, as secrets are not pickled.
        renewed: called when the credentials of `fs` have expired; returns the filesystem with renewed credentials, or
            None if there are none. `fs` is replaced, and reads in progress continue.

    Raises:
        InvalidKey, ConfigError: the key or an option is wrong.
        NotSupported: `asynchronous`, and `fs` has no coroutines.

    >>> import fsspec
    >>> fs = EncryptedFileSystem(fs=fsspec.filesystem("memory"), key="00" * 32)
    >>> fs.pipe_file("/ward/one", b"temperature 37.2")
    >>> fs.size("/ward/one"), fs.fs.size("/ward/one"), fs.cat_file("/ward/one", start=-4)
    (16, 88, b'37.2')
    """

    def __new__(cls, fs: AbstractFileSystem, *_: Any, **__: Any) -> Self:
        """Create the kind with coroutines over an asynchronous filesystem, and over one that waits for a network."""
        waits = fs.async_impl or isinstance(fs, ObjectFileSystem)
        kind: Any = AsyncEncryptedFileSystem if cls is EncryptedFileSystem and waits else cls
        made: Self = super().__new__(kind)
        return made

    def __init__(  # noqa: PLR0917 - fsspec's users pass options as they like
        self,
        fs: AbstractFileSystem,
        key: SecretKey | bytes | str | None = None,
        format: FormatName = "cobblestone-256",  # noqa: A002 - the word of the credentials document
        context: bytes = b"",
        segment_size: int = DEFAULT_SEGMENT_SIZE,
        root: str | None = None,
        manifest: bool = False,  # noqa: FBT001, FBT002
        *,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        codec: Format | None = None,
        dataset: str | None = None,
        reference: tuple[Callable[..., object], tuple[object, ...]] | None = None,
        renewed: Callable[[], AbstractFileSystem | None] | None = None,
    ) -> None:
        if codec is None:
            if key is None:
                message = "an EncryptedFileSystem needs a key"
                raise ConfigError(message)
            hidden, key = Hidden(key), None  # a traceback that prints locals would print it
            codec = select(format, hidden, context=context, segment_size=segment_size)
        if getattr(fs, "asynchronous", False):
            message = "create the inner filesystem without asynchronous=True; set it on the outer one"
            raise ConfigError(message)
        if asynchronous and not self.async_impl:
            message = f"{type(fs).__name__} is not asynchronous; leave out asynchronous=True"
            raise NotSupported(message)
        super().__init__(**({"asynchronous": asynchronous, "loop": loop} if self.async_impl else {}))
        self.fs = fs
        self.at_once = OVER_A_NETWORK if self.async_impl else 1
        self.dataset = dataset
        self._codec = codec
        self._proven_sizes = ProvenSizes()
        self._folder: Folder | None = None
        if root is not None:
            self._folder = Folder(self, fs._strip_protocol(root).rstrip("/"), codec, manifest=manifest)  # noqa: SLF001
        elif manifest:
            message = "a manifest needs a folder whose objects are bound to their names; pass the folder as root"
            raise ConfigError(message)
        # All objects of a bound folder have one layout, even where auto alone would leave two.
        self._layout = codec.layout if root is None else codec.bound("").layout
        self._reference = reference
        self._renewed = renewed
        self._renewing = ForkSafeLock()

    def __reduce__(self) -> Any:
        return super().__reduce__() if self._reference is None else self._reference

    def __repr__(self) -> str:
        if "_codec" not in vars(self):  # the constructor failed, and a traceback prints it
            return f"<{type(self).__name__}>"
        return f"<{type(self).__name__} {self._codec.name} over {type(self.fs).__name__}>"

    @property
    def fsid(self) -> str:
        """A unique name of this instance."""
        return self._own_token()

    @property
    def root_marker(self) -> str:  # type: ignore[override]  # a class variable in fsspec
        """The inner filesystem's root marker."""
        return self.fs.root_marker

    def _strip_protocol(self, path: str) -> str:  # type: ignore[override]  # a class method in fsspec
        return self.fs._strip_protocol(path)  # noqa: SLF001 - paths are the inner filesystem's

    def _parent(self, path: str) -> str:  # type: ignore[override]
        return self.fs._parent(path)  # noqa: SLF001

    def _inner(self, path: str) -> str:
        """Return a path of the inner filesystem; refuse one outside the folder."""
        if self._folder is not None:
            self._folder.relative(path)
        return self._strip_protocol(path)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return the inner filesystem's info about `path`, with the plain `size` and the `sealed_size`.

        The size is verified: this opens the object, unless the folder's manifest has its size, or this version of it
        was opened before.

        Raises:
            IntegrityError: the object is not what its owner encrypted, or is missing although it is pinned or in the
                folder's manifest.
        """
        with naming(self.dataset):
            try:
                return self._found(path, **kwargs)
            except ObjectNotFound as error:
                missing = error
            raise self._told_apart(path, missing)

    def _found(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return what `info` does; if there is nothing, do not look for names that look the same."""
        with naming(self.dataset):
            inner = self._inner(path)
            try:
                info = map_errors(path, lambda: self.fs.info(inner, **kwargs))
            except (ObjectNotFound, NotAnObject) as error:
                raised = self._missing(path, error)
            else:
                if info["type"] == "file":
                    return self._proven(path, info)
                if not self._is_pinned_object and not (self._folder is not None and self._folder.has_object(path)):
                    return info
                raised = self._missing(path, NotAnObject(path))
            raise raised

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List a folder. The `size` of an object is that in the folder's manifest, or None without a manifest.

        Raises:
            IntegrityError: the storage lists a name that points outside the folder, or the listing is not that of the
                folder's manifest.
        """
        with naming(self.dataset):
            inner = self._inner(path)
            missing: ObjectNotFound | None = None
            try:
                entries = list_folder(self.fs, inner, **kwargs)
            except ObjectNotFound as error:
                missing, entries = error, []  # compared with the manifest below
            if missing is not None and (self._folder is None or self._folder.is_missing(path) is None):
                raise self._told_apart(path, missing)
            entries = entries if self._folder is None else self._folder.held(path, entries, 1, folders=True)
            if not detail:
                return [entry["name"] for entry in entries]
            return [self._listed(entry) for entry in entries]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        detail: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> Any:
        """List everything below a folder, in few requests. The sizes are those of `ls`.

        Raises:
            IntegrityError: as for `ls`.
        """
        with naming(self.dataset):
            inner = self._inner(path)
            entries = list_tree(self.fs, inner, depth=maxdepth, folders=withdirs, **kwargs)
            held = list(entries.values())
            if self._folder is not None:
                held = self._folder.held(path, held, maxdepth, folders=withdirs)
            if not detail:
                return [entry["name"] for entry in held]
            return {entry["name"]: self._listed(entry) for entry in held}

    def _listed(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return an entry of a listing, in which a size is proven or None."""
        if entry["type"] != "file":
            return entry
        sealed_size = claimed_size(entry, strict=False)
        if isinstance(self._codec, Plain):
            return {**entry, "size": sealed_size, "sealed_size": sealed_size}  # nothing could verify it
        size = None if self._folder is None else self._folder.listed_size(entry["name"])
        if size is not None and self._layout is not None and size != self._plain_size(sealed_size):
            message = (
                f"{entry['name']} has a different size in the storage than in the folder's manifest; do not trust it"
            )
            raise IntegrityError(message)
        return {**entry, "size": size, "sealed_size": sealed_size}

    def _plain_size(self, sealed_size: int | None) -> int | None:
        if sealed_size is None or self._layout is None:
            return None
        try:
            return self._layout.plain_size(sealed_size)
        except TruncatedObject:
            return None

    def _proven(self, path: str, info: dict[str, Any]) -> dict[str, Any]:
        """Return an object's info with its verified size; the storage alone could make readers stop early."""
        listed = None if self._folder is None else self._folder.listed_size(info["name"])
        if listed is not None:
            return self._listed(info)
        if isinstance(self._codec, Plain):
            return {**info, "size": claimed_size(info), "sealed_size": claimed_size(info)}
        size, sealed_size = self._proven_sizes.of(info, lambda: self._open_object(path))
        return {**info, "size": size, "sealed_size": sealed_size}

    def folder_links(self, paths: list[str]) -> list[str]:
        """Return those of the paths that are links to folders, which listings do not follow."""
        with naming(self.dataset):
            inner = {self._inner(path): path for path in paths}
            return [inner[link] for link in folder_links(self.fs, list(inner))]

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object: within the storage, still sealed, unless its name is bound into it."""
        with naming(self.dataset):
            if self._folder is not None:
                super().cp_file(path1, path2)
                return
            self._check_unpinned()
            inner1, inner2 = self._inner(path1), self._inner(path2)
            check_replaceable(self.fs, inner2)
            map_errors(path1, lambda: self.fs.cp_file(inner1, inner2, **kwargs))

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Move objects: within the storage, still sealed, unless their names are bound into them.

        The originals are removed only after all copies are verified, or renamed at once where the storage renames.
        """
        with naming(self.dataset):
            self._check_unpinned()
            renames = self._folder is None and isinstance(self.fs, (LocalFileSystem, Renames))
            if renames and isinstance(path1, str) and not has_magic(path1):
                inner1, inner2 = self._inner(path1), self._inner(path2)
                self._rename(path1, inner1, inner2)
                return
            with self.one_manifest():
                super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)

    def _rename(self, shown: str, old: str, new: str) -> None:
        fs = self.fs
        if isinstance(fs, Renames):
            map_errors(shown, lambda: fs.rename_all(old, new))
        else:
            map_errors(shown, lambda: fs.mv(old, new, recursive=True))

    def _check_copy(self, original: str, copy: str) -> None:
        with naming(self.dataset):
            one, other = self._open_object(original), self._open_object(copy)
            try:
                same = one.size == other.size
                if same and self._folder is None and not isinstance(self._codec, Plain):
                    same = one.pin == other.pin  # copied sealed: it is the same encryption
            finally:
                one.close()
                other.close()
            if not same:
                message = f"the copy {copy} is not the same as {original}; nothing was removed"
                raise ObjectChanged(message)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Create a folder, if the storage has folders."""
        with naming(self.dataset):
            inner = self._inner(path)
            map_errors(path, lambda: self.fs.mkdir(inner, create_parents=create_parents, **kwargs))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        """Create a folder and its parents, if the storage has folders."""
        with naming(self.dataset):
            inner = self._inner(path)
            map_errors(path, lambda: self.fs.makedirs(inner, exist_ok=exist_ok))

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        with naming(self.dataset):
            inner = self._inner(path)
            map_errors(path, lambda: self.fs.rmdir(inner))

    def rm_file(self, path: str) -> None:
        """Remove an object."""
        with naming(self.dataset):
            inner = self._inner(path)
            self._remove([path], lambda: self.fs.rm_file(inner))

    def rm(self, path: str | Iterable[str], recursive: bool = False, maxdepth: int | None = None) -> None:  # noqa: FBT001, FBT002
        """Remove objects, and with `recursive` also folders."""
        with naming(self.dataset):
            given = [self._inner(one) for one in ([path] if isinstance(path, str) else path)]
            inner = [match for one in given for match in self._matches(one)]

            def remove_each() -> None:
                for one in inner:
                    remove(self.fs, one, recursive=recursive, depth=maxdepth)

            self._remove(inner, remove_each)

    def _matches(self, path: str) -> list[str]:
        """Return the paths that a path means: itself, or the matches of a pattern that is not the name of anything."""
        if not has_magic(path) or self.exists(path):
            return [path]
        found: list[str] = self.glob(path)
        if not found:
            message = f"nothing is stored at {path}"
            raise ObjectNotFound(message)
        return found

    def _remove(self, paths: Sequence[str], remove: Callable[[], object]) -> None:
        self._check_unpinned()
        if self._folder is None:
            map_errors(", ".join(paths), remove)
        else:
            self._folder.remove(paths, remove)

    def created(self, path: str) -> Any:
        """Return the creation time that the storage reports."""
        with naming(self.dataset):
            inner = self._inner(path)
            return map_errors(path, lambda: self.fs.created(inner))

    def modified(self, path: str) -> Any:
        """Return the modification time that the storage reports."""
        with naming(self.dataset):
            inner = self._inner(path)
            return map_errors(path, lambda: self.fs.modified(inner))

    def invalidate_cache(self, path: str | None = None) -> None:
        """Drop cached listings and the cached manifest."""
        self.fs.invalidate_cache(path)
        self._proven_sizes.clear()
        if self._folder is not None and self._folder.manifest is not None:
            self._folder.manifest.forget()


class AsyncEncryptedFileSystem(EncryptedFileSystem, ThreadedCoroutines):
    """An `EncryptedFileSystem` over a network, with fsspec's coroutines."""
