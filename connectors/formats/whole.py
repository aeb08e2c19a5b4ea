"""AES-GCM over a whole object, with one tag at its end: what the formats gcm and s3-encryption-client share.

No byte may be released before the whole object has been read. The storage may serve other bytes on a second read, so
the first read must keep something to check the second one against: a GMAC of each block of ciphertext, under a key that
lives only as long as the decryptor. The first pass verifies the object's tag and computes each block's GMAC (16 bytes
for each 256 KiB). After that any block can be read: its GMAC is verified, and it is decrypted with AES-CTR, which GCM
is built on.
"""

from __future__ import annotations

import hmac
from itertools import chain
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.errors import IntegrityError
from connectors.formats.contract import Decryptor, Encryptor
from connectors.formats.provider import asks_openssl

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.ciphers import CipherContext

    from connectors.formats.contract import Fetch
    from connectors.formats.layout import Layout
    from connectors.secrets import SecretKey

__all__ = ["BLOCK_SIZE", "MAX_PLAIN", "NONCE_SIZE", "TAG_SIZE", "WholeChecker", "WholeDecryptor", "WholeEncryptor"]

NONCE_SIZE = 12
TAG_SIZE = 16
MAX_PLAIN = (1 << 36) - 32
"""Bytes in the largest object: NIST SP 800-38D, 5.2.1.1."""
_AES_BLOCK = 16
BLOCK_SIZE = 1 << 18
_VERIFY_RUN = 16
"""Blocks that `authenticate` fetches in one request: one request for each block would be far slower."""


class WholeEncryptor(Encryptor):
    """Encrypts one object in one pass.

    Args:
        layout: the format's; its chunks are blocks.
        key: used for this nonce only.
        nonce: 12 bytes.
        start: what the object's identity starts with: the format's name, a zero byte, and what only this object has.
        header: the bytes the object starts with.
        associated: the additional data that the tag covers.
    """

    def __init__(
        self,
        layout: Layout,
        key: SecretKey,
        nonce: bytes,
        *,
        start: bytes,
        header: bytes = b"",
        associated: bytes = b"",
    ) -> None:
        super().__init__(layout)
        self.header = header
        self._start = start
        self._encryptor = Cipher(algorithms.AES(key.reveal()), modes.GCM(nonce)).encryptor()
        self._encryptor.authenticate_additional_data(associated)

    def _identity(self) -> bytes:
        return self._start + self._encryptor.tag

    def _encrypt_run(self, first: int, count: int, plain: memoryview, out: memoryview, *, final: bool) -> int:  # noqa: ARG002
        done = _update_into(self._encryptor.update_into, plain, out)
        if final:
            self._encryptor.finalize()
            out[done : done + TAG_SIZE] = self._encryptor.tag
            done += TAG_SIZE
        return done


