r"""cobblestone-256: C2SP chunked-encryption@v1, instance Cobblestone-256. The default.

::

    object = salt(24) || commitment(32) || chunk_0 || ... || chunk_n-1
    key(32) || base_nonce(12) || commitment(32)
           = HKDF-Expand-SHA512(raw key, "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" || salt || context)
    chunk_k = AES-256-GCM(key, base_nonce XOR k, plain[16384 k : 16384 (k + 1)])

The last chunk is always shorter than 16,384 bytes, so truncation at a chunk boundary is detected. The commitment
tells a wrong key or context from damage before anything is decrypted. `cryptography.cobblestone` (50.0 and
later) reads and writes the same objects, front to back only. It is used here for sequential access, many chunks in
one call and without the GIL; this module adds random access.

Source: https://c2sp.org/chunked-encryption
"""

from __future__ import annotations

import hmac
from threading import Lock
from typing import TYPE_CHECKING

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from connectors.errors import ConnectorError, WrongKey
from connectors.formats.chunked import ChunkDecryptor
from connectors.formats.contract import Encryptor, Format, FormerKeys, with_name
from connectors.formats.layout import Layout
from connectors.formats.provider import asks_openssl

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.secrets import SecretKey

__all__ = ["Cobblestone256"]

SALT_SIZE = 24
COMMITMENT_SIZE = 32
HEADER_SIZE = SALT_SIZE + COMMITMENT_SIZE
_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"

_asks_openssl = asks_openssl("cobblestone-256", "HMAC with SHA-512")

LAYOUT = Layout(header=HEADER_SIZE, chunk=16384, tag=16, short_end=True, max_plain=1 << 52)


class Cobblestone256(Format):
    """Cobblestone-256 under one key and context.

    Args:
        key: 32 bytes.
        context: bytes that bind the object to a place or purpose; reading needs the same bytes.
        former: returns further keys that objects are read with, never written. Which one fits is told by the
            commitment in an object's header. It is called for the first header that `key` does not fit.
    """

    name = "cobblestone-256"
    head_size = HEADER_SIZE
    layout: Layout = LAYOUT

    def __init__(self, key: SecretKey, context: bytes = b"", former: FormerKeys | None = None) -> None:
        self._key = key
        self._context = context
        self._former = former

    @_asks_openssl
    def encryptor(self) -> CobblestoneEncryptor:
        """Return an encryptor with a fresh random salt."""
        return CobblestoneEncryptor(Cobblestone256Encryptor(self._key.reveal(), self._context))

    def decryptor(self, head: bytes, sealed_size: int) -> CobblestoneDecryptor:
        """Return a decryptor, once the header's commitment has verified."""
        LAYOUT.plain_size(sealed_size)  # a truncated header is reported as a truncation, not as a wrong key
        opened = self.recognize(head, sealed_size)
        if opened is None:
            message = (
                "the header does not verify: wrong key or context, another format, a changed header, or an object "
                "that was never sealed"
            )
            raise WrongKey(message)
        return opened

    def recognize(self, head: bytes, sealed_size: int) -> CobblestoneDecryptor | None:
        """Return a decryptor, or None if the header was not written with this key, or a former one, and context."""
        opened = self._recognize(head, sealed_size)
        return opened if opened is not None or self._former is None else self._recognize_former(head, sealed_size)

    def _recognize_former(self, head: bytes, sealed_size: int) -> CobblestoneDecryptor | None:
        """Try all former keys, so that the time does not tell which one fits."""
        found: CobblestoneDecryptor | None = None
        try:
            for key in self._former() if self._former is not None else ():
                opened = Cobblestone256(key, self._context)._recognize(head, sealed_size)  # noqa: SLF001 - its own class
                found = found or opened
        except ConnectorError:  # a key that is unavailable
            if found is None:
                raise
        return found

    def _recognize(self, head: bytes, sealed_size: int) -> CobblestoneDecryptor | None:
        header = head[:HEADER_SIZE]
        aead, base_nonce, expected = self._derive(header[:SALT_SIZE])
        if not hmac.compare_digest(header[SALT_SIZE:], expected):
            return None
        return CobblestoneDecryptor(sealed_size, header, aead, base_nonce, self._from_start)

    def _from_start(self, header: bytes) -> Cobblestone256Decryptor:
        decryptor = Cobblestone256Decryptor(self._key.reveal(), self._context)
        decryptor.update(header)
        return decryptor

    def bound(self, name: str) -> Cobblestone256:
        """Return the same format with `name` in the context."""
        return Cobblestone256(self._key, with_name(self._context, name), self._former)

    @_asks_openssl
    def _derive(self, salt: bytes) -> tuple[AESGCM, bytes, bytes]:
        # The object's own key goes straight into the cipher, so that no frame that can raise holds it in a local.
        info = _LABEL + salt + self._context
        derived = HKDFExpand(SHA512(), 32 + 12 + COMMITMENT_SIZE, info).derive(self._key.reveal())
        return AESGCM(derived[:32]), derived[32:44], derived[44:]


