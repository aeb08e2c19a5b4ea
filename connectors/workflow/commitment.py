"""Commitments to credentials: approvers bind a version of them without seeing it.

Whoever approves a dataset's use approves the digest that its document holds. It says nothing about the credentials,
since a salt of 32 random bytes is hashed with them, and only one document with one salt has it. What releases the
credentials later is given both, and can see that they are those which were approved.
"""

from __future__ import annotations

import hmac
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigError
from connectors.workflow.canonical import canonical_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SALT_SIZE", "commit", "matches", "new_salt"]

SALT_SIZE = 32
"""Bytes in a salt."""
_DOMAIN = b"enclave-connectors credentials commitment 1\0"


def new_salt() -> bytes:
    """Return a new random salt, for one commitment."""
    return os.urandom(SALT_SIZE)


def commit(document: Mapping[str, Any], salt: bytes) -> str:
    """Return the commitment to a credentials document, in 64 hexadecimal digits.

    Args:
        document: the document, as JSON has it.
        salt: from `new_salt`, and kept with the document.

    Raises:
        ConfigError: the salt has not 32 bytes.
        InvalidDocument: the document has no canonical form.

    >>> commit({"encryption": None}, bytes(32))
    '6e060cfe59280bb67e9dc18a797c060edb6831e1d905983b803aa09e3470148f'
    """
    if len(salt) != SALT_SIZE:
        message = f"a salt has {SALT_SIZE} bytes"
        raise ConfigError(message)
    return sha256(_DOMAIN + salt + canonical_bytes(document)).hexdigest()


def matches(document: Mapping[str, Any], salt: bytes, commitment: str) -> bool:
    """Tell whether a commitment is to this document with this salt."""
    return hmac.compare_digest(commit(document, salt).encode(), commitment.encode())
