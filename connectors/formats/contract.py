"""The contract of a wire format: three small classes, of which a new format implements three.

A `Format` is a format with its key: it makes one `Encryptor` for each object written and one `Decryptor` for
each object read. None of them does I/O: they turn runs of whole chunks into runs of whole chunks, in
buffers their callers own. The streams on the floor above fetch, buffer, seek and commit.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

from connectors.errors import ConfigError, IntegrityError, TruncatedObject

if TYPE_CHECKING:
    from connectors.formats.layout import Layout

__all__ = ["Decryptor", "Encryptor", "Fetch", "Format", "check_pin", "with_name"]

Fetch = Callable[[Iterable[tuple[int, int]]], Iterator[bytes | memoryview]]
"""Gives ranges of an object's bytes, each from a start to a stop, and each good until the next is asked for."""


def with_name(context: bytes, name: str) -> bytes:
    r"""Return `context` with a name bound to it. No name holds a zero byte, so no two pairs give the same bytes.

    >>> with_name(b"trial 7", "ward/one.csv")
    b'trial 7\x00ward/one.csv'
    """
    return context + b"\0" + name.encode()


def check_pin(pin: str) -> str:
    """Return a pin as it is compared.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(pin, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", pin):
        message = "a pin is 64 hexadecimal digits, as `connectors fingerprint` prints them"
        raise ConfigError(message)
    return pin.lower()


class _Sealing(ABC):
    """One sealed object, being written or read."""

    @property
    def pin(self) -> str:
        """What tells this sealing from all others, in 64 hexadecimal digits; of an object whose end is known.

        That is one which an opener has authenticated, or a sealer has finished. It is the SHA-256 of what is random in
        the object, and of its size, and holds nothing secret.
        """
        size = self._size().to_bytes(8)
        return sha256(b"enclave-connectors pin 1\0" + self._identity() + size).hexdigest()

    @abstractmethod
    def _size(self) -> int:
        """Return the sealed object's size in bytes."""

    @abstractmethod
    def _identity(self) -> bytes:
        """Return the format's name, a zero byte, and the bytes of the object that no other sealing has."""


