"""An fsspec filesystem of objects that are read by ranges and written whole: what a backend of its own stands on."""

from __future__ import annotations

import os
from abc import abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING, Any

from connectors._fsspec import DEFAULT_CALLBACK, AbstractFileSystem
from connectors.errors import NotSupported
from connectors.formats import Plain
from connectors.storage.guard import Guarded
from connectors.streams import SealedWriter, buffered, copy_stream
from connectors.streams.sources import open_local

if TYPE_CHECKING:
    import io

    from connectors._fsspec import Callback
    from connectors.streams import Sink, Source

__all__ = ["ObjectFileSystem"]

_FIRST = 1 << 20
"""Bytes of an object of unknown size that are asked for first; the answer tells the size."""
_PIECE = 1 << 24
"""Bytes that are asked for at once after that."""


class ObjectFileSystem(Guarded, AbstractFileSystem):
    """A filesystem that says how an object is read and how one is written, and gets files and bytes for that.

    What it holds are objects as they lie in the storage, sealed ones mostly. They appear when they are whole, also
    where fsspec's own methods would write them in another way.
    """

    @abstractmethod
    def open_source(self, path: str) -> Source:
        """Return the bytes of an object, to be read by ranges."""

    @abstractmethod
    def open_sink(self, path: str, *, exclusive: bool = False) -> Sink:
        """Return a place for the bytes of a new object; where `exclusive`, it fails if one stands there."""

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,  # noqa: ARG002 - the buffers are the streams'
        autocommit: bool = True,  # noqa: FBT001, FBT002 - fsspec's signature
        cache_options: dict[str, Any] | None = None,  # noqa: ARG002
        **_: Any,
    ) -> io.BufferedIOBase:
        """Open an object's bytes as they lie there. What is written appears when it is closed in good order."""
        if mode == "rb":
            return buffered(self.open_source(path), Plain())
        if mode in ("wb", "xb"):
            return SealedWriter(self.open_sink(path, exclusive=mode == "xb"), Plain(), autocommit=autocommit)
        message = f"an object opens in mode 'rb', 'wb' or 'xb', not {mode!r}"
        raise NotSupported(message)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Return an object's bytes as they lie there, or a range of them, with offsets as those of a slice."""
        with closing(self.open_source(self._strip_protocol(path))) as source:
            at, stop = start or 0, end
            if at < 0 or (stop is not None and stop < 0):
                at, stop, _step = slice(start, end).indices(source.size)
            pieces, most = [], _FIRST
            while stop is None or at < stop:
                piece = source.read_range(at, at + most if stop is None else min(at + most, stop))
                pieces.append(piece)
                at, most = at + most, _PIECE
                stop = source.size if stop is None else min(stop, source.size)  # which is known by now
        return b"".join(pieces)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Store bytes; only where nothing stands, with the mode "create"."""
        with self.open(path, "xb" if mode == "create" else "wb") as file:
            file.write(value)

    def put_file(
        self, lpath: str, rpath: str, callback: Callback = DEFAULT_CALLBACK, mode: str = "overwrite", **_: Any
    ) -> None:
        """Store a local file's bytes; only where nothing stands, with the mode "create". Of a folder, make one."""
        if os.path.isdir(lpath):
            self.makedirs(rpath, exist_ok=True)
            return
        with open_local(lpath) as source, self.open(rpath, "xb" if mode == "create" else "wb") as file:
            copy_stream(source, file, callback)
