r"""cobblestone-256: C2SP chunked-encryption@v1, instance Cobblestone-256. The default.

::

    object = salt(24) || commitment(32) || chunk_0 || ... || chunk_n-1
    key(32) || base_nonce(12) || commitment(32)
           = HKDF-Expand-SHA512(raw key, "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" || salt || context)
    chunk_k = AES-256-GCM(key, base_nonce XOR k, plain[16384 k : 16384 (k + 1)])

The last chunk is always shorter than 16,384 bytes, so a truncation at a chunk's border shows. The commitment
tells a wrong key or context from damage before anything is decrypted. `cryptography.cobblestone` (50.0 and
later) reads and writes the same objects, front to back only; this is the random access to them.

Source: https://c2sp.org/chunked-encryption
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from connectors.errors import WrongKey
from connectors.formats.chunked import ChunkOpener, ChunkSealer, Nonce
from connectors.formats.contract import Format, with_name
from connectors.formats.layout import Layout

if TYPE_CHECKING:
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

    def sealer(self) -> ChunkSealer:
        """Return a sealer with a fresh random salt."""
        salt = os.urandom(SALT_SIZE)
        aead, nonces, commitment = self._derive(salt)
        return ChunkSealer(LAYOUT, salt + commitment, aead, nonces)

    def opener(self, head: bytes, sealed_size: int) -> ChunkOpener:
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

    def recognize(self, head: bytes, sealed_size: int) -> ChunkOpener | None:
        """Return an opener, or None where the header is not one this key and context would write."""
        salt, commitment = head[:SALT_SIZE], head[SALT_SIZE:HEADER_SIZE]
        aead, nonces, expected = self._derive(salt)
        if not hmac.compare_digest(commitment, expected):
            return None
        return ChunkOpener(LAYOUT, sealed_size, aead, nonces)

    def bound(self, name: str) -> Cobblestone256:
        """Return the same with `name` in the context."""
        return Cobblestone256(self._key, with_name(self._context, name))

    def _derive(self, salt: bytes) -> tuple[AESGCM, Nonce, bytes]:
        # The object's own key goes straight into the cipher: no frame that can raise has it among its locals.
        info = _LABEL + salt + self._context
        derived = HKDFExpand(SHA512(), 32 + 12 + COMMITMENT_SIZE, info).derive(self._key.reveal())
        return AESGCM(derived[:32]), _nonces(derived[32:44]), derived[44:]


def _nonces(base_nonce: bytes) -> Nonce:
    base = int.from_bytes(base_nonce)

    def nonce(index: int, last: bool) -> bytes:  # noqa: ARG001, FBT001 - the last chunk is known by its length
        return (base ^ index).to_bytes(12)

    return nonce
