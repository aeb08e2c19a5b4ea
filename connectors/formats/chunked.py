"""AES-256-GCM chunk by chunk: what the two chunked formats share.

They differ in their header, in the key it gives, and in the nonce of each chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from connectors.formats.contract import Opener, Sealer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from connectors.formats.layout import Layout

__all__ = ["ChunkOpener", "ChunkSealer", "Nonce"]

Nonce = Callable[[int, bool], bytes]
"""The 12-byte nonce of a chunk: of its index, and whether it is the object's last."""

# `AESGCM` itself holds no state but the key schedule and may be shared; the buffers are the callers'.
# The `_into` calls release the GIL from 2,048 bytes up (cryptography 50).


class ChunkSealer(Sealer):
    """Seals each chunk by itself."""

    def __init__(self, layout: Layout, header: bytes, aead: AESGCM, nonce: Nonce) -> None:
        super().__init__(layout)
        self.header = header
        self._aead = aead
        self._nonce = nonce

    def _seal_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:
        encrypt, nonce = self._aead.encrypt_into, self._nonce
        chunk, tag, last = self.layout.chunk, self.layout.tag, first + count - 1
        start = done = 0
        stop = chunk - self.layout.lead if first == 0 else chunk
        for index in range(first, first + count):
            piece = plain[start:stop]
            size = len(piece) + tag
            encrypt(nonce(index, final and index == last), piece, None, out[done : done + size])
            start, stop, done = stop, stop + chunk, done + size
        return done


class ChunkOpener(Opener):
    """Opens each chunk by itself."""

    def __init__(self, layout: Layout, sealed_size: int, aead: AESGCM, nonce: Nonce) -> None:
        super().__init__(layout, sealed_size)
        self._aead = aead
        self._nonce = nonce

    def authenticate(self, fetch: Callable[[int, int], bytes | memoryview]) -> None:
        """Open the last chunk: only one place and one length verify as the end."""
        last = self.chunks - 1
        sealed = memoryview(fetch(*self.sealed_span(last, 1)))
        self.open_run(last, 1, sealed, memoryview(bytearray(self.layout.chunk)))

    def _open_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        decrypt, nonce = self._aead.decrypt_into, self._nonce
        chunk, tag, last = self.layout.chunk, self.layout.tag, self.chunks - 1
        stride = chunk + tag
        start = done = 0
        stop = stride - self.layout.lead if first == 0 else stride
        index = first
        try:
            for index in range(first, first + count):
                piece = sealed[start:stop]
                size = len(piece) - tag
                decrypt(nonce(index, index == last), piece, None, out[done : done + size])
                start, stop, done = stop, stop + stride, done + size
        except InvalidTag:
            broken = index
        else:
            return done
        # Raised here, outside the handler, so that no traceback drags cipher internals along.
        raise self.broken_chunk(broken)
