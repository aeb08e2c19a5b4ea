"""The sealed bytes of one object as the storage gives them: ranges and streams, read into reused buffers."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from connectors.errors import IntegrityError, NotAnObject, ObjectChanged, ObjectNotFound, naming
from connectors.streams.sources import FileSource, fill_exactly, read_exactly, stream_exactly, streams_ranges

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.streams.sources import ByteStream, Source

__all__ = ["StoredObject", "missing_pinned"]

T = TypeVar("T")

HEAD_SIZE = (1 << 16) + (1 << 12)
"""Bytes in the first request: an object of 64 KiB arrives whole, sealed, and a large one with its header and size."""
_KEPT = 4
"""Buffers kept for reuse while nothing is prefetched; meanwhile all are, because freeing them takes longer."""
_REMOVED = "the object was removed while it was being read; open it again"


def missing_pinned() -> IntegrityError:
    """Return the error for a pinned object that the storage does not have: a pin means that it exists."""
    return IntegrityError("the pinned object is not in the storage: it was removed; do not trust the storage")


class StoredObject:
    """The sealed bytes of one object, not yet verified; any thread can read any range.

    Args:
        source: the sealed bytes.
        name: the object's name in errors, such as ``port/object``.
        pinned: whether only one version of the object is accepted.

    Attributes:
        head: its first bytes, or all of it, kept in memory.
        latency: seconds that the quickest request took; 0 before the second one, because the first has to connect too.
    """

    def __init__(self, source: Source, *, name: str | None, pinned: bool) -> None:
        self.head = memoryview(b"")
        self.latency = self._first_took = 0.0
        self._source = source
        self._name = name
        self._pinned = pinned
        self._buffers = _Buffers()

    def read_head(self) -> int:
        """Read and keep the first bytes, in the first request; return the object's size as the storage reports it.

        Raises:
            ObjectNotFound, NotAnObject: it is not there.
        """
        since = time.perf_counter()
        head = self._source.read_range(0, HEAD_SIZE)
        self._first_took = time.perf_counter() - since
        size = self._still_there(lambda: self._source.size)
        self.head = memoryview(head)[:size]
        return size

    def hold(self, size: int) -> None:
        """Read the rest of an object of `size` bytes, and keep all of it in memory."""
        rest = self._still_there(lambda: read_exactly(self._source, len(self.head), size))
        self.head = memoryview(b"".join((self.head, rest)))

    @property
    def is_held(self) -> bool:
        """Whether all of it is in memory."""
        return len(self.head) == self._source.size

    @property
    def is_local(self) -> bool:
        """Whether the sealed bytes are in a local file, which more threads would not read any faster."""
        return isinstance(self._source, FileSource)

    @property
    def streams(self) -> bool:
        """Whether a long range can be read as one stream, and is not in memory already."""
        return not self.is_held and streams_ranges(self._source)

    @property
    def ignores_ranges(self) -> bool:
        """Whether the storage sends the whole object, whatever range is asked for."""
        return bool(getattr(self._source, "ignores_ranges", False))

    def fetch(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`; pass them to `give` when they are no longer used.

        Raises:
            StorageError: they cannot be fetched.
            TruncatedObject: the object ends before `stop`.
        """
        if stop <= len(self.head):
            return self.head[start:stop]
        since = time.perf_counter()
        with naming(self._name):
            fetched = self._still_there(lambda: fill_exactly(self._source, start, self.take(stop - start)))
        took = time.perf_counter() - since
        self.latency = min(self.latency or self._first_took, took)
        return fetched

    def open_stream(self, start: int, stop: int) -> ByteStream:
        """Return a stream of the bytes from `start` to `stop`; there must be `streams`. It makes no request yet."""
        if not streams_ranges(self._source):  # only to tell the type checker
            message = "this source has no streams"
            raise TypeError(message)
        return self._source.open_stream(start, stop)

    def read_stream(self, stream: ByteStream, start: int, stop: int) -> memoryview:
        """Return the next bytes of a stream, from `start` to `stop` of the object. The errors are those of `fetch`."""
        with naming(self._name):
            return self._still_there(lambda: stream_exactly(stream, start, self.take(stop - start)))

    def _still_there(self, read: Callable[[], T]) -> T:
        """Return the result of a read after the first one, in which the object can no longer be missing.

        Raises:
            ObjectChanged: it was removed meanwhile. Some libraries take ObjectNotFound for an object of zeros.
            IntegrityError: likewise, and it is pinned.
        """
        try:
            return read()
        except (ObjectNotFound, NotAnObject):
            raised = missing_pinned() if self._pinned else ObjectChanged(_REMOVED)
        raise raised

    def take(self, size: int) -> memoryview:
        """Return an uninitialized buffer of `size` bytes; return it with `give`."""
        return self._buffers.take(size)

    def give(self, buffer: memoryview) -> None:
        """Take back a buffer that is no longer used, for a later range."""
        self._buffers.give(buffer)

    def trim(self) -> None:
        """Free most of the buffers that are not used: nothing is prefetched any more, or elsewhere."""
        self._buffers.trim()

    def close(self) -> None:
        """Close the source."""
        self.head = memoryview(b"")
        self._source.close()


class _Buffer(bytearray):
    """A reusable buffer; memory that a source returned, such as the head, may still be used elsewhere."""


class _Buffers:
    """Reusable buffers of one object: allocating some MiB takes longer than decrypting their contents."""

    def __init__(self) -> None:
        # Its operations are atomic; a fork could leave a lock held.
        self._free: deque[_Buffer] = deque()

    def take(self, size: int) -> memoryview:
        """Return an uninitialized buffer of `size` bytes."""
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = _Buffer()
        if len(buffer) < size:
            buffer = _Buffer(size)
        return memoryview(buffer)[:size]

    def give(self, buffer: memoryview) -> None:
        """Take back a buffer, if it is reusable."""
        if isinstance(buffer.obj, _Buffer):
            self._free.append(buffer.obj)

    def trim(self) -> None:
        """Keep only a few: those that were used last, which are in the CPU cache."""
        with contextlib.suppress(IndexError):  # another thread takes one
            while len(self._free) > _KEPT:
                self._free.popleft()
