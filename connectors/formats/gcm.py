"""gcm: the one-shot format, nonce || ciphertext || tag, as scripts around AES-256-GCM write it.

::

    object = nonce(12) || ciphertext || tag(16)

One tag covers the whole object: `connectors.formats.whole` says how it is read nevertheless in any order.

There is no context, so whole objects under one key can be swapped; prefer cobblestone-256. Encrypt at most 2^32
objects under one key (NIST SP 800-38D, 8.3: nonces are random), preferably far fewer. An object holds at most
2^36 - 32 bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from connectors.errors import ConfigError
from connectors.formats.contract import Format
from connectors.formats.layout import Layout
from connectors.formats.provider import asks_openssl
from connectors.formats.whole import (
    BLOCK_SIZE,
    MAX_PLAIN,
    NONCE_SIZE,
    TAG_SIZE,
    WholeChecker,
    WholeDecryptor,
    WholeEncryptor,
)

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["Gcm"]

LAYOUT = Layout(header=NONCE_SIZE, chunk=BLOCK_SIZE, tag=0, trailer=TAG_SIZE, max_plain=MAX_PLAIN)


class Gcm(Format):
    """One-shot AES-256-GCM under one key.

    Args:
        key: 32 bytes, used directly.
        context: must be empty; the format cannot bind one.

    Raises:
        ConfigError: a context was given.
    """

    name = "gcm"
    head_size = NONCE_SIZE
    layout: Layout = LAYOUT

    def __init__(self, key: SecretKey, context: bytes = b"") -> None:
        if context:
            message = "the format gcm cannot bind a context; use cobblestone-256, or leave the context out"
            raise ConfigError(message)
        self._key = key

    @asks_openssl("gcm")
    def encryptor(self) -> WholeEncryptor:
        """Return an encryptor with a fresh random nonce."""
        nonce = os.urandom(NONCE_SIZE)
        return WholeEncryptor(LAYOUT, self._key, nonce, start=b"gcm\0" + nonce, header=nonce)

    @asks_openssl("gcm")
    def decryptor(self, head: bytes, sealed_size: int) -> WholeDecryptor:
        """Return a decryptor, which must authenticate the whole object before it decrypts any of it."""
        nonce = head[:NONCE_SIZE]
        return WholeDecryptor("gcm", LAYOUT, self._key, nonce, sealed_size, start=b"gcm\0" + nonce)

    @asks_openssl("gcm")
    def checker(self, header: bytes, sealed_size: int) -> WholeChecker:
        """Return a decryptor that goes through an object once, front to back."""
        return WholeChecker(LAYOUT, self._key, header, sealed_size, start=b"gcm\0" + header)

    def bound(self, name: str) -> Gcm:  # noqa: ARG002
        """Refuse: there is no context to bind a name into.

        Raises:
            ConfigError: always.
        """
        message = (
            "the format gcm cannot bind the names of a folder's objects, so the storage could swap them; "
            'use cobblestone-256, or set "bind": "none" in the encryption'
        )
        raise ConfigError(message)