class CobblestoneEncryptor(Encryptor):
    """Encrypts one object, front to back."""

    def __init__(self, encryptor: Cobblestone256Encryptor) -> None:
        super().__init__(LAYOUT)
        self._encryptor = encryptor
        header = bytearray(HEADER_SIZE)
        encryptor.update_into(b"", header)
        self.header = bytes(header)

    def _identity(self) -> bytes:
        return _identity(self.header)

    def _encrypt_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:  # noqa: ARG002
        done = self._encryptor.update_into(plain, out)
        if final:
            end = self._encryptor.finalize()
            out[done : done + len(end)] = end
            done += len(end)
        return done


class CobblestoneDecryptor(ChunkDecryptor):
    """Decrypts each chunk on its own; for a reader that starts at the first chunk and goes on, many in one call.

    Args:
        sealed_size: the object's size, as the storage reports it.
        header: its first 56 bytes.
        aead: the object's cipher.
        base_nonce: 12 bytes.
        from_start: returns the library's decryptor, fed with the header and ready for chunk 0.
    """

    def __init__(
        self,
        sealed_size: int,
        header: bytes,
        aead: AESGCM,
        base_nonce: bytes,
        from_start: Callable[[bytes], Cobblestone256Decryptor],
    ) -> None:
        super().__init__(LAYOUT, sealed_size, aead)
        self._header = header
        self._base_nonce = int.from_bytes(base_nonce)
        self._from_start = from_start
        self._decryptor: Cobblestone256Decryptor | None = None
        self._next: int | None = 0  # the chunk that the decryptor expects next; None after a wrong tag
        self._turn = Lock()

    def _identity(self) -> bytes:
        return _identity(self._header)

    def _nonces(self, first: int, count: int) -> list[bytes]:
        base = self._base_nonce  # the last chunk is marked by its length, not by its nonce
        return [(base ^ index).to_bytes(12) for index in range(first, first + count)]

    def _decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        # The last chunk is left to the loop: the library releases it only in `finalize`.
        full = min(count, self.chunks - 1 - first)
        done = 0
        # If the decryptor is in use, or at another chunk, this run goes chunk by chunk. Nothing blocks, even in a fork.
        if full > 0 and first == self._next and self._turn.acquire(blocking=False):
            try:
                if first == self._next:
                    done = self._open_next(first, full, sealed, out)
            finally:
                self._turn.release()
        if done:
            if full == count:
                return done
            first, count = first + full, count - full
            sealed, out = sealed[full * (LAYOUT.chunk + LAYOUT.tag) :], out[done:]
        return done + super()._decrypt_run(first, count, sealed, out)

    def _open_next(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        """Decrypt the next chunks in one call; return 0 if one of them does not verify."""
        self._next = None
        if self._decryptor is None:
            self._decryptor = self._from_start(self._header)
        try:
            done = self._decryptor.update_into(sealed[: count * (LAYOUT.chunk + LAYOUT.tag)], out)
        except InvalidTag:
            self._decryptor = None
            return 0  # the loop finds which one
        self._next = first + count
        return done


def _identity(header: bytes) -> bytes:
    return b"cobblestone-256\0" + header
