"""The key source: asks the Confidential Data Hub for a resource, which is the key."""

from __future__ import annotations

import string
from typing import ClassVar

from connectors.errors import InvalidKey
from connectors.keys import KeySource
from connectors.secrets import KEY_SIZE, Hidden, SecretKey
from connectors_cdh.reference import ResourceReference

__all__ = ["ConfidentialDataHub"]

_TEXT = frozenset(string.printable.encode())
"""What may be in a text: 32 random bytes are one once in ten trillion keys."""


class ConfidentialDataHub(KeySource):
    """A key that is given to an attested guest: ``{"source": "cdh", "resource": "clinic/key/conditions"}``."""

    name: ClassVar[str] = "cdh"
    summary: ClassVar[str] = "Confidential Data Hub"
    Reference = ResourceReference

    def unwrap(self, reference: ResourceReference, root: str | None) -> SecretKey:
        """Return the key: 32 bytes, or 64 hexadecimal digits; raises as the contract says."""
        del root
        from connectors_cdh.server import DataHub  # noqa: PLC0415 - it loads the HTTP engine

        return _key_in(DataHub().resource(reference), reference.shown)

    def holder(self, reference: ResourceReference) -> str:
        """Return the name of the resource."""
        return f"the resource {reference.shown} of the Confidential Data Hub"


def _key_in(data: Hidden, shown: str) -> SecretKey:
    """Return the key in a resource; white space may surround its digits.

    32 characters of text are no key, but the digits of a shorter one, or a password.
    """
    if len(data.reveal()) == KEY_SIZE and not _TEXT.issuperset(data.reveal()):
        return SecretKey(data)
    try:
        return SecretKey(Hidden(data.reveal().decode("ascii")))
    except (UnicodeDecodeError, InvalidKey):
        size = len(data.reveal())
    message = (
        f"the resource {shown} is not a key, which is 32 random bytes, not text, or 64 hexadecimal digits; it has "
        f"{size} bytes: put the key itself into the key broker, as connectors keygen makes it"
    )
    raise InvalidKey(message)
