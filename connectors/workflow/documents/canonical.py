"""One form of bytes for each document, and the digest that is its name: RFC 8785 and SHA-256.

Whoever signs a document signs its bytes, and whoever refers to one does so by their digest. So there is one way only to
write a document down, and bytes that are written another way are refused when they are read, although they would mean
the same: nobody can have two names for one document, or two documents that look alike.

Source: https://www.rfc-editor.org/rfc/rfc8785
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import rfc8785

from connectors.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_SIZE", "canonical_bytes", "digest_of", "parse_canonical"]

MAX_SIZE = 64 << 20
"""Bytes that a document may have."""


def canonical_bytes(value: Mapping[str, Any]) -> bytes:
    r"""Return the one form of a JSON object.

    Raises:
        InvalidDocument: it holds what JSON cannot, or a number that not every reader reads alike; or it is nested too
            deeply.

    >>> canonical_bytes({"b": "é", "a": [1, True, None]})
    b'{"a":[1,true,null],"b":"\xc3\xa9"}'
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        message = "a document holds a number beyond 2^53, or half of a character, which have no canonical form"
    except RecursionError:
        message = "a document is nested too deeply"
    raise InvalidDocument(message)


def digest_of(data: bytes) -> str:
    """Return the name of a document: the SHA-256 of its bytes, in 64 hexadecimal digits."""
    return sha256(data).hexdigest()


def parse_canonical(data: bytes) -> dict[str, Any]:
    """Return the JSON object that `data` is the canonical form of.

    Raises:
        InvalidDocument: it is no JSON object, or not its canonical form.
    """
    if len(data) > MAX_SIZE:
        message = f"a document has at most {MAX_SIZE} bytes, and this one {len(data)}"
        raise InvalidDocument(message)
    parsed: Any = None
    try:
        parsed = json.loads(data, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        message = "a document is a JSON object in UTF-8, without fractions"
        raise InvalidDocument(message)
    if canonical_bytes(parsed) != data:
        message = (
            "the document is not in its canonical form (RFC 8785: members sorted, no white space, each member once), "
            "so its digest would not be its name"
        )
        raise InvalidDocument(message)
    return parsed


def _refuse(_: str) -> Any:
    raise ValueError
