"""One sealed object whose end has been verified: what readers of every kind stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import TruncatedObject, naming
from connectors.streams.sources import read_exactly

if TYPE_CHECKING:
    from connectors.formats import Format, Opener
    from connectors.streams.sources import Source

__all__ = ["MAX_RUN", "SealedObject"]

HEAD_SIZE = 1 << 16
"""How much the first request asks for: small objects arrive whole, large ones with their header and size."""
HELD_SIZE = 1 << 24
"""Up to this size, an object whose format verifies all of it before any of it is fetched once and held, sealed."""
MAX_RUN = 1 << 21
"""Plain bytes in the longest run of chunks that is fetched and opened at once: what is larger is several of them."""


class SealedObject:
    """A sealed object whose end has been verified: any run of its chunks, from any thread.

    Args:
        source: the sealed bytes. Closed with this, also if this raises.
        codec: the format, with its key.
        name: what errors call the object, ``port/object`` for one.

    Attributes:
        layout: where plain bytes lie in it.
        size: the plain size in bytes, verified.

    Raises:
        WrongKey, TruncatedObject, IntegrityError: the object is not what its owner sealed.
    """

    def __init__(self, source: Source, codec: Format, *, name: str | None = None) -> None:
        self._source = source
        self._name = name
        self._head = memoryview(b"")
        try:
            with naming(name):
                self._opener = self._start(codec)
        except BaseException:
            source.close()
            raise
        self.layout = self._opener.layout
        self.size = self._opener.plain_size

    def _start(self, codec: Format) -> Opener:
        """Read the head, learn the size, prove the end."""
        head = self._source.read_range(0, HEAD_SIZE)
        size = self._source.size
        if len(head) < min(size, HEAD_SIZE):
            message = f"the storage gave {len(head)} bytes of an object that it says has {size}"
            raise TruncatedObject(message)
        self._head = memoryview(head)[:size]
        opener = codec.opener(bytes(self._head[: codec.head_size]), size)
        if opener.reads_all and len(head) < size <= HELD_SIZE:
            self._head = memoryview(b"".join((head, read_exactly(self._source, len(head), size))))
        opener.authenticate(self._fetch)
        return opener

    def _fetch(self, start: int, stop: int) -> bytes | memoryview:
        if stop <= len(self._head):
            return self._head[start:stop]
        return read_exactly(self._source, start, stop)

    def read_run(self, first: int, count: int) -> tuple[int, memoryview]:
        """Fetch and open chunks `first` to `first + count`; return the plain offset they start at, and their bytes.

        Raises:
            IntegrityError, StorageError: they are not what their owner sealed, or cannot be had.
        """
        opener = self._opener
        start, stop = opener.plain_span(first, count)
        plain = memoryview(bytearray(stop - start))
        with naming(self._name):
            opener.open_run(first, count, memoryview(self._fetch(*opener.sealed_span(first, count))), plain)
        return start, plain

    def close(self) -> None:
        """Let the source go."""
        self._head = memoryview(b"")
        self._source.close()
