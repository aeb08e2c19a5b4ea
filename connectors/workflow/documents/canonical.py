"""The canonical form of documents (RFC 8785), and the SHA-256 digest that names each.

Documents are signed as bytes and referred to by digest. So each document has exactly one form, and other forms are
refused on reading, even if they mean the same: no document can have two names, and no two documents look alike.

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

__all__ = ["MAX_SIZE", "canonical_bytes", "check_names", "digest_of", "parse_canonical"]

MAX_SIZE = 64 << 20
"""Maximum size of a document, in bytes."""
_NAMES_BASE, _NAMES = 1 << 20, 32
"""What the names above all values may have in characters: at least, and for each byte of the document."""


def canonical_bytes(value: Mapping[str, Any]) -> bytes:
    r"""Return the canonical form of a JSON object.

    Raises:
        InvalidDocument: it holds a value that JSON cannot represent, or a number beyond 2^53, or is nested too deeply.

    >>> canonical_bytes({"b": "é", "a": [1, True, None]})
    b'{"a":[1,true,null],"b":"\xc3\xa9"}'
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        message = "a document holds a number beyond 2^53 or a lone surrogate, which have no canonical form"
    except RecursionError:
        message = "a document is nested too deeply"
    raise InvalidDocument(message)


def digest_of(data: bytes) -> str:
    """Return the digest that names a document: the SHA-256 of its bytes, in 64 hexadecimal digits."""
    return sha256(data).hexdigest()


def parse_canonical(data: bytes) -> dict[str, Any]:
    """Parse the canonical form of a JSON object.

    Raises:
        InvalidDocument: it is not a JSON object, or not in canonical form, or `check_names` refuses it.
    """
    if len(data) > MAX_SIZE:
        message = f"a document has at most {MAX_SIZE} bytes; this one has {len(data)}"
        raise InvalidDocument(message)
    parsed: Any = None
    try:
        parsed = json.loads(data, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        message = "a document must be a JSON object in UTF-8, without fractions"
        raise InvalidDocument(message)
    if canonical_bytes(parsed) != data:
        message = (
            "the document is not in canonical form (RFC 8785: members sorted, no white space, each member once), "
            "so its digest cannot name it"
        )
        raise InvalidDocument(message)
    check_names(parsed, len(data))
    return parsed


def check_names(members: object, size: int) -> None:
    """Refuse JSON with long names above many values.

    Validation describes each wrong value by all names that lead to it: of a document of 128 KiB, these can be 2 GiB.

    Args:
        members: the parsed JSON.
        size: the size of its text, in bytes.

    Raises:
        InvalidDocument: the names above all values are out of proportion to the size.
    """
    left = _NAMES_BASE + _NAMES * size
    waiting: list[tuple[Any, int]] = [(members, 0)]
    while waiting:
        inside, above = waiting.pop()
        named = inside.items() if isinstance(inside, dict) else (("", one) for one in inside)
        for name, one in named:
            length = above + len(name) + 1
            left -= length
            if isinstance(one, (dict, list)):
                waiting.append((one, length))
        if left < 0:
            message = "a document has too long names above too many values"
            raise InvalidDocument(message)


def _refuse(_: str) -> Any:
    raise ValueError
