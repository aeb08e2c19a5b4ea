"""Wraps a key under another one: AES key wrap, RFC 3394, which needs no nonce and detects a wrong wrapping key."""

from __future__ import annotations

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from connectors.errors import InvalidKey
from connectors.secrets import KEY_SIZE, SecretKey

__all__ = ["unwrap_under", "wrap_under"]

_SIZE = KEY_SIZE + 8


def wrap_under(wrapping: SecretKey, key: SecretKey) -> bytes:
    """Return a key, wrapped under another: 40 bytes."""
    return aes_key_wrap(wrapping.reveal(), key.reveal())


def unwrap_under(wrapping: SecretKey, wrapped: bytes) -> SecretKey | None:
    """Return a wrapped key; None if it was wrapped under another key, or was changed.

    Raises:
        InvalidKey: it does not have the size of a wrapped key.
    """
    if len(wrapped) != _SIZE:
        message = f"a wrapped key has {_SIZE} bytes, and this one has {len(wrapped)}: it was cut short or changed"
        raise InvalidKey(message)
    try:
        return SecretKey(aes_key_unwrap(wrapping.reveal(), wrapped))
    except InvalidUnwrap:
        return None
