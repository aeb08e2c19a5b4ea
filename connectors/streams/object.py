"""A sealed object whose end has been verified: the base of sequential, random-access and range reads."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from connectors.errors import (
    IntegrityError,
    NotAnObject,
    ObjectChanged,
    ObjectNotFound,
    PinMismatch,
    TruncatedObject,
    naming,
)
from connectors.streams.fetch import AT_ONCE, fetch_in_order
from connectors.streams.sources import FileSource, fill_exactly, read_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from connectors.formats import Decryptor, Format
    from connectors.streams.sources import Source

__all__ = ["MAX_RUN", "FetchedRun", "SealedObject", "missing_pinned"]

T = TypeVar("T")

HEAD_SIZE = 1 << 16
"""Bytes in the first request: a small object arrives whole, a large one with its header and size."""
HELD_SIZE = 1 << 24
"""Up to this size, an object whose format verifies it as a whole is fetched once and kept in memory, sealed."""
MAX_RUN = 1 << 22
"""Plain bytes in the longest run of chunks that is fetched and decrypted at once; more is split into several runs."""
_KEPT = 4
"""Buffers kept for reuse: few, so that they stay in the CPU cache."""
_REMOVED = "the object was removed while it was being read; open it again"


def missing_pinned() -> IntegrityError:
    """Return the error for a pinned object that the storage does not have: a pin means that it exists."""
    return IntegrityError("the pinned object is not in the storage: it was removed; do not trust the storage")


@dataclass(frozen=True, slots=True)
class FetchedRun:
    """A run of sealed chunks as the storage returned them, not yet verified."""

    first: int
    count: int
    sealed: memoryview

    def holds(self, index: int) -> bool:
        """Return whether chunk `index` is in this run."""
        return self.first <= index < self.first + self.count


class SealedObject:
    """A sealed object whose end has been verified; any thread can read any run of its chunks.

    Args:
        source: the sealed bytes. Closed with this object, and if the constructor raises.
        codec: the format, with its key.
        name: the object's name in errors, such as ``port/object``.

    Attributes:
        layout: the positions of plain bytes in it.
        size: the plain size in bytes, verified.
        sealed_size: the sealed size in bytes, verified.

    Raises:
        WrongKey, TruncatedObject, IntegrityError: the object is not what its owner encrypted.
        PinMismatch: it is not the version that is pinned.
        ObjectNotFound, NotAnObject: it is not there. After it was opened, that is `ObjectChanged`, or `IntegrityError`
            if it is pinned.
    """

    def __init__(self, source: Source, codec: Format, *, name: str | None = None) -> None:
        self._source = source
        self._name = name
        self._head = memoryview(b"")
        self._buffers = _Buffers()
        self._pinned = codec.pin is not None
        try:
            with naming(name):
                self._decryptor = self._start(codec)
        except BaseException:
            source.close()
            raise
        self.layout = self._decryptor.layout
        self.size = self._decryptor.plain_size
        self.sealed_size = self._decryptor.sealed_size

    def _start(self, codec: Format) -> Decryptor:
        """Read the head, learn the size, prove the end."""
        head = self._source.read_range(0, HEAD_SIZE)
        size = self._still_there(lambda: self._source.size)
        if len(head) < min(size, HEAD_SIZE):
            message = f"the storage returned {len(head)} bytes of an object whose reported size is {size}"
            raise TruncatedObject(message)
        self._head = memoryview(head)[:size]
        decryptor = codec.decryptor(bytes(self._head[: codec.head_size]), size)
        if decryptor.reads_all and len(head) < size <= HELD_SIZE:
            rest = self._still_there(lambda: read_exactly(self._source, len(head), size))
            self._head = memoryview(b"".join((head, rest)))
        decryptor.authenticate(self._ranges)
        if codec.pin is not None and decryptor.pin != codec.pin:
            message = (
                "this is not the object that is pinned: it was rolled back, replaced or rewritten in the storage; "
                "do not trust it, or ask whoever set the pin for a new one"
            )
            raise PinMismatch(message)
        return decryptor

    def _ranges(self, spans: Iterable[tuple[int, int]]) -> Iterator[memoryview]:
        """Yield ranges of the sealed bytes; the next ones are prefetched."""
        held = len(self._head) == self._source.size
        for fetched in fetch_in_order(self._fetch, spans, 0 if held else 1 if self.is_local else AT_ONCE):
            yield fetched
            self.give(fetched)

    @property
    def pin(self) -> str:
        """The fingerprint of this version of the object: 64 hexadecimal digits.

        Raises:
            NotSupported: the object is not sealed.
        """
        with naming(self._name):
            return self._decryptor.pin

    @property
    def is_local(self) -> bool:
        """Whether the sealed bytes are in a local file, which more threads would not read any faster."""
        return isinstance(self._source, FileSource)

    def fetch_run(self, first: int, count: int) -> FetchedRun:
        """Fetch chunks `first` to `first + count`, still sealed, for `decrypt_run`."""
        with naming(self._name):
            return FetchedRun(first, count, self._fetch(*self._decryptor.sealed_span(first, count)))

    def plain_span(self, first: int, count: int) -> tuple[int, int]:
        """Return the start and end of chunks `first` to `first + count` in the plain bytes."""
        return self._decryptor.plain_span(first, count)

    def decrypt_run(self, fetched: FetchedRun, first: int, count: int, out: memoryview) -> None:
        """Decrypt chunks `first` to `first + count` of a fetched run into `out`, which has exactly their plain size.

        Raises:
            IntegrityError: they are not what their owner encrypted; `out` is zeroed.
        """
        base, _ = self._decryptor.sealed_span(fetched.first, fetched.count)
        start, stop = self._decryptor.sealed_span(first, count)
        with naming(self._name):
            self._decryptor.decrypt_run(first, count, fetched.sealed[start - base : stop - base], out)

    def read_run(self, first: int, count: int, out: memoryview) -> None:
        """Fetch chunks `first` to `first + count` and decrypt them into `out`, which has exactly their plain size.

        Raises:
            IntegrityError, StorageError: they are not what their owner encrypted, or cannot be fetched.
        """
        fetched = self.fetch_run(first, count)
        try:
            self.decrypt_run(fetched, first, count, out)
        finally:
            self.give(fetched.sealed)

    def _fetch(self, start: int, stop: int) -> memoryview:
        if stop <= len(self._head):
            return self._head[start:stop]
        return self._still_there(lambda: fill_exactly(self._source, start, self._buffers.take(stop - start)))

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
        """Take back a buffer that is no longer used, for a later run."""
        self._buffers.give(buffer)

    def close(self) -> None:
        """Close the source."""
        self._head = memoryview(b"")
        self._source.close()


class _Buffer(bytearray):
    """A reusable buffer; memory that a source returned, such as the head, may still be used elsewhere."""


class _Buffers:
    """Reusable buffers of one object: allocating some MiB takes longer than decrypting their contents."""

    def __init__(self) -> None:
        # Its two operations are atomic; a fork could leave a lock held.
        self._free: deque[_Buffer] = deque(maxlen=_KEPT)

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
