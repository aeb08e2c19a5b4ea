"""A seekable file of plain bytes over any source of sealed ones.

What leaves a `SealedReader` has been verified, and so has its end before it says where that is. It keeps one run of
chunks in memory, sealed: a single chunk for a reader that jumps about, growing runs for one that reads on, and a few
more that are on their way then. Chunks are opened when they are read: straight into the caller's buffer where they fit
into it, else some at a time into one of the reader's own.
"""

from __future__ import annotations

import io
import operator
import os
import time
from typing import TYPE_CHECKING, NoReturn

from connectors.streams.fetch import came_from_memory
from connectors.streams.object import MAX_RUN, FetchedRun, SealedObject
from connectors.streams.prefetch import Prefetcher

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from connectors.formats import Format
    from connectors.streams.sources import Source

__all__ = ["SealedReader"]

AHEAD_FROM = 1 << 18
"""Plain bytes in a run from which on those after it are fetched ahead: by then the reader has read on a while."""
OPENED_AT_ONCE = 1 << 18
"""Plain bytes that are opened at once for a caller who takes them in smaller pieces: they fit a processor's cache."""


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
        self._prefetcher: Prefetcher | None = None
        super().__init__()
        self._dataset = name
        self._position = self._size = 0
        self._fetched: FetchedRun | None = None
        self._run_size = self._read_stop = 0
        self._buffer = self._opened = memoryview(b"")
        self._opened_start = 0
        self._object = SealedObject(source, codec, name=name)
        self._prefetcher = Prefetcher(self._object)
        self._size = self._object.size

    @property
    def size(self) -> int:
        """The plain size in bytes, verified."""
        return self._size

    @property
    def pin(self) -> str:
        """What tells this sealing from all others, in 64 hexadecimal digits."""
        opened, _ = self._check_open()
        return opened.pin

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
        """Fill `buffer`, and return how many bytes that are: fewer at the end, or where less than a chunk is left."""
        opened, _ = self._check_open()
        out = memoryview(buffer).cast("B")
        reads_on = self._position == self._read_stop > 0
        done = 0
        while done < len(out) and self._position < self._size:
            if done and len(out) - done < opened.layout.chunk:
                break  # it would have to be copied, and whoever reads on would never again be where a chunk starts
            size = self._read(out[done:], reads_on=reads_on)
            done += size
            self._position += size
        self._read_stop = self._position
        return done

    def _read(self, out: memoryview, *, reads_on: bool) -> int:
        """Put what is at hand at the position into `out`, at least one byte; return how many."""
        offset = self._position - self._opened_start
        if not 0 <= offset < len(self._opened):
            size = self._open(out, reads_on=reads_on)
            if size:
                return size
            offset = self._position - self._opened_start
        piece = self._opened[offset : offset + len(out)]
        out[: len(piece)] = piece
        return len(piece)

    def readall(self) -> bytes:
        """Return everything from the position to the end."""
        self._check_open()
        # Bytes that nobody else has yet are filled in place: a copy of them would take as long as opening them.
        whole = io.BytesIO(bytes(max(0, self._size - self._position)))
        with whole.getbuffer() as view:
            done = 0
            while done < len(view):
                done += self.readinto(view[done:])
        return whole.getvalue()

    def _open(self, out: memoryview, *, reads_on: bool) -> int:
        """Open the chunk at the position, and some after it: into `out`, or where that is too small, to be copied.

        Returns:
            How many bytes were put into `out`; 0 if they are in the reader's own buffer.
        """
        opened, _ = self._check_open()
        layout = opened.layout
        index = layout.index(self._position)
        fetched, self._fetched = self._fetched, None  # an error below leaves no run behind
        self._opened = memoryview(b"")
        if fetched is None or not fetched.holds(index):
            fetched = self._fetch(fetched, len(out), reads_on=reads_on)
        most = fetched.first + fetched.count - index
        count = 0
        if layout.plain_start(index) == self._position and max(len(out), layout.chunk) >= OPENED_AT_ONCE:
            end = min(self._position + len(out), self._size)
            count = min(most, layout.index(end - 1) + 1 - index if end == self._size else layout.index(end) - index)
        if count:
            start, stop = opened.plain_span(index, count)
            opened.decrypt_run(fetched, index, count, out[: stop - start])
            self._fetched = fetched
            return stop - start
        count = min(most, max(1, OPENED_AT_ONCE // layout.chunk))
        start, stop = opened.plain_span(index, count)
        if len(self._buffer) < stop - start:
            self._buffer = memoryview(bytearray(stop - start))
        opened.decrypt_run(fetched, index, count, self._buffer[: stop - start])
        self._fetched, self._opened, self._opened_start = fetched, self._buffer[: stop - start], start
        return 0

    def _fetch(self, done: FetchedRun | None, wanted: int, *, reads_on: bool) -> FetchedRun:
        """Fetch the run of chunks that starts at the position, and send for those after it.

        Args:
            done: the run before, which nobody uses any more.
            wanted: how many bytes the reader has room for.
            reads_on: the reader has come from there, and is likely to go on.
        """
        opened, prefetcher = self._check_open()
        if done is not None:
            opened.give(done.sealed)
        layout = opened.layout
        if reads_on:
            self._run_size = size = min(max(2 * self._run_size, wanted, layout.chunk), MAX_RUN)
        else:
            self._run_size, size = layout.chunk, min(wanted, MAX_RUN)
        fetched = prefetcher.take(self._position)
        if fetched is None:
            first = layout.index(self._position)
            last = layout.index(min(self._position + size, self._size) - 1)
            start = time.perf_counter()
            fetched = opened.fetch_run(first, last - first + 1)
            if came_from_memory(len(fetched.sealed), time.perf_counter() - start):
                return fetched
        _, stop = opened.plain_span(fetched.first, fetched.count)
        far = self._size if reads_on and size >= AHEAD_FROM else min(self._position + wanted, self._size)
        prefetcher.fill(stop, far, size)
        return fetched

    def _check_open(self) -> tuple[SealedObject, Prefetcher]:
        if self._object is None or self._prefetcher is None:
            message = "I/O operation on closed file"
            raise ValueError(message)
        return self._object, self._prefetcher

    def close(self) -> None:
        """Let the source and the plain bytes go."""
        if not self.closed:
            self._buffer = self._opened = memoryview(b"")
            self._fetched = None
            opened, self._object = self._object, None
            prefetcher, self._prefetcher = self._prefetcher, None
            try:
                if prefetcher is not None:
                    prefetcher.close()
                if opened is not None:
                    opened.close()
            finally:
                super().close()

    def __reduce__(self) -> NoReturn:
        message = f"a {type(self).__name__} holds a key and does not pickle or copy; open the object again"
        raise TypeError(message)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"at {self._position} of {self._size}"
        return f"<{type(self).__name__} {self._dataset or ''} {state}>"
