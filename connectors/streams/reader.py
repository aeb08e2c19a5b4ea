"""A seekable file of plain bytes over any source of sealed bytes.

A `SealedReader` returns only verified bytes, and verifies the object's end before it reports the size. It holds one run
of sealed chunks in memory: a single chunk for random access, growing runs for sequential reads, and then also the runs
being prefetched. Chunks are decrypted when they are read: directly into the caller's buffer if they fit, otherwise
several at a time into the reader's own buffer.

Threads may share a reader, as they may share any raw file of Python's: they share its position, and each `readinto`
returns bytes that follow each other. `seek` waits for a read in progress, `close` does not.
"""

from __future__ import annotations

import gc
import io
import operator
import os
import time
import traceback
from typing import TYPE_CHECKING, NoReturn

from connectors.streams.fetch import came_from_memory
from connectors.streams.object import MAX_RUN, FetchedRun, SealedObject
from connectors.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from connectors.formats import Format
    from connectors.streams.prefetch import Prefetcher
    from connectors.streams.sources import Source

__all__ = ["SealedReader"]

AHEAD_FROM = 1 << 18
"""Size of a run, in plain bytes, from which the next ones are prefetched: the reads are clearly sequential by then."""
OPENED_AT_ONCE = 1 << 18
"""Plain bytes decrypted at a time for a caller that reads smaller pieces: they fit into the CPU cache."""


class SealedReader(io.RawIOBase):
    """The plain bytes of one sealed object. Put an `io.BufferedReader` over it; `open_reader` does.

    Args:
        source: the sealed bytes. Closed with the reader.
        codec: the format, with its key.
        name: the object's name in errors, such as ``port/object``.

    Raises:
        WrongKey, TruncatedObject, IntegrityError: the object is not what its owner encrypted. Its end is verified
            here, before the first byte is read.
    """

    def __init__(self, source: Source, codec: Format, *, name: str | None = None) -> None:
        self._object: SealedObject | None = None
        self._prefetcher: Prefetcher | None = None
        super().__init__()
        self._turn = ForkSafeLock()
        self._dataset = name
        self._position = self._size = 0
        self._fetched: FetchedRun | None = None
        self._run_size = self._read_stop = 0
        self._buffer = self._opened = memoryview(b"")
        self._opened_start = 0
        self._object = SealedObject(source, codec, name=name)
        self._prefetcher = self._object.prefetcher()
        self._size = self._object.size

    @property
    def size(self) -> int:
        """The plain size in bytes, verified."""
        return self._size

    @property
    def pin(self) -> str:
        """The fingerprint of this version of the object: 64 hexadecimal digits."""
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
        offset = operator.index(offset)
        with self._turn.current:
            self._check_open()
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
        """Fill `buffer`; return the number of bytes: fewer at the end, or if less than a chunk of room is left."""
        out = memoryview(buffer).cast("B")
        with self._turn.current:
            return self._read_into(out)

    def _read_into(self, out: memoryview) -> int:
        opened, _ = self._check_open()
        reads_on = self._position == self._read_stop > 0
        start, done = self._position, 0
        try:
            while done < len(out) and self._position < self._size:
                if done and len(out) - done < opened.layout.chunk:
                    break  # a partial chunk needs a copy, and sequential reads would stop being aligned to chunks
                size = self._read(out[done:], reads_on=reads_on)
                done += size
                self._position += size
        except BaseException:
            self._position = start  # otherwise a caller that tries again would miss the bytes before the error
            raise
        self._read_stop = self._position
        return done

    def _read(self, out: memoryview, *, reads_on: bool) -> int:
        """Copy available bytes at the position to `out`, at least one; return the number of bytes."""
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
        with self._turn.current:
            return self._read_all()

    def _read_all(self) -> bytes:
        self._check_open()
        # `bytes` that nothing else refers to yet are filled in place: copying takes as long as decrypting.
        start = self._position
        whole = io.BytesIO(bytes(max(0, self._size - start)))
        try:
            with whole.getbuffer() as view:
                done = 0
                while done < len(view):
                    done += self._read_into(view[done:])
        except BaseException as error:
            self._position = start
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            _free_views(whole)
        return whole.getvalue()

    def _open(self, out: memoryview, *, reads_on: bool) -> int:
        """Decrypt the chunk at the position and some after it, into `out` or, if that is too small, the own buffer.

        Returns:
            The number of bytes written to `out`; 0 if they are in the reader's own buffer.
        """
        opened, _ = self._check_open()
        layout = opened.layout
        index = layout.index(self._position)
        fetched, self._fetched = self._fetched, None  # an error below must not leave a run
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
        """Fetch the run of chunks at the position, and prefetch those after it.

        Args:
            done: the previous run, which is no longer used.
            wanted: the number of bytes the reader has room for.
            reads_on: the reads are sequential.
        """
        opened, prefetcher = self._check_open()
        if done is not None:
            opened.give(done.sealed)
        layout = opened.layout
        # A large read of the start, as of a file that is copied, is followed by reads of the rest.
        reads_on = reads_on or (self._position == 0 and AHEAD_FROM <= wanted <= MAX_RUN)
        if reads_on:
            self._run_size = size = min(max(2 * self._run_size, wanted, layout.chunk), MAX_RUN)
        else:
            self._run_size, size = layout.chunk, min(wanted, MAX_RUN)
        sequential = reads_on and size >= AHEAD_FROM
        index = layout.index(self._position)
        stop = layout.index((self._size if sequential else min(self._position + wanted, self._size)) - 1) + 1
        fetched = prefetcher.take(index)
        if fetched is None and prefetcher.streams and (sequential or wanted > MAX_RUN):
            prefetcher.fill(index, stop, size)
            fetched = prefetcher.take(index)
        if fetched is None:
            last = layout.index(min(self._position + size, self._size) - 1)
            start = time.perf_counter()
            fetched = opened.fetch_run(index, last - index + 1)
            if came_from_memory(len(fetched.sealed), time.perf_counter() - start):
                return fetched
        prefetcher.fill(fetched.first + fetched.count, stop, size)
        return fetched

    def _check_open(self) -> tuple[SealedObject, Prefetcher]:
        if self._object is None or self._prefetcher is None:
            message = "I/O operation on closed file"
            raise ValueError(message)
        return self._object, self._prefetcher

    def close(self) -> None:
        """Close the source and release the plain bytes."""
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


def _free_views(whole: io.BytesIO) -> None:
    """Free the views of a buffer that errors have kept in reference cycles.

    From Python 3.12 on, an error is printed if the garbage collector frees a BytesIO together with views of it.
    """
    try:
        whole.truncate(whole.getbuffer().nbytes)  # refused while there are views
    except BufferError:
        gc.collect()
