"""EncryptedFileSystem: transparent encryption over any fsspec filesystem."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from connectors._fsspec import DEFAULT_CALLBACK, AsyncFileSystem
from connectors.errors import (
    ConfigError,
    IntegrityError,
    NotSupported,
    ObjectNotFound,
    TruncatedObject,
    naming,
)
from connectors.formats import DEFAULT_SEGMENT_SIZE, FormatName, select
from connectors.fs.coroutines import in_thread
from connectors.fs.folder import Folder, check_names
from connectors.fs.opening import OpeningView
from connectors.secrets import Hidden
from connectors.storage.adapters import claimed_size, map_errors, open_source
from connectors.storage.guard import Guarded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence

    from connectors._fsspec import AbstractFileSystem, Callback
    from connectors.formats import Format
    from connectors.secrets import SecretKey

__all__ = ["AsyncEncryptedFileSystem", "EncryptedFileSystem"]


class EncryptedFileSystem(Guarded, OpeningView):
    """Shows the sealed objects of another fsspec filesystem as plain files: sizes, listings, ranges and bytes.

    Sizes in `info` and `ls` are computed from what the storage reports; opening a file verifies its size. Over an
    asynchronous filesystem, an instance is an `AsyncEncryptedFileSystem`, with fsspec's coroutines.

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
        reference: a function and its arguments that recreate this filesystem, for pickling: an instance holds secrets,
            which are not pickled.
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
        """Create the asynchronous kind over an asynchronous filesystem."""
        kind: Any = AsyncEncryptedFileSystem if cls is EncryptedFileSystem and fs.async_impl else cls
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
        self.dataset = dataset
        self._codec = codec
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
        self._renewing = Lock()

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

        Raises:
            TruncatedObject, WrongKey: the size or header is impossible for this format and key.
        """
        with naming(self.dataset):
            inner = self._inner(path)
            try:
                return self._plain(map_errors(path, lambda: self.fs.info(inner, **kwargs)))
            except ObjectNotFound as error:
                found = error if self._folder is None else self._folder.is_missing(path) or error
            raise found

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List a folder. The `size` is None if it is impossible for this format.

        Raises:
            IntegrityError: the storage lists a name that points outside the folder.
        """
        with naming(self.dataset):
            inner = self._inner(path)
            try:
                entries = map_errors(path, lambda: self.fs.ls(inner, detail=True, **kwargs))
            except ObjectNotFound:
                if self._folder is None or self._folder.is_missing(path) is None:
                    raise
                entries = []  # compared with the manifest below
            check_names(inner, (entry["name"] for entry in entries))
            entries = entries if self._folder is None else self._folder.held(path, entries, 1, folders=True)
            if not detail:
                return [entry["name"] for entry in entries]
            return [self._plain(entry, strict=False) for entry in entries]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        detail: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> Any:
        """List everything below a folder, in as few requests as the inner filesystem needs.

        Raises:
            IntegrityError: the storage lists a name that points outside the folder.
        """
        with naming(self.dataset):
            inner = self._inner(path)
            options = {"maxdepth": maxdepth, "withdirs": withdirs, "detail": True, **kwargs}
            entries: dict[str, dict[str, Any]] = map_errors(path, lambda: self.fs.find(inner, **options))
            check_names(inner, entries)
            held = list(entries.values())
            if self._folder is not None:
                held = self._folder.held(path, held, maxdepth, folders=withdirs)
            if not detail:
                return [entry["name"] for entry in held]
            return {entry["name"]: self._plain(entry, strict=False) for entry in held}

    def expand_path(self, path: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> list[str]:  # noqa: FBT001, FBT002
        """Return the paths that match a path, a pattern or a list of them.

        Raises:
            ObjectNotFound: nothing matches.
        """
        expand: Any = super().expand_path  # type: ignore[misc]  # fsspec has no types
        with naming(self.dataset):
            return map_errors(str(path), lambda: expand(path, recursive=recursive, maxdepth=maxdepth, **kwargs))

    def _plain(self, info: dict[str, Any], *, strict: bool = True) -> dict[str, Any]:
        if info["type"] != "file":
            return info
        listed = None if self._folder is None else self._folder.listed_size(info["name"])
        sealed_size = claimed_size(info, strict=strict)
        try:
            size = None if sealed_size is None else self._plain_size(info["name"], sealed_size)
        except TruncatedObject:
            if strict:
                raise
            size = None
        if listed is not None and listed != size:
            message = (
                f"{info['name']} has a different size in the storage than in the folder's manifest; do not trust it"
            )
            raise IntegrityError(message)
        return {**info, "size": size, "sealed_size": sealed_size}

    def _plain_size(self, path: str, sealed_size: int) -> int:
        if self._layout is not None:
            return self._layout.plain_size(sealed_size)
        source = open_source(self.fs, path)
        try:
            return self._codec.decryptor(bytes(source.read_range(0, self._codec.head_size)), sealed_size).plain_size
        finally:
            source.close()

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object: within the storage, still sealed, unless its name is bound into it."""
        with naming(self.dataset):
            if self._folder is not None:
                super().cp_file(path1, path2)
                return
            self._check_unpinned()
            inner1, inner2 = self._inner(path1), self._inner(path2)
            map_errors(path1, lambda: self.fs.cp_file(inner1, inner2, **kwargs))

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Move objects: within the storage, still sealed, unless their names are bound into them."""
        with naming(self.dataset):
            self._check_unpinned()
            if self._folder is not None:
                with self._folder.one_manifest():
                    super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)
                return
            map_errors(path1, lambda: self.fs.mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs))

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
            inner = [self._inner(one) for one in ([path] if isinstance(path, str) else path)]
            self._remove(inner, lambda: self.fs.rm(inner, recursive=recursive, maxdepth=maxdepth))

    def _remove(self, paths: Sequence[str], remove: Callable[[], object]) -> None:
        self._check_unpinned()
        if self._folder is None:
            map_errors(", ".join(paths), remove)
        else:
            self._folder.remove(paths, remove)

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

    def created(self, path: str) -> Any:
        """Return the creation time that the storage reports."""
        return self.fs.created(self._inner(path))

    def modified(self, path: str) -> Any:
        """Return the modification time that the storage reports."""
        return self.fs.modified(self._inner(path))

    def invalidate_cache(self, path: str | None = None) -> None:
        """Drop cached listings and the cached manifest."""
        self.fs.invalidate_cache(path)
        if self._folder is not None and self._folder.manifest is not None:
            self._folder.manifest.forget()


