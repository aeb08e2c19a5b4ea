"""The base of filesystems of plain files: files that commit on success, range reads, local copies."""

from __future__ import annotations

import functools
import io
import os
from typing import IO, TYPE_CHECKING, Any

from connectors._fsspec import DEFAULT_CALLBACK, Transaction
from connectors.errors import NotAnObject, NotSupported, ObjectNotFound
from connectors.formats import Plain
from connectors.fs.many import ManyFilesView
from connectors.storage.kinds import TellsKinds
from connectors.streams import MAX_GAP, SealedText, SealedWriter, as_sink, copy_stream, read_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors._fsspec import Callback

    Offsets = int | None | Sequence[int | None]

__all__ = ["PlainTransaction", "PlainView"]


class PlainTransaction(Transaction):
    """fsspec's transaction, which writes each folder's manifest once, after its last object."""

    def complete(self, commit: bool = True) -> None:  # noqa: FBT001, FBT002 - fsspec's signature
        """Commit or discard everything."""
        with self.fs.one_manifest():
            super().complete(commit)


class PlainView(TellsKinds, ManyFilesView):
    """The base of filesystems of plain files. A subclass defines `_open`, `_open_object`, `info` and `ls`."""

    cachable = False
    transaction_type = PlainTransaction

    def open(  # fsspec has no types
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

        A written file appears when it is closed without an error: see `SealedWriter`.

        Raises:
            NotSupported: another mode. Sealed objects have an authenticated end, so they cannot grow.
        """
        kind = mode.replace("b", "").replace("t", "")
        if kind not in ("r", "w", "x"):
            message = (
                f"mode {mode!r} is not supported: the end of a sealed object is authenticated, so it cannot grow or "
                "change in place; replace it with 'wb', or create it with 'xb'"
            )
            raise NotSupported(message)
        if compression is not None and kind != "r":
            # fsspec would not close the file below the compressor, so it would be discarded.
            message = "to write compressed data, use fsspec.open(…, compression=…), or compress into the open file"
            raise NotSupported(message)
        file: Any = super().open(path, f"{kind}b", compression=compression, **kwargs)
        if "b" in mode:
            return file  # type: ignore[no-any-return]
        text = io.TextIOWrapper if kind == "r" else SealedText
        return text(file, encoding=encoding, errors=errors, newline=newline)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Return the bytes of a file from `start` to `end`, where negative offsets count from the end."""
        (outcome,) = read_ranges([(functools.partial(self._open_object, path), [(start, end)])])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome[0]

    def cat_ranges(
        self,
        paths: Sequence[str],
        starts: Offsets,
        ends: Offsets,
        max_gap: int | None = None,
        on_error: str = "return",
        **_: Any,
    ) -> list[bytes | Exception]:
        """Return many ranges of many files.

        Each file is opened once, close ranges share a request, and requests run concurrently.

        Args:
            paths: a file for each range.
            starts: plain offsets, or one for all; None is the start.
            ends: plain offsets, or one for all; None is the end.
            max_gap: bytes between two ranges up to which they share a request; 64 KiB if not given.
            on_error: "return" returns a file's error in place of its ranges, "raise" raises the first error.
        """
        spans = list(zip(_each(starts, len(paths)), _each(ends, len(paths)), strict=True))
        if len(spans) != len(paths):
            message = f"there are {len(paths)} paths but {len(spans)} ranges"
            raise ValueError(message)
        places: dict[str, list[int]] = {}
        for place, path in enumerate(paths):
            places.setdefault(path, []).append(place)
        wanted = [
            (functools.partial(self._open_object, path), [spans[place] for place in there])
            for path, there in places.items()
        ]
        outcomes = read_ranges(wanted, MAX_GAP if max_gap is None else max_gap)
        result: list[bytes | Exception] = [b""] * len(paths)
        for there, outcome in zip(places.values(), outcomes, strict=True):
            if isinstance(outcome, Exception) and on_error == "raise":
                raise outcome
            for position, place in enumerate(there):
                result[place] = outcome if isinstance(outcome, Exception) else outcome[position]
        return result

    def get_file(
        self, rpath: str, lpath: Any, callback: Callback = DEFAULT_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """Copy a file to a local path, where it appears only after all of it has been verified."""
        target = outfile if outfile is not None else lpath
        if isinstance(target, (str, os.PathLike)):
            os.makedirs(os.path.dirname(os.path.abspath(target)), exist_ok=True)
        reader = self._open_unless_folder(rpath, **kwargs)
        if reader is None:
            os.makedirs(target, exist_ok=True)
            return
        with reader, SealedWriter(as_sink(target), Plain()) as writer:
            copy_stream(reader.raw, writer, callback)

    def _open_unless_folder(self, path: str, **kwargs: Any) -> Any:
        """Open an object for reading; return None for a folder."""
        try:
            return self._open(path, "rb", **kwargs)
        except (NotAnObject, ObjectNotFound) as error:
            raised = error
        if self.isdir(path):
            return None
        raise raised

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
            copy_stream(source, writer, callback)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write a whole file; with the mode "create", fail if it exists."""
        with self.open(path, "xb" if mode == "create" else "wb", **kwargs) as file:
            file.write(value)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy a file by decrypting and encrypting it."""
        reader = self._open_unless_folder(path1, **kwargs)
        if reader is None:
            self.makedirs(path2, exist_ok=True)
            return
        with reader, self.open(path2, "wb") as writer:
            copy_stream(reader.raw, writer)


def _each(offsets: Offsets, count: int) -> Sequence[int | None]:
    return [offsets] * count if offsets is None or isinstance(offsets, int) else offsets
