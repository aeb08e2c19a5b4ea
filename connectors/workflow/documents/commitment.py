"""Commitments to credentials: parties approve the credentials of a dataset without seeing them.

A digest alone would let anybody test a guess at the credentials. So a random salt is hashed with them and kept with
them; opening the commitment reveals both.
"""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes, parse_canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SALT_SIZE", "OpenedCredentials", "commit", "matches"]

SALT_SIZE = 32
_SALT = re.compile(rf"[0-9a-f]{{{2 * SALT_SIZE}}}")
_LABEL = b"enclave-connectors credentials commitment 1\0"
_SCHEMA = "enclave-connectors workflow credentials 1"


def commit(credentials: Mapping[str, Any], salt: bytes) -> str:
    """Return a commitment to a credentials document, in 64 hexadecimal digits.

    Args:
        credentials: the document.
        salt: 32 random bytes, kept with the document.
    """
    if len(salt) != SALT_SIZE:
        message = f"the salt must have {SALT_SIZE} bytes"
        raise ValueError(message)
    return sha256(_LABEL + salt + canonical_bytes(credentials)).hexdigest()


@dataclass(frozen=True, slots=True)
class OpenedCredentials:
    """Credentials and their salt, which together open a commitment. Both are secret.

    Attributes:
        credentials: the document.
        salt: 32 bytes.
    """

    credentials: dict[str, Any] = field(repr=False)
    salt: bytes = field(repr=False, default_factory=lambda: os.urandom(SALT_SIZE))

    @property
    def digest(self) -> str:
        """The commitment."""
        return commit(self.credentials, self.salt)

    def to_bytes(self) -> bytes:
        """Return the contents of a file that the owner keeps private."""
        return canonical_bytes({"schema": _SCHEMA, "salt": self.salt.hex(), "credentials": self.credentials})

    @classmethod
    def from_bytes(cls, data: bytes) -> OpenedCredentials:
        """Parse such a file.

        Raises:
            InvalidDocument: the file holds something else.
        """
        members = parse_canonical(data)
        salt, credentials = members.get("salt"), members.get("credentials")
        good = set(members) == {"schema", "salt", "credentials"} and members["schema"] == _SCHEMA
        if not good or not isinstance(salt, str) or not isinstance(credentials, dict):
            message = "these are not credentials with their salt, as `connectors workflow dataset` keeps them"
            raise InvalidDocument(message)
        if not _SALT.fullmatch(salt):  # `bytes.fromhex` would take capitals and white space, too
            message = f"the salt of these credentials is not {2 * SALT_SIZE} hexadecimal digits in lower case"
            raise InvalidDocument(message)
        return cls(credentials, bytes.fromhex(salt))

    def __reduce__(self) -> NoReturn:
        message = "opened credentials are secret and cannot be pickled"
        raise TypeError(message)


def matches(opened: OpenedCredentials, commitment: str) -> bool:
    """Tell whether a commitment is to these credentials."""
    return hmac.compare_digest(opened.digest, commitment)
