"""tink-gcm-hkdf: Tink's streaming AEAD AES256_GCM_HKDF, to exchange objects with Tink.

::

    object    = 0x28 || salt(32) || nonce_prefix(7) || segment_0 || ... || segment_n-1
    file key  = HKDF-SHA256(raw key, salt, info = context)
    segment_i = AES-256-GCM(file key, prefix(7) || be32(i) || is_last(1), plain)

`segment_size` includes the tag, and in segment 0 also the header. The object does not record it: both sides
configure it (1 MiB is Tink's AES256_GCM_HKDF_1MB template, 4 KiB its _4KB).

Source: https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.errors import ConfigError, IntegrityError, WrongKey
from connectors.formats.chunked import ChunkDecryptor
from connectors.formats.contract import Encryptor, Format, with_name
from connectors.formats.layout import Layout
from connectors.formats.provider import asks_openssl

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["DEFAULT_SEGMENT_SIZE", "MAX_SEGMENT_SIZE", "MIN_SEGMENT_SIZE", "TinkGcmHkdf"]

HEADER_SIZE = 1 + 32 + 7
TAG_SIZE = 16
DEFAULT_SEGMENT_SIZE = 1 << 20
MIN_SEGMENT_SIZE = HEADER_SIZE + TAG_SIZE + 1
# Tink's own limit is 2^31 - 1. Ours is far lower, because a reader holds whole segments in memory.
MAX_SEGMENT_SIZE = 1 << 26


class TinkGcmHkdf(Format):
    """AES256_GCM_HKDF under one key, associated data and segment size.

    Args:
        key: 32 bytes, Tink's input key material.
        context: Tink's associated data.
        segment_size: bytes in a sealed segment, tag included; from 57 bytes to 64 MiB.

    Raises:
        ConfigError: the segment size is out of range.
    """

    name = "tink-gcm-hkdf"
    head_size = HEADER_SIZE
    layout: Layout

    def __init__(self, key: SecretKey, context: bytes = b"", *, segment_size: int = DEFAULT_SEGMENT_SIZE) -> None:
        if type(segment_size) is not int or not MIN_SEGMENT_SIZE <= segment_size <= MAX_SEGMENT_SIZE:
            message = f"segment_size is {MIN_SEGMENT_SIZE} to {MAX_SEGMENT_SIZE} bytes, not {segment_size!r}"
            raise ConfigError(message)
        self._key = key
        self._context = context
        self._segment_size = segment_size
        chunk = segment_size - TAG_SIZE
        self.layout = Layout(
            header=HEADER_SIZE,
            chunk=chunk,
            tag=TAG_SIZE,
            lead=HEADER_SIZE,
            max_plain=(chunk << 32) - HEADER_SIZE,
        )

    def encryptor(self) -> TinkEncryptor:
        """Return an encryptor with a fresh random salt and nonce prefix."""
        salt, prefix = os.urandom(32), os.urandom(7)
        return TinkEncryptor(self.layout, self._derive(salt), salt, prefix)

    def decryptor(self, head: bytes, sealed_size: int) -> TinkDecryptor:
        """Return a decryptor; only the tags of the segments prove that the key and context are right."""
        self.layout.plain_size(sealed_size)
        if head[0] != HEADER_SIZE:
            message = "the object does not start like a tink-gcm-hkdf object: is the format right?"
            raise WrongKey(message)
        return TinkDecryptor(self.layout, sealed_size, self._derive(head[1:33]), head[:HEADER_SIZE])

    def bound(self, name: str) -> TinkGcmHkdf:
        """Return the same format with `name` in the context."""
        return TinkGcmHkdf(self._key, with_name(self._context, name), segment_size=self._segment_size)

    @asks_openssl("tink-gcm-hkdf", "HMAC with SHA-256")
    def _derive(self, salt: bytes) -> AESGCM:
        return AESGCM(HKDF(SHA256(), 32, salt, self._context).derive(self._key.reveal()))


class TinkEncryptor(Encryptor):
    """Encrypts each segment on its own."""

    def __init__(self, layout: Layout, aead: AESGCM, salt: bytes, prefix: bytes) -> None:
        super().__init__(layout)
        self.header = bytes([HEADER_SIZE]) + salt + prefix
        self._aead = aead
        self._prefix = prefix

    def _identity(self) -> bytes:
        return _identity(self.header)

    def _encrypt_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:
        encrypt, chunk = self._aead.encrypt_into, self.layout.chunk
        start = done = 0
        size = chunk - self.layout.lead if first == 0 else chunk
        for nonce in _nonces(self._prefix, first, count, last=final):
            piece = plain[start : start + size]
            done += encrypt(nonce, piece, None, out[done : done + len(piece) + TAG_SIZE])
            start, size = start + size, chunk
        return done


class TinkDecryptor(ChunkDecryptor):
    """Decrypts each segment on its own; a wrong key and damage look the same."""

    def __init__(self, layout: Layout, sealed_size: int, aead: AESGCM, header: bytes) -> None:
        super().__init__(layout, sealed_size, aead)
        self._header = header
        self._prefix = header[33:]

    def _identity(self) -> bytes:
        return _identity(self._header)

    def _nonces(self, first: int, count: int) -> list[bytes]:
        return _nonces(self._prefix, first, count, last=first + count == self.chunks)

    @staticmethod
    def broken_chunk(index: int) -> IntegrityError:
        """Return the error for a segment whose tag does not verify."""
        message = (
            f"segment {index} does not verify: wrong key, context or segment size, "
            "or the object was changed, damaged or swapped in storage; do not trust it"
        )
        return IntegrityError(message)


def _identity(header: bytes) -> bytes:
    return b"tink-gcm-hkdf\0" + header[1:]  # the first byte is the header's length, always the same


def _nonces(prefix: bytes, first: int, count: int, *, last: bool) -> list[bytes]:
    """Return the nonces of a run of segments, of which the last one may end the object."""
    nonces = [prefix + (index << 8).to_bytes(5) for index in range(first, first + count)]
    if last:
        nonces[-1] = nonces[-1][:-1] + b"\x01"
    return nonces
