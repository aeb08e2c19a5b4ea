"""A seekable file of plain bytes over any source of sealed ones.

What leaves a `SealedReader` has been verified, and so has its end before it says where that is. It keeps one run of
chunks in memory: a single chunk for a reader that jumps about, growing runs for one that reads on, and a few more that
are on their way then.
"""

from __future__ import annotations

import io
import operator
import os
from typing import TYPE_CHECKING

from connectors.streams.ahead import ReadAhead
from connectors.streams.sealed import MAX_RUN, SealedObject

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from connectors.formats import Format
    from connectors.streams.sources import Source

__all__ = ["SealedReader"]

AHEAD_FROM = 1 << 18
"""Plain bytes in a run from which on those after it are fetched ahead: by then the reader has read on a while."""


class SealedReader(io.RawIOBase):
    """The plain bytes of one sealed object. Put an `io.BufferedReader` over it; `open_reader` does.

    Args:
        source: the sealed bytes. Closed with the reader.
        codec: the format, with its key.
        name: what errors call the object, ``port/object`` for one.

    Raises:
        WrongKey, TruncatedObject, IntegrityError: the object is not what its owner sealed, which is found before
            the first byte is read: the end of the object is verified here.
    """

    def __init__(self, source: Source, codec: Format, *, name: str | None = None) -> None:
        self._object: SealedObject | None = None
        self._ahead: ReadAhead | None = None
        super().__init__()
        self._dataset = name
        self._position = self._size = 0
        self._run = memoryview(b"")
        self._run_start = 0
        self._run_size = 0
        self._object = SealedObject(source, codec, name=name)
        self._ahead = ReadAhead(self._object)
        self._size = self._object.size

    @property
    def size(self) -> int:
        """The plain size in bytes, verified."""
        return self._size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in plain bytes."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a plain offset; beyond the end is allowed and reads nothing."""
        self._check_open()
        offset = operator.index(offset)
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}.get(whence)
        if base is None:
            message = f"invalid whence ({whence}, should be 0, 1 or 2)"
            raise ValueError(message)
        if base + offset < 0:
            message = f"negative seek position {base + offset}"
            raise ValueError(message)
        self._position = base + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` with what is at hand, at least one byte unless at the end; return how many."""
        self._check_open()
        out = memoryview(buffer).cast("B")
        if not out or self._position >= self._size:
            return 0
        offset = self._position - self._run_start
        if not 0 <= offset < len(self._run):
            self._load(len(out))
            offset = self._position - self._run_start
        piece = self._run[offset : offset + len(out)]
        out[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def readall(self) -> bytes:
        """Return everything from the position to the end."""
        self._check_open()
        out = bytearray(max(0, self._size - self._position))
        view = memoryview(out)
        while view:
            view = view[self.readinto(view) :]
        return bytes(out)

    def _load(self, wanted: int) -> None:
        """Fetch and open the run of chunks that starts at the position."""
        opened, ahead = self._check_open()
        layout = opened.layout
        chunk = layout.chunk
        end = self._run_start + len(self._run)
        reads_on = self._position == end
        size = min(max(2 * self._run_size, chunk), MAX_RUN) if reads_on else chunk
        # A buffered reader asks for its buffer's size whatever its user asked for: more than a chunk is meant.
        self._run_size = size = max(size, min(wanted, MAX_RUN) if wanted > chunk else 0)
        done, self._run = self._run, memoryview(b"")  # an error below leaves no run behind
        opened.reuse(done)
        found = ahead.take(self._position)
        if found is None:
            first = layout.index(self._position)
            self._run_start = layout.plain_start(first)
            last = layout.index(min(self._position + size, self._size) - 1)
            if not reads_on and wanted <= chunk:
                last = first
            found = opened.read_run(first, last - first + 1)
        self._run_start, self._run = found
        if reads_on and end > 0 and size >= AHEAD_FROM:
            ahead.fill(self._run_start + len(self._run), self._run_size)

    def _check_open(self) -> tuple[SealedObject, ReadAhead]:
        if self._object is None or self._ahead is None:
            message = "I/O operation on closed file"
            raise ValueError(message)
        return self._object, self._ahead

    def close(self) -> None:
        """Let the source and the plain bytes go."""
        if not self.closed:
            self._run = memoryview(b"")
            opened, self._object = self._object, None
            ahead, self._ahead = self._ahead, None
            try:
                if ahead is not None:
                    ahead.close()
                if opened is not None:
                    opened.close()
            finally:
                super().close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"at {self._position} of {self._size}"
        return f"<{type(self).__name__} {self._dataset or ''} {state}>"