class AsyncEncryptedFileSystem(EncryptedFileSystem, AsyncFileSystem):
    """An `EncryptedFileSystem` over an asynchronous filesystem, with fsspec's coroutines."""

    async_impl = True

    _info = in_thread(EncryptedFileSystem.info)
    _ls = in_thread(EncryptedFileSystem.ls)
    _find = in_thread(EncryptedFileSystem.find)
    _exists = in_thread(EncryptedFileSystem.exists)
    _cat_file = in_thread(EncryptedFileSystem.cat_file)
    _cat_ranges = in_thread(EncryptedFileSystem.cat_ranges)
    _pipe_file = in_thread(EncryptedFileSystem.pipe_file)
    _get_file = in_thread(EncryptedFileSystem.get_file)
    _put_file = in_thread(EncryptedFileSystem.put_file)
    _cp_file = in_thread(EncryptedFileSystem.cp_file)
    _mkdir = in_thread(EncryptedFileSystem.mkdir)
    _makedirs = in_thread(EncryptedFileSystem.makedirs)
    _rm_file = in_thread(EncryptedFileSystem.rm_file)
    _rm = in_thread(EncryptedFileSystem.rm)
    _created = in_thread(EncryptedFileSystem.created)
    _modified = in_thread(EncryptedFileSystem.modified)

    async def _expand_path(self, path: Any, *args: Any, **kwargs: Any) -> list[str]:
        try:
            expanded: list[str] = await super()._expand_path(path, *args, **kwargs)  # type: ignore[misc]
        except FileNotFoundError as error:
            missing = error if isinstance(error, ObjectNotFound) else ObjectNotFound(f"nothing is stored at {path}")
        else:
            return expanded
        with naming(self.dataset):
            raise missing
