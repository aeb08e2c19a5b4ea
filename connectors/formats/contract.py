"""The contract of a wire format: three small classes, which each format subclasses.

A `Format` is a format with its key: it makes one `Encryptor` for each object written and one `Decryptor` for
each object read. None of them does I/O: they turn runs of whole chunks into runs of whole chunks, in
buffers their callers own. The streams, one layer up, fetch, buffer, seek and commit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from connectors.errors import IntegrityError, TruncatedObject
from connectors.formats.pin import compute_pin
from connectors.secrets import SecretKey

if TYPE_CHECKING:
    from connectors.formats.layout import Layout

__all__ = ["Decryptor", "Encryptor", "Fetch", "Format", "FormerKeys", "ReadBeside", "with_name"]

Fetch = Callable[[Iterable[tuple[int, int]]], Iterator[bytes | memoryview]]
"""Yields ranges of an object's bytes, given as (start, stop); each is valid until the next one is requested."""
FormerKeys = Callable[[], Iterable[SecretKey]]
"""Returns the keys that objects are only read with, for formats whose headers commit to their key.

It may end with an error, about keys that are unavailable; that is raised if none of the others fits.
"""
ReadBeside = Callable[[str], bytes]
"""Returns the object whose name is that of the one being read and a suffix. Raises ObjectNotFound, and NotSupported
if it is too large."""


def with_name(context: bytes, name: str) -> bytes:
    r"""Return `context` with a name bound to it. Neither holds a zero byte, so no two pairs give the same bytes.

    >>> with_name(b"trial 7", "ward/one.csv")
    b'trial 7\x00ward/one.csv'
    """
    return context + b"\0" + name.encode()


class _Sealing(ABC):
    """One sealed object, being written or read."""

    @property
    def pin(self) -> str:
        """The fingerprint of this version of the object: 64 hexadecimal digits.

        Valid once a decryptor has authenticated the object, or an encryptor has finished it.
        """
        return compute_pin(self._identity(), self._size())

    @abstractmethod
    def _size(self) -> int:
        """Return the sealed object's size in bytes."""

    @abstractmethod
    def _identity(self) -> bytes:
        """Return the format's name, a zero byte, and the bytes of the object that no other encryption has."""


