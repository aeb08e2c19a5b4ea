"""A sealed object whose end has been verified: the base of sequential, random-access and range reads."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from connectors.errors import PinMismatch, TruncatedObject, naming
from connectors.streams.depth import AT_ONCE
from connectors.streams.fetch import fetch_in_order
from connectors.streams.lanes import FetchedRun
from connectors.streams.prefetch import MAX_RUN, Prefetcher
from connectors.streams.sources import keeping_properties
from connectors.streams.stored import HEAD_SIZE, StoredObject, missing_pinned

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from connectors.formats import Decryptor, Format
    from connectors.streams.sources import ByteStream, Source

__all__ = ["MAX_RUN", "FetchedRun", "Reads", "SealedObject", "missing_pinned"]

MOST_BESIDE = 1 << 16
"""Bytes of the largest object beside one that are read with it."""
HELD_SIZE = 1 << 24
"""Up to this size, an object whose format verifies it as a whole is fetched once and kept in memory, sealed."""


class Reads:
    """Reads in progress, which another thread can cancel. Its operations are atomic: it needs no lock."""

    def __init__(self) -> None:
        self._streams: deque[ByteStream] = deque()
        self._cancelled = False

    @contextmanager
    def including(self, stream: ByteStream) -> Iterator[None]:
        """Have `stream` cancelled if the reads are cancelled inside the block, or were before it."""
        self._streams.append(stream)
        try:
            if self._cancelled:
                stream.cancel()
            yield
        finally:
            self._streams.remove(stream)

    def cancel(self) -> None:
        """Wake all of them: they raise an error, and so does each further one."""
        self._cancelled = True
        for stream in tuple(self._streams):
            stream.cancel()


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
        self._stored = StoredObject(source, name=name, pinned=codec.pin is not None)
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
        stored = self._stored
        size = stored.read_head()
        if len(stored.head) < min(size, HEAD_SIZE):
            message = f"the storage returned {len(stored.head)} bytes of an object whose reported size is {size}"
            raise TruncatedObject(message)
        decryptor = self._decryptor_for(codec, bytes(stored.head[: codec.head_size]), size)
        if decryptor.reads_all and len(stored.head) < size <= HELD_SIZE:
            stored.hold(size)
        with ExitStack() as reading:
            # A stream is closed even if verification stops half way.
            decryptor.authenticate(lambda spans: reading.enter_context(closing(self._ranges(spans))))
        if codec.pin is not None and decryptor.pin != codec.pin:
            message = (
                "this is not the object that is pinned: it was rolled back, replaced or rewritten in the storage; "
                "do not trust it, or ask whoever set the pin for a new one"
            )
            raise PinMismatch(message)
        return decryptor

    def _decryptor_for(self, codec: Format, head: bytes, size: int) -> Decryptor:
        if not codec.needs_properties:
            return codec.decryptor(head, size)
        source = keeping_properties(self._source)
        return codec.decryptor_of(
            source.properties(), lambda suffix: source.read_beside(suffix, MOST_BESIDE), head, size
        )

    def _ranges(self, spans: Iterable[tuple[int, int]]) -> Generator[memoryview, None, None]:
        """Yield ranges of the sealed bytes; the next ones are prefetched."""
        stored = self._stored
        if stored.streams:
            for part in _consecutive(spans):
                yield from self._read_on(part)
            return
        for fetched in fetch_in_order(stored.fetch, spans, 0 if stored.is_held else 1 if stored.is_local else AT_ONCE):
            yield fetched
            stored.give(fetched)

    def _read_on(self, spans: list[tuple[int, int]]) -> Iterator[memoryview]:
        """Yield ranges that follow each other; several are read as a stream."""

        def span(first: int, count: int) -> tuple[int, int]:
            return spans[first][0], spans[first + count - 1][1]

        prefetcher = Prefetcher(self._stored, span, spans[0][1] - spans[0][0])
        try:
            for index in range(len(spans)):
                if len(spans) > 1:
                    prefetcher.fill(index, len(spans), MAX_RUN)
                run = prefetcher.take(index)
                fetched = self._stored.fetch(*spans[index]) if run is None else run.sealed
                yield fetched
                self._stored.give(fetched)
        finally:
            prefetcher.close()

    @property
    def pin(self) -> str:
        """The fingerprint of this version of the object: 64 hexadecimal digits.

        Raises:
            NotSupported: the object is not sealed.
        """
        with naming(self._name):
            return self._decryptor.pin

    def prefetcher(self) -> Prefetcher:
        """Return a prefetcher of runs of its chunks."""
        return Prefetcher(self._stored, self._decryptor.sealed_span, self.layout.chunk + self.layout.tag)

    @property
    def is_held(self) -> bool:
        """Whether all of its sealed bytes are in memory."""
        return self._stored.is_held

    def fetch_run(self, first: int, count: int, reads: Reads | None = None) -> FetchedRun:
        """Fetch chunks `first` to `first + count`, still sealed, for `decrypt_run`.

        Args:
            first: the first chunk.
            count: the number of chunks.
            reads: reads of which this one is to be; another thread can cancel them, if the source has streams.
        """
        start, stop = self._decryptor.sealed_span(first, count)
        stored = self._stored
        if reads is None or not stored.streams or stop <= len(stored.head):
            return FetchedRun(first, count, stored.fetch(start, stop))
        with closing(stored.open_stream(start, stop)) as stream, reads.including(stream):
            return FetchedRun(first, count, stored.read_stream(stream, start, stop))

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

    def read_run(self, first: int, count: int, out: memoryview, reads: Reads | None = None) -> None:
        """Fetch chunks `first` to `first + count` and decrypt them into `out`, which has exactly their plain size.

        For `reads`, see `fetch_run`.

        Raises:
            IntegrityError, StorageError: they are not what their owner encrypted, or cannot be fetched.
        """
        fetched = self.fetch_run(first, count, reads)
        try:
            self.decrypt_run(fetched, first, count, out)
        finally:
            self.give(fetched.sealed)

    def take(self, size: int) -> memoryview:
        """Return an uninitialized buffer of `size` bytes; return it with `give`."""
        return self._stored.take(size)

    def give(self, buffer: memoryview) -> None:
        """Take back a buffer that is no longer used, for a later run."""
        self._stored.give(buffer)

    def close(self) -> None:
        """Close the source."""
        self._stored.close()


def _consecutive(spans: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Yield the spans in lists, in each of which every span starts where the one before it stops."""
    part: list[tuple[int, int]] = []
    for start, stop in spans:
        if part and part[-1][1] != start:
            yield part
            part = []
        part.append((start, stop))
    if part:
        yield part
