r"""cobblestone-256: C2SP chunked-encryption@v1, instance Cobblestone-256. The default.

::

    object = salt(24) || commitment(32) || chunk_0 || ... || chunk_n-1
    key(32) || base_nonce(12) || commitment(32)
           = HKDF-Expand-SHA512(raw key, "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" || salt || context)
    chunk_k = AES-256-GCM(key, base_nonce XOR k, plain[16384 k : 16384 (k + 1)])

The last chunk is always shorter than 16,384 bytes, so a truncation at a chunk's border shows. The commitment
tells a wrong key or context from damage before anything is decrypted. `cryptography.cobblestone` (50.0 and
later) reads and writes the same objects, front to back only. It does that here too, many chunks in one call and
without Python's global lock; what is ours is the random access.

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

from connectors.errors import WrongKey
from connectors.formats.chunked import ChunkDecryptor
from connectors.formats.contract import Encryptor, Format, with_name
from connectors.formats.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.secrets import SecretKey

__all__ = ["Cobblestone256"]

SALT_SIZE = 24
COMMITMENT_SIZE = 32
HEADER_SIZE = SALT_SIZE + COMMITMENT_SIZE
_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"

LAYOUT = Layout(header=HEADER_SIZE, chunk=16384, tag=16, short_end=True, max_plain=1 << 52)


class Cobblestone256(Format):
    """Cobblestone-256 under one key and context.

    Args:
        key: 32 bytes.
        context: bytes that bind the object to a place or purpose; the reader must give the same.
    """

    name = "cobblestone-256"
    head_size = HEADER_SIZE
    layout: Layout = LAYOUT

    def __init__(self, key: SecretKey, context: bytes = b"") -> None:
        self._key = key
        self._context = context

    def encryptor(self) -> CobblestoneEncryptor:
        """Return a sealer with a fresh random salt."""
        return CobblestoneEncryptor(Cobblestone256Encryptor(self._key.reveal(), self._context))

    def decryptor(self, head: bytes, sealed_size: int) -> CobblestoneDecryptor:
        """Return an opener, once the header's commitment has verified."""
        LAYOUT.plain_size(sealed_size)  # a cut header is a truncation before it is a wrong key
        opened = self.recognize(head, sealed_size)
        if opened is None:
            message = (
                "the header does not verify: this is another key or context than it was sealed with, "
                "or not a cobblestone-256 object, or its header was changed"
            )
            raise WrongKey(message)
        return opened

    def recognize(self, head: bytes, sealed_size: int) -> CobblestoneDecryptor | None:
        """Return an opener, or None where the header is not one this key and context would write."""
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
        """Return the same with `name` in the context."""
        return Cobblestone256(self._key, with_name(self._context, name))

    def _derive(self, salt: bytes) -> tuple[AESGCM, bytes, bytes]:
        # The object's own key goes straight into the cipher: no frame that can raise has it among its locals.
        info = _LABEL + salt + self._context
        derived = HKDFExpand(SHA512(), 32 + 12 + COMMITMENT_SIZE, info).derive(self._key.reveal())
        return AESGCM(derived[:32]), derived[32:44], derived[44:]


class CobblestoneEncryptor(Encryptor):
    """Seals one object, front to back."""

    def __init__(self, encryptor: Cobblestone256Encryptor) -> None:
        super().__init__(LAYOUT)
        self._encryptor = encryptor
        header = bytearray(HEADER_SIZE)
        encryptor.update_into(b"", header)
        self.header = bytes(header)

    def _identity(self) -> bytes:
        return _identity(self.header)

    def _seal_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:  # noqa: ARG002
        done = self._encryptor.update_into(plain, out)
        if final:
            end = self._encryptor.finalize()
            out[done : done + len(end)] = end
            done += len(end)
        return done


class CobblestoneDecryptor(ChunkDecryptor):
    """Opens each chunk by itself, but for a reader that starts at the first one and reads on: for it, many in one call.

    Args:
        sealed_size: the object's size, as the storage says.
        header: its first 56 bytes.
        aead: the object's cipher.
        base_nonce: 12 bytes.
        from_start: returns the library's decryptor, which has seen the header and takes chunk 0 next.
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
        self._next: int | None = 0  # the chunk that the decryptor takes next; None once it has found a wrong tag
        self._turn = Lock()

    def _identity(self) -> bytes:
        return _identity(self._header)

    def _nonces(self, first: int, count: int) -> list[bytes]:
        base = self._base_nonce  # the last chunk is known by its length
        return [(base ^ index).to_bytes(12) for index in range(first, first + count)]

    def _open_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        # The object's last chunk is left to the loop: the decryptor would give it only when told that it is the last.
        full = min(count, self.chunks - 1 - first)
        done = 0
        # Whoever finds the decryptor in use, or elsewhere, does without: nobody waits, in a fork neither.
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
        return done + super()._open_run(first, count, sealed, out)

    def _open_next(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        """Open the decryptor's next chunks; return 0 if one of them is not what was sealed there."""
        self._next = None
        if self._decryptor is None:
            self._decryptor = self._from_start(self._header)
        try:
            done = self._decryptor.update_into(sealed[: count * (LAYOUT.chunk + LAYOUT.tag)], out)
        except InvalidTag:
            self._decryptor = None
            return 0  # which one it is, the loop will tell
        self._next = first + count
        return done


def _identity(header: bytes) -> bytes:
    return b"cobblestone-256\0" + header