class WholeDecryptor(Decryptor):
    """Decrypts one object: reads all of it once to verify, then any block.

    Args:
        name: the format's.
        layout: the format's; its chunks are blocks.
        key: the object's.
        nonce: 12 bytes.
        sealed_size: the object's size, as the storage reports it.
        start: as for `WholeEncryptor`.
        associated: the additional data that the tag covers.
    """

    reads_all = True

    def __init__(
        self,
        name: str,
        layout: Layout,
        key: SecretKey,
        nonce: bytes,
        sealed_size: int,
        *,
        start: bytes,
        associated: bytes = b"",
    ) -> None:
        super().__init__(layout, sealed_size)
        self._name = name
        self._key = key
        self._nonce = nonce
        self._start = start
        self._associated = associated
        self._mac = AESGCM(AESGCM.generate_key(256))
        self._macs: list[bytes] = []
        self._tag = b""

    def _identity(self) -> bytes:
        return self._start + self._tag

    def authenticate(self, fetch: Fetch) -> None:
        """Read the whole object, verify its tag, and keep a GMAC of each block. Nothing is decrypted."""
        macs: list[bytes] = []
        # Hashed as additional data: without decryption, GCM takes half the time.
        hashing = Cipher(algorithms.AES(self._key.reveal()), modes.GCM(self._nonce)).encryptor()
        hashing.authenticate_additional_data(self._padded())
        ranges = fetch(
            chain(
                [(self.sealed_size - TAG_SIZE, self.sealed_size)],
                (
                    self.sealed_span(first, min(_VERIFY_RUN, self.chunks - first))
                    for first in range(0, self.chunks, _VERIFY_RUN)
                ),
            )
        )
        tag = bytes(next(ranges))
        for run in ranges:
            view = memoryview(run)
            for start in range(0, len(view) or 1, BLOCK_SIZE):
                block = view[start : start + BLOCK_SIZE]
                hashing.authenticate_additional_data(block)
                macs.append(self._mac.encrypt(_mac_nonce(len(macs)), b"", block))
        hashing.finalize()
        if not self._is_tag(tag, hashing.tag):
            message = (
                "the object's tag does not verify: wrong key, the object was changed, truncated or swapped in "
                "storage, or was never sealed"
            )
            raise IntegrityError(message)
        self._macs, self._tag = macs, tag

    def _padded(self) -> bytes:
        """Return the additional data, padded to whole blocks."""
        return self._associated + bytes(-len(self._associated) % _AES_BLOCK)

    def _is_tag(self, tag: bytes, hashed: bytes) -> bool:
        """Return whether `tag` is the object's, given `hashed`, the tag of its ciphertext as more additional data.

        A tag is GHASH(additional data || ciphertext || their two lengths) XOR E(counter 1), each of the first two
        padded with zeros (SP 800-38D, 7.1). So the right tag differs from `hashed` by what the lengths contribute:
        X * H, where X is the XOR of the lengths (8 (padded + size), 0), as the bytes were hashed, and
        (8 additional, 8 size).

        H, the key of GHASH, is a secret, and arithmetic on Python's integers takes a time that depends on them. So
        the library multiplies: the GMAC of the blocks X, D is that of two blocks of zeros exactly if X * H^3 + D * H^2
        is 0, that is, if D = X * H. (If H were 0, every tag would pass; of 2^128 keys, one has that H.)
        """
        if len(tag) != TAG_SIZE:
            return False
        hashed_length = 8 * (len(self._padded()) + self.plain_size)
        lengths = (hashed_length ^ (8 * len(self._associated))).to_bytes(_AES_BLOCK // 2)
        lengths += (8 * self.plain_size).to_bytes(_AES_BLOCK // 2)
        difference = bytes(one ^ other for one, other in zip(tag, hashed, strict=True))
        # One nonce for both, which never leave this method: an equal mask is what makes them comparable.
        mac, nonce = AESGCM(self._key.reveal()), bytes(NONCE_SIZE)
        expected = mac.encrypt(nonce, b"", bytes(2 * _AES_BLOCK))
        return hmac.compare_digest(mac.encrypt(nonce, b"", lengths + difference), expected)

    def _decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:
        if not self._macs:
            message = "authenticate the object before decrypting any of it"
            raise ValueError(message)
        decryptor = self._stream(first)
        done = 0
        for index in range(first, first + count):
            block = sealed[done : done + BLOCK_SIZE]
            try:
                self._mac.decrypt(_mac_nonce(index), self._macs[index], block)
            except InvalidTag:
                verified = False
            else:
                verified = True
            if not verified:
                message = (
                    f"block {index} is not the one that was verified before: "
                    "the storage served other bytes on a second read; do not trust it"
                )
                raise IntegrityError(message)
            done += _update_into(decryptor.update_into, block, out[done:])
        return done

    def _stream(self, first: int) -> CipherContext:
        """Return the cipher at the start of block `first`."""
        return asks_openssl(self._name)(self._counting)(first)

    def _counting(self, first: int) -> CipherContext:
        # GCM is AES-CTR with a counter that starts at 2; counter 1 is used for the tag (NIST SP 800-38D, 7.1).
        counter = 2 + first * (BLOCK_SIZE // _AES_BLOCK)
        stream = modes.CTR(self._nonce + counter.to_bytes(4))
        return Cipher(algorithms.AES(self._key.reveal()), stream).decryptor()


class WholeChecker(Decryptor):
    """Decrypts an object once, front to back, for its writer: `finish` verifies the tag of all of it.

    The arguments are those of `WholeDecryptor`.
    """

    def __init__(self, layout: Layout, key: SecretKey, nonce: bytes, sealed_size: int, *, start: bytes) -> None:
        super().__init__(layout, sealed_size)
        self._start = start
        self._tag = b""
        self._cipher = Cipher(algorithms.AES(key.reveal()), modes.GCM(nonce)).decryptor()

    def _identity(self) -> bytes:
        return self._start + self._tag

    def authenticate(self, fetch: Fetch) -> None:
        """Do nothing: `finish` verifies the tag."""

    def _decrypt_run(self, first: int, count: int, sealed: memoryview, out: memoryview) -> int:  # noqa: ARG002
        return _update_into(self._cipher.update_into, sealed, out)

    def finish(self, trailer: memoryview) -> None:
        """Verify the tag."""
        self._tag = bytes(trailer)
        try:
            self._cipher.finalize_with_tag(self._tag)
        except InvalidTag:
            verified = False
        else:
            verified = True
        if not verified:
            message = "the object's tag does not verify"
            raise IntegrityError(message)


def _mac_nonce(index: int) -> bytes:
    return index.to_bytes(NONCE_SIZE)


def _update_into(update: Callable[[memoryview, memoryview], int], data: memoryview, out: memoryview) -> int:
    """Run a stream cipher over `data` into `out`, which may be as short as `data`.

    `update_into` of cryptography 50 requires 15 bytes more room than it fills, for block ciphers, so the last bytes go
    through a separate buffer.
    """
    if len(out) >= len(data) + _AES_BLOCK - 1:
        return update(data, out)
    split = max(0, len(data) - _AES_BLOCK + 1)
    done = update(data[:split], out) if split else 0
    rest = memoryview(bytearray(2 * _AES_BLOCK))
    size = update(data[split:], rest)
    out[done : done + size] = rest[:size]
    return done + size