class Encryptor(_Sealing):
    """Seals one object, once, front to back.

    Attributes:
        header: the bytes the object starts with.
        sealed: how many plain bytes were sealed so far.
    """

    header: bytes

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._next: int | None = 0
        self.sealed = 0

    def seal(self, plain: memoryview, out: memoryview, *, final: bool = False) -> int:
        """Seal the next run of chunks into `out` and return how many bytes that gave.

        Args:
            plain: whole chunks, as `Layout` counts them; where `final`, what is left, perhaps nothing.
            out: a buffer of at least `sealed_bound(len(plain))` bytes.
            final: this is the end of the message.

        Raises:
            NotSupported: the message has grown larger than the format allows.
            ValueError: the object is finished already, or `plain` is no run of whole chunks.
        """
        if self._next is None:
            message = "this object is sealed already; a sealer seals one object"
            raise ValueError(message)
        first, layout = self._next, self.layout
        total = self.sealed + len(plain)
        layout.sealed_size(total)
        if final:
            count = layout.chunks(total) - first
        else:
            count = layout.index(total) - first
            if layout.plain_start(first + count) != total:
                message = "only the final run may end inside a chunk"
                raise ValueError(message)
        if count < 1:
            message = "a run holds at least one chunk; hold the last one back for the final run"
            raise ValueError(message)
        self.sealed = total
        self._next = None if final else first + count
        return self._seal_run(first, count, plain, out, final=final)

    def _size(self) -> int:
        return self.layout.sealed_size(self.sealed)

    def sealed_bound(self, size: int) -> int:
        """Return the most bytes that sealing the next `size` plain bytes can give."""
        return size + self.layout.tag * (size // self.layout.chunk + 2) + self.layout.trailer

    @abstractmethod
    def _seal_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:
        """Seal chunks `first` to `first + count`; where `final`, the last of them ends the object."""


class Decryptor(_Sealing):
    """Opens one object, anywhere in it.

    Attributes:
        sealed_size: what the storage says the object's size is.
        plain_size: the message's size if that is true; `authenticate` proves it.
        chunks: the number of chunks.
        reads_all: `authenticate` reads the whole object, so that holding a small one saves a second fetch.
    """

    reads_all: ClassVar[bool] = False

    def __init__(self, layout: Layout, sealed_size: int) -> None:
        self.layout = layout
        self.sealed_size = sealed_size
        self.plain_size = layout.plain_size(sealed_size)
        self.chunks = layout.chunks(self.plain_size)

    @abstractmethod
    def authenticate(self, fetch: Fetch) -> None:
        """Prove that the object ends where the storage says it does. Call this before `decrypt_run`.

        Args:
            fetch: gives the object's bytes, range by range.

        Raises:
            IntegrityError: the object is not what its owner sealed.
        """

    def _size(self) -> int:
        return self.sealed_size

    def decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        """Open chunks `first` to `first + count` into `out`; return how many plain bytes that gave.

        `sealed` is exactly those chunks. If anything is wrong, `out` is zeroed before the error leaves:
        a cipher that has found a wrong tag has written its unverified output already.

        Raises:
            IntegrityError: a chunk is not what its owner sealed there.
        """
        try:
            self._check_size(first, count, len(sealed))
            return self._open_run(first, count, sealed, out)
        except BaseException:
            out[:] = bytes(len(out))
            raise

    def _check_size(self, first: int, count: int, size: int) -> None:
        start, stop = self.sealed_span(first, count)
        if size != stop - start:
            message = f"the storage gave {size} bytes where {stop - start} should lie"
            raise TruncatedObject(message)

    @abstractmethod
    def _open_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        """Open a run of chunks; on an error the caller wipes `out`."""

    def sealed_span(self, first: int, count: int) -> tuple[int, int]:
        """Return from where to where chunks `first` to `first + count` lie in the object."""
        last = first + count == self.chunks
        stop = self.sealed_size - self.layout.trailer if last else self.layout.sealed_start(first + count)
        return self.layout.sealed_start(first), stop

    def plain_span(self, first: int, count: int) -> tuple[int, int]:
        """Return from where to where chunks `first` to `first + count` lie in the message."""
        last = first + count == self.chunks
        stop = self.plain_size if last else self.layout.plain_start(first + count)
        return self.layout.plain_start(first), stop

    @staticmethod
    def broken_chunk(index: int) -> IntegrityError:
        """Return the error for a chunk whose tag does not verify."""
        message = (
            f"chunk {index} is not what was sealed there: "
            "the object was changed, damaged or exchanged in storage; do not trust it"
        )
        return IntegrityError(message)


class Format(ABC):
    """A wire format under one key and context.

    Attributes:
        name: the name in `Encryption.format`.
        head_size: how many of an object's first bytes `decryptor` wants to see.
        layout: the format's sizes; None where only an object's head tells them.
        pin: the one sealing that is read with it, or None for any.
    """

    name: ClassVar[str]
    head_size: int
    layout: Layout | None
    pin: str | None = None

    @abstractmethod
    def encryptor(self) -> Encryptor:
        """Return a sealer for one new object, with fresh randomness."""

    @abstractmethod
    def decryptor(self, head: bytes, sealed_size: int) -> Decryptor:
        """Return an opener for the object that starts with `head`.

        Args:
            head: the first `head_size` bytes, or all there are.
            sealed_size: the object's size, as the storage says.

        Raises:
            TruncatedObject: no object of this format has that size.
            WrongKey: the header is not one this key and context would have written.
        """

    @abstractmethod
    def bound(self, name: str) -> Format:
        """Return the same format under the same key, with `name` bound into its context.

        Objects in a folder are sealed so, each with its relative path: the storage cannot give one for another.

        Raises:
            ConfigError: the format has no context.
        """

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
