"""Filesystems in which everything is plain: sizes, ranges, listings, bytes.

`EncryptedFileSystem` shows any fsspec filesystem of sealed objects that way. `PlainView` is what it has in common with
the ``dataset://`` protocol: files that commit on success, also in text mode and on the way to a local path.
"""

from __future__ import annotations

import io
import os
import uuid
from typing import IO, TYPE_CHECKING, Any, NoReturn

from connectors.errors import ConfigError, NotSupported, TruncatedObject, naming
from connectors.formats import DEFAULT_SEGMENT_SIZE, FormatName, Plain, select
from connectors.fsspec_types import DEFAULT_CALLBACK, AbstractFileSystem
from connectors.storage import open_sink, open_source, translated
from connectors.streams import SealedText, SealedWriter, as_sink, buffered, pump

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.formats import Format
    from connectors.fsspec_types import Callback
    from connectors.secrets import SecretKey

__all__ = ["EncryptedFileSystem", "PlainView"]


class PlainView(AbstractFileSystem):
    """What filesystems of plain files share. A subclass has `_open`, `info` and `ls`."""

    cachable = False

    def open(  # fsspec has no types to keep to
        self,
        path: str,
        mode: str = "rb",
        *,
        compression: str | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **kwargs: Any,
    ) -> IO[Any]:
        """Open a file. The modes are rb, wb and xb, and rt, wt and xt for text.

        What is written appears when the file is closed in good order, and not otherwise: see `SealedWriter`.

        Raises:
            NotSupported: another mode. Sealed objects have an authenticated end, so none can grow.
        """
        kind = mode.replace("b", "").replace("t", "")
        if kind not in ("r", "w", "x"):
            message = (
                f"mode {mode!r} is not supported: the end of a sealed object is authenticated, so it cannot grow or "
                "change in place; write it anew with 'wb', or 'xb' where there must be none yet"
            )
            raise NotSupported(message)
        if compression is not None and kind != "r":
            # fsspec would drop the file below the compressor unclosed, which here means: discard it.
            message = "to write compressed, use fsspec.open(…, compression=…), or compress into the open file"
            raise NotSupported(message)
        file: Any = super().open(path, f"{kind}b", compression=compression, **kwargs)
        if "b" in mode:
            return file  # type: ignore[no-any-return]
        text = io.TextIOWrapper if kind == "r" else SealedText
        return text(file, encoding=encoding, errors=errors, newline=newline)

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Tell whether there is something at `path`; what cannot be told is raised, not answered with False."""
        try:
            self.info(path, **kwargs)
        except FileNotFoundError:
            return False
        return True

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Return the bytes of a file from `start` to `end`, both counted from the end where negative."""
        with self._open(path, "rb", **kwargs) as file:
            begin, stop, _ = slice(start, end).indices(file.raw.size)
            file.seek(begin)
            data: bytes = file.read(max(0, stop - begin))
            return data

    def get_file(
        self, rpath: str, lpath: Any, callback: Callback = DEFAULT_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """Copy a file to a local path, where it appears only when all of it has verified."""
        target = outfile if outfile is not None else lpath
        if isinstance(target, (str, os.PathLike)):
            if self.isdir(rpath):
                os.makedirs(target, exist_ok=True)
                return
            os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
        with self._open(rpath, "rb", **kwargs) as reader, SealedWriter(as_sink(target), Plain()) as writer:
            pump(reader.raw, writer, callback)

    def put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Copy a local file in."""
        if os.path.isdir(lpath):
            self.makedirs(rpath, exist_ok=True)
            return
        exclusive = "xb" if mode == "create" else "wb"
        with open(lpath, "rb", buffering=0) as source, self.open(rpath, exclusive, **kwargs) as writer:
            pump(source, writer, callback)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy a file by opening and sealing it again."""
        with self._open(path1, "rb", **kwargs) as reader, self.open(path2, "wb") as writer:
            pump(reader.raw, writer)


class EncryptedFileSystem(PlainView):
    """Another fsspec filesystem, whose objects are sealed, with plain sizes, listings, ranges and bytes.

    Sizes in `info` and `ls` are arithmetic on what the storage says; opening a file is what proves its size.

    Args:
        fs: the filesystem of sealed objects.
        key: a `SecretKey`, 32 bytes, or 64 hexadecimal digits.
        format: a name from `connectors.formats.NAMES`.
        context: bytes that bind the objects to a place or purpose.
        segment_size: bytes in a sealed segment; tink-gcm-hkdf only.
        codec: the format with its key, instead of the four arguments above.
        dataset: what errors call the dataset.
        reference: a function and its arguments that make this filesystem again, for pickling: an instance holds
            secrets, which do not travel.

    Raises:
        InvalidKey, ConfigError: the key or an option is wrong.

    >>> import fsspec
    >>> fs = EncryptedFileSystem(fs=fsspec.filesystem("memory"), key="00" * 32)
    >>> fs.pipe_file("/ward/one", b"temperature 37.2")
    >>> fs.size("/ward/one"), fs.fs.size("/ward/one"), fs.cat_file("/ward/one", start=-4)
    (16, 88, b'37.2')
    """

    def __init__(
        self,
        fs: AbstractFileSystem,
        key: SecretKey | bytes | str | None = None,
        format: FormatName = "cobblestone-256",  # noqa: A002 - the word of the credentials document
        context: bytes = b"",
        segment_size: int = DEFAULT_SEGMENT_SIZE,
        *,
        codec: Format | None = None,
        dataset: str | None = None,
        reference: tuple[Callable[..., object], tuple[object, ...]] | None = None,
    ) -> None:
        if codec is None:
            if key is None:
                message = "an EncryptedFileSystem needs a key"
                raise ConfigError(message)
            codec = select(format, key, context=context, segment_size=segment_size)
        super().__init__()
        self.fs = fs
        self.dataset = dataset
        self._codec = codec
        self._reference = reference
        self._token = uuid.uuid4().hex

    # fsspec's metaclass assigns what the constructor was given to `storage_args` and `storage_options`, and a digest
    # of its text to `_fs_token_`. The first two would carry the key into JSON and pickles, the third is the same for
    # two different keys. None of the three sticks.
    storage_args = property(lambda _: (), lambda _, __: None)
    storage_options = property(lambda _: {}, lambda _, __: None)
    _fs_token_ = property(lambda self: self._token, lambda _, __: None)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Any:
        if self._reference is None:
            message = (
                "this filesystem holds a key and does not pickle; take it from a dataset of an app config, "
                "which travels by its name and is opened again on the other side"
            )
            raise TypeError(message)
        return self._reference

    def to_json(self, **_: object) -> NoReturn:
        """Refuse: a filesystem that holds a key is not written down."""
        message = "this filesystem holds a key, so it has no JSON form"
        raise TypeError(message)

    to_dict = to_json

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._codec.name} over {type(self.fs).__name__}>"

    @property
    def fsid(self) -> str:
        """A name of this instance alone."""
        return self._token

    @property
    def root_marker(self) -> str:  # type: ignore[override]  # a class variable in fsspec
        """The inner filesystem's."""
        return self.fs.root_marker

    def _strip_protocol(self, path: str) -> str:  # type: ignore[override]  # a class method in fsspec
        return self.fs._strip_protocol(path)  # noqa: SLF001 - paths are the inner filesystem's

    def _parent(self, path: str) -> str:  # type: ignore[override]
        return self.fs._parent(path)  # noqa: SLF001

    def _open(self, path: str, mode: str = "rb", *, autocommit: bool = True, **_: Any) -> Any:
        with naming(self.dataset):
            if mode == "rb":
                return buffered(open_source(self.fs, path), self._codec, name=self.dataset)
            sink = open_sink(self.fs, path, exclusive=mode == "xb")
            return SealedWriter(sink, self._codec, name=self.dataset, autocommit=autocommit)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return what the inner filesystem says of `path`, with the plain `size` and the `sealed_size`.

        Raises:
            TruncatedObject, WrongKey: no object of this format and key has that size or header.
        """
        with naming(self.dataset):
            return self._plain(translated(path, lambda: self.fs.info(self._strip_protocol(path), **kwargs)))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List a folder. The `size` of what cannot be an object of this format is None."""
        with naming(self.dataset):
            entries = translated(path, lambda: self.fs.ls(self._strip_protocol(path), detail=True, **kwargs))
            if not detail:
                return [entry["name"] for entry in entries]
            return [self._plain(entry, strict=False) for entry in entries]

    def _plain(self, info: dict[str, Any], *, strict: bool = True) -> dict[str, Any]:
        if info["type"] != "file":
            return info
        try:
            size = self._plain_size(info["name"], info["size"])
        except TruncatedObject:
            if strict:
                raise
            size = None
        return {**info, "size": size, "sealed_size": info["size"]}

    def _plain_size(self, path: str, sealed_size: int) -> int:
        if self._codec.layout is not None:
            return self._codec.layout.plain_size(sealed_size)
        source = open_source(self.fs, path)
        try:
            return self._codec.opener(bytes(source.read_range(0, self._codec.head_size)), sealed_size).plain_size
        finally:
            source.close()

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object as it is, sealed, inside the storage."""
        with naming(self.dataset):
            translated(
                path1, lambda: self.fs.cp_file(self._strip_protocol(path1), self._strip_protocol(path2), **kwargs)
            )

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Make a folder, where the storage has folders."""
        with naming(self.dataset):
            translated(path, lambda: self.fs.mkdir(self._strip_protocol(path), create_parents=create_parents, **kwargs))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        """Make a folder and those above it, where the storage has folders."""
        with naming(self.dataset):
            translated(path, lambda: self.fs.makedirs(self._strip_protocol(path), exist_ok=exist_ok))

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        with naming(self.dataset):
            translated(path, lambda: self.fs.rmdir(self._strip_protocol(path)))

    def _rm(self, path: str) -> None:
        with naming(self.dataset):
            translated(path, lambda: self.fs.rm_file(self._strip_protocol(path)))

    def created(self, path: str) -> Any:
        """Return when the storage says the object was created."""
        return self.fs.created(self._strip_protocol(path))

    def modified(self, path: str) -> Any:
        """Return when the storage says the object was last written."""
        return self.fs.modified(self._strip_protocol(path))

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget the inner filesystem's listings."""
        self.fs.invalidate_cache(path)
