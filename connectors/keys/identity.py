"""Tells keys apart without showing them."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["key_id"]

_SIZE = 8
_LABEL = b"enclave-connectors key id"


def key_id(key: SecretKey) -> str:
    """Return a key's id: 16 hexadecimal digits, which tell nothing else about the key.

    >>> from connectors.secrets import SecretKey
    >>> key_id(SecretKey("00" * 32))
    'd713cee987599dea'
    """
    return hmac.digest(key.reveal(), _LABEL, hashlib.sha256)[:_SIZE].hex()
