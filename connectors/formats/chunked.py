"""AES-256-GCM chunk by chunk: random-access decryption, shared by the two chunked formats.

They differ in their header, in the key that it gives, and in the nonce of each chunk.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from connectors.formats.contract import Decryptor

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from connectors.formats.contract import Fetch
    from connectors.formats.layout import Layout

__all__ = ["ChunkDecryptor"]

# `AESGCM` itself holds no state but the key schedule and may be shared; the buffers are the callers'.
# The `_into` calls release the GIL from 2,048 bytes up (cryptography 50).


class ChunkDecryptor(Decryptor):
    """Decrypts each chunk on its own."""

    def __init__(self, layout: Layout, sealed_size: int, aead: AESGCM) -> None:
        super().__init__(layout, sealed_size)
        self._aead = aead

    @abstractmethod
    def _nonces(self, first: int, count: int) -> list[bytes]:
        """Return the 12-byte nonces of chunks `first` to `first + count`."""

    def authenticate(self, fetch: Fetch) -> None:
        """Decrypt the last chunk: it verifies at only one position and with only one length."""
        last = self.chunks - 1
        (sealed,) = fetch([self.sealed_span(last, 1)])
        self.decrypt_run(last, 1, memoryview(sealed), memoryview(bytearray(self.layout.chunk)))

    def _decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        decrypt, layout = self._aead.decrypt_into, self.layout
        stride = layout.chunk + layout.tag
        start = done = 0
        stop = stride - layout.lead if first == 0 else stride
        try:
            for nonce in self._nonces(first, count):
                piece = sealed[start:stop]
                done += decrypt(nonce, piece, None, out[done : done + len(piece) - layout.tag])
                start, stop = stop, stop + stride
        except InvalidTag:
            broken = layout.index(layout.plain_start(first) + done)
        else:
            return done
        # Raised here, outside the handler, so that no traceback drags cipher internals along.
        raise self.broken_chunk(broken)
