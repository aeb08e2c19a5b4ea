"""A base class for backends' filesystems: objects are read by ranges and written atomically."""

from __future__ import annotations

import os
from abc import abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from connectors._fsspec import DEFAULT_CALLBACK
from connectors.errors import NotSupported
from connectors.formats import Plain
from connectors.storage.guard import Guarded
from connectors.storage.kinds import TellsKinds
from connectors.storage.trees import list_levels
from connectors.streams import SealedWriter, buffered, copy_stream
from connectors.streams.sources import open_local

if TYPE_CHECKING:
    import io

    from connectors._fsspec import Callback
    from connectors.streams import Sink, Source

__all__ = ["ObjectFileSystem"]

_FIRST = 1 << 20
"""Bytes in the first request to an object of unknown size; the response tells the size."""
_PIECE = 1 << 24
"""Bytes in each later request."""


class ObjectFileSystem(Guarded, TellsKinds):
    """An fsspec filesystem built on `open_source` to read an object, `open_sink` to write one, and fsspec's `info`.

    It shows objects as they are stored, usually sealed. Objects appear atomically, also where fsspec's own methods
    would write them differently.

    Attributes:
        schemes: those of its locations.
    """

    # fsspec fills in the constructor's arguments from FSSPEC_… variables and ~/.config/fsspec according to the
    # protocol of the class. So the class has none, and each instance has the real ones.
    protocol: ClassVar[str | tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **options: Any) -> None:
        self.protocol = self.schemes or self.protocol  # type: ignore[misc]  # fsspec lets an instance have its own
        super().__init__(*args, **options)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Return the path of a path or a location; with a `root_marker`, a location's host is not part of it."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        if not cls.schemes:
            return super()._strip_protocol(path)
        text = os.fspath(path)
        for scheme in cls.schemes:
            if text.startswith(f"{scheme}://"):
                text = text.removeprefix(f"{scheme}://")
                text = text.partition("/")[2] if cls.root_marker else text
        return f"{cls.root_marker}{text.strip('/')}"

    @abstractmethod
    def open_source(self, path: str) -> Source:
        """Open an object for reading by ranges."""

    @abstractmethod
    def open_sink(self, path: str, *, exclusive: bool = False) -> Sink:
        """Open a sink for a new object; with `exclusive`, it fails if the object exists."""

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        detail: bool = False,  # noqa: FBT001, FBT002
        **options: Any,
    ) -> Any:
        """List everything below a folder, level by level, or a single object; finding none is not an error.

        Raises:
            ObjectChanged: a folder was removed meanwhile.
            StorageError: the storage refuses to list a folder, which fsspec's own method would leave out.
        """
        found = list_levels(self, self._strip_protocol(path), depth=maxdepth, folders=withdirs, **options)
        return found if detail else list(found)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,  # noqa: ARG002 - the buffers are the streams'
        autocommit: bool = True,  # noqa: FBT001, FBT002 - fsspec's signature
        cache_options: dict[str, Any] | None = None,  # noqa: ARG002
        **_: Any,
    ) -> io.BufferedIOBase:
        """Open an object's stored bytes. A written object appears when its file is closed without an error."""
        if mode == "rb":
            return buffered(self.open_source(path), Plain())
        if mode in ("wb", "xb"):
            return SealedWriter(self.open_sink(path, exclusive=mode == "xb"), Plain(), autocommit=autocommit)
        message = f"an object opens in mode 'rb', 'wb' or 'xb', not {mode!r}"
        raise NotSupported(message)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Return an object's stored bytes, or a range of them with offsets as in a slice."""
        with closing(self.open_source(self._strip_protocol(path))) as source:
            at, stop = start or 0, end
            if at < 0 or (stop is not None and stop < 0):
                at, stop, _step = slice(start, end).indices(source.size)
            pieces, size = [], _FIRST
            while stop is None or at < stop:
                piece = source.read_range(at, at + size if stop is None else min(at + size, stop))
                pieces.append(piece)
                at, size = at + size, _PIECE
                stop = source.size if stop is None else min(stop, source.size)  # known after the first read
        return b"".join(pieces)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Store bytes; with the mode "create", only if the object does not exist."""
        with self.open(path, "xb" if mode == "create" else "wb") as file:
            file.write(value)

    def put_file(
        self, lpath: str, rpath: str, callback: Callback = DEFAULT_CALLBACK, mode: str = "overwrite", **_: Any
    ) -> None:
        """Store a local file; with the mode "create", only if the object does not exist. For a folder, make one."""
        if os.path.isdir(lpath):
            self.makedirs(rpath, exist_ok=True)
            return
        with open_local(lpath) as source, self.open(rpath, "xb" if mode == "create" else "wb") as file:
            copy_stream(source, file, callback)