class Encryptor(_Sealing):
    """Encrypts one object, once, front to back.

    Attributes:
        header: the bytes the object starts with.
        properties: what the storage has to keep with the object, by name; empty for most formats.
        sealed: the number of plain bytes encrypted so far.
    """

    header: bytes
    properties: Mapping[str, str] = MappingProxyType({})

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._next: int | None = 0
        self.sealed = 0

    def encrypt(self, plain: memoryview, out: memoryview, *, final: bool = False) -> int:
        """Encrypt the next run of chunks into `out` and return the number of bytes written.

        Args:
            plain: whole chunks, as `Layout` counts them; if `final`, the rest of the message, which may be empty.
            out: a buffer of at least `sealed_bound(len(plain))` bytes.
            final: whether the message ends here.

        Raises:
            NotSupported: the message has grown larger than the format allows.
            ValueError: the object is already finished, or `plain` is not a run of whole chunks.
        """
        if self._next is None:
            message = "this object is already finished; an encryptor writes one object"
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
        return self._encrypt_run(first, count, plain, out, final=final)

    def _size(self) -> int:
        return self.layout.sealed_size(self.sealed)

    def pin_ahead(self, size: int) -> str:
        """Return the `pin` that the object will have if its message has `size` bytes.

        Not for gcm: its pin depends on the tag, which is known at the end.
        """
        return compute_pin(self._identity(), self.layout.sealed_size(size))

    def sealed_bound(self, size: int) -> int:
        """Return the most bytes that encrypting the next `size` plain bytes can produce."""
        return size + self.layout.tag * (size // self.layout.chunk + 2) + self.layout.trailer

    @abstractmethod
    def _encrypt_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:
        """Encrypt chunks `first` to `first + count`; if `final`, the last one ends the object."""


class Decryptor(_Sealing):
    """Decrypts one object, with random access.

    Attributes:
        sealed_size: the object's size, as the storage reports it.
        plain_size: the message's size, if the reported size is true; `authenticate` proves it.
        chunks: the number of chunks.
        reads_all: whether `authenticate` reads the whole object; keeping a small one saves a second fetch.
    """

    reads_all: ClassVar[bool] = False

    def __init__(self, layout: Layout, sealed_size: int) -> None:
        self.layout = layout
        self.sealed_size = sealed_size
        self.plain_size = layout.plain_size(sealed_size)
        self.chunks = layout.chunks(self.plain_size)

    @abstractmethod
    def authenticate(self, fetch: Fetch) -> None:
        """Prove that the object ends where the storage reports. Call this before `decrypt_run`.

        Args:
            fetch: yields the object's bytes, range by range.

        Raises:
            IntegrityError: the object is not what its owner sealed.
        """

    def finish(self, trailer: memoryview) -> None:
        """Verify what follows the last chunk, after all chunks were decrypted in order; see `Format.checker`.

        Raises:
            IntegrityError: it is not what its owner sealed.
        """

    def _size(self) -> int:
        return self.sealed_size

    def decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        """Decrypt chunks `first` to `first + count` into `out`; return the number of plain bytes.

        `sealed` is exactly those chunks. On any error `out` is zeroed before the error is raised: a cipher that
        finds a wrong tag has already written its unverified output.

        Raises:
            IntegrityError: a chunk is not what its owner sealed there.
        """
        try:
            self._check_size(first, count, len(sealed))
            return self._decrypt_run(first, count, sealed, out)
        except BaseException:
            out[:] = bytes(len(out))
            raise

    def _check_size(self, first: int, count: int, size: int) -> None:
        start, stop = self.sealed_span(first, count)
        if size != stop - start:
            message = f"the storage gave {size} bytes where it should have {stop - start}"
            raise TruncatedObject(message)

    @abstractmethod
    def _decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        """Decrypt a run of chunks; on an error the caller wipes `out`."""

    def sealed_span(self, first: int, count: int) -> tuple[int, int]:
        """Return the start and the end of chunks `first` to `first + count` in the object."""
        last = first + count == self.chunks
        stop = self.sealed_size - self.layout.trailer if last else self.layout.sealed_start(first + count)
        return self.layout.sealed_start(first), stop

    def plain_span(self, first: int, count: int) -> tuple[int, int]:
        """Return the start and the end of chunks `first` to `first + count` in the message."""
        last = first + count == self.chunks
        stop = self.plain_size if last else self.layout.plain_start(first + count)
        return self.layout.plain_start(first), stop

    @staticmethod
    def broken_chunk(index: int) -> IntegrityError:
        """Return the error for a chunk whose tag does not verify."""
        message = (
            f"chunk {index} does not verify: the object was changed, damaged or swapped in storage; do not trust it"
        )
        return IntegrityError(message)


class Format(ABC):
    """A wire format under one key and context.

    Attributes:
        name: the name in `Encryption.format`.
        head_size: the number of bytes from the object's start that `decryptor` needs.
        layout: the format's sizes; None if only an object's header tells them.
        needs_properties: whether objects are decrypted by `decryptor_of`.
        pin: the only version to accept, or None for any.
    """

    name: ClassVar[str]
    needs_properties: ClassVar[bool] = False
    head_size: int
    layout: Layout | None
    pin: str | None = None

    @abstractmethod
    def encryptor(self) -> Encryptor:
        """Return an encryptor for one new object, with fresh randomness.

        Raises:
            NotSupported: OpenSSL refuses one of its algorithms.
        """

    @abstractmethod
    def decryptor(self, head: bytes, sealed_size: int) -> Decryptor:
        """Return a decryptor for the object that starts with `head`.

        Args:
            head: the first `head_size` bytes, or the whole object if it is shorter.
            sealed_size: the object's size, as the storage reports it.

        Raises:
            TruncatedObject: no object of this format has that size.
            WrongKey: the header was not written with this key and context.
            NotSupported: OpenSSL refuses one of its algorithms.
        """

    def decryptor_of(
        self,
        properties: Mapping[str, str],  # noqa: ARG002 - for formats that need it
        beside: ReadBeside,  # noqa: ARG002
        head: bytes,
        sealed_size: int,
    ) -> Decryptor:
        """Return a decryptor for an object with what the storage keeps with it; used if `needs_properties`.

        Args:
            properties: the object's properties, by names in lower case, such as the user metadata of S3.
            beside: reads an object beside this one.
            head: as for `decryptor`.
            sealed_size: likewise.

        Raises:
            IntegrityError: the properties are not what the object's owner wrote; WrongKey if they are not of this key.
            KeyRefused, KeyUnavailable: what holds the object's key does not give it.
            NotSupported: the object is sealed in a way that is not read.
        """
        return self.decryptor(head, sealed_size)

    def checker(self, header: bytes, sealed_size: int) -> Decryptor:
        """Return a decryptor for an object that is being written, which checks what the encryptor gives.

        Its `decrypt_run` is called with all chunks in order, from the first on, without `authenticate`; then `finish`.

        Args:
            header: the object's header.
            sealed_size: the size that the object will have.
        """
        return self.decryptor(header, sealed_size)

    @abstractmethod
    def bound(self, name: str) -> Format:
        """Return the same format under the same key, with `name` bound into its context.

        Each object of a folder is encrypted with its relative path bound, so the storage cannot swap two objects.

        Raises:
            ConfigError: the format has no context.
        """

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
