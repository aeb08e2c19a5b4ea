"""Where plain bytes lie in a sealed object: pure arithmetic.

Every format is a header, then chunks, then possibly a trailer::

    object = header || chunk_0 || chunk_1 || ... || chunk_n-1 || trailer
    chunk  = ciphertext || tag

All chunks but the first and the last hold `chunk` plain bytes. Chunk 0 may hold fewer (tink counts its
header into segment 0); the last one holds the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.errors import NotSupported, TruncatedObject

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes of one format, in bytes.

    Attributes:
        header: bytes before chunk 0.
        chunk: plain bytes in a full chunk.
        tag: bytes that encryption adds to each chunk.
        lead: by how many plain bytes chunk 0 is shorter than a full chunk.
        trailer: bytes after the last chunk.
        short_end: True if the last chunk is always shorter than a full one, so that a message of
            whole chunks ends in an empty chunk; False if the last chunk is empty only in an empty message.
        max_plain: the largest plain size the format allows.
    """

    header: int
    chunk: int
    tag: int
    lead: int = 0
    trailer: int = 0
    short_end: bool = False
    max_plain: int = 1 << 63

    @property
    def min_sealed(self) -> int:
        """The sealed size of an empty message."""
        return self.header + self.tag + self.trailer

    def chunks(self, plain_size: int) -> int:
        """Return how many chunks a message of `plain_size` bytes has; at least one."""
        size = plain_size + self.lead
        return size // self.chunk + 1 if self.short_end else max(1, -(-size // self.chunk))

    def sealed_size(self, plain_size: int) -> int:
        """Return the size of the sealed object for `plain_size` bytes.

        Raises:
            NotSupported: the message is larger than the format allows.
        """
        if plain_size > self.max_plain:
            message = f"this format holds at most {self.max_plain} bytes in one object, not {plain_size}"
            raise NotSupported(message)
        return self.min_sealed + plain_size + self.tag * (self.chunks(plain_size) - 1)

    def plain_size(self, sealed_size: int) -> int:
        """Return the plain size of a sealed object of `sealed_size` bytes.

        This is arithmetic on the size that the storage reports; only decrypting the last chunk proves it.

        Raises:
            TruncatedObject: no object of this format has that size.
        """
        body = sealed_size - self.header - self.trailer
        if body < self.tag:
            message = (
                f"the object has {sealed_size} bytes, fewer than the {self.min_sealed} "
                "of an empty sealed object: it is truncated, or not encrypted in this format"
            )
            raise TruncatedObject(message)
        stride = self.chunk + self.tag
        full, rest = divmod(body + self.lead, stride)
        if rest == 0 and not self.short_end and full:
            full, rest = full - 1, stride
        least = self.tag + (0 if self.short_end else 1) if full else self.tag + self.lead
        if rest < least:
            message = f"no object of this format has {sealed_size} bytes: it was truncated or extended"
            raise TruncatedObject(message)
        plain = full * self.chunk + rest - self.tag - self.lead
        if plain > self.max_plain:
            message = f"the object has {sealed_size} bytes, more than its format allows"
            raise TruncatedObject(message)
        return plain

    def index(self, offset: int) -> int:
        """Return the index of the chunk that holds the plain byte at `offset`."""
        return (offset + self.lead) // self.chunk

    def plain_start(self, index: int) -> int:
        """Return the plain offset at which chunk `index` starts."""
        return max(0, index * self.chunk - self.lead)

    def sealed_start(self, index: int) -> int:
        """Return the offset in the object at which chunk `index` starts."""
        return self.header + index * (self.chunk + self.tag) - (self.lead if index else 0)
