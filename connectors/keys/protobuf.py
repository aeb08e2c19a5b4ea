"""Reads and writes protocol buffers, strictly: the little of the wire format that Tink's keysets use.

A field is a varint of 32 bits (`int`), bytes, or a message (bytes). Unlike other readers, this one refuses unknown
fields, fields that come twice, and numbers in more bytes than they need: a keyset that says something else than what is
read here must not be used.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Malformed", "Value", "message", "parsed"]

_VARINT, _BYTES = 0, 2
_MOST = 1 << 32
"""Varints are below this: all of a keyset's are uint32 or enums."""

Value = int | bytes
"""A field's value."""


class Malformed(Exception):
    """Bytes are not the message that they should be; the text says why, without any of the bytes."""


def parsed(
    data: bytes, known: Mapping[int, type[Value]], repeated: int | None = None
) -> tuple[dict[int, Value], list[bytes]]:
    """Return the fields of a message by their numbers, and the values of its repeated one.

    Args:
        data: the message.
        known: the type of each field; those that are missing have their default, 0 or no bytes.
        repeated: the number of the field, of bytes, that may come more than once; None: there is none.

    Raises:
        Malformed: it is another message, or cut off.
    """
    found: dict[int, Value] = {}
    many: list[bytes] = []
    for number, value in _fields(data):
        if number == repeated and isinstance(value, bytes):
            many.append(value)
        elif number not in known or not isinstance(value, known[number]):
            reason = f"it has a field {number} that is not known here"
            raise Malformed(reason)
        elif number in found:
            reason = f"the field {number} comes twice"
            raise Malformed(reason)
        else:
            found[number] = value
    return {number: found.get(number, kind()) for number, kind in known.items()}, many


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _BYTES and value <= len(data) - at:
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            reason = "it is cut off, or no keyset"
            raise Malformed(reason)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place after it."""
    value = 0
    for size, byte in enumerate(data[at : at + 5]):
        value |= (byte & 0x7F) << 7 * size
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            if value >= _MOST or (size and not byte):
                break
            return value, at + size + 1
    reason = "it is cut off, or no keyset"
    raise Malformed(reason)


def message(fields: Iterable[tuple[int, Value]]) -> bytes:
    """Return a message with fields, in their order; those with default values are left out."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += _written(number << 3 | _VARINT) + _written(value) if value else b""
        elif value:
            out += _written(number << 3 | _BYTES) + _written(len(value)) + value
    return bytes(out)


def _written(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:  # noqa: PLR2004 - the bit that says that more follow
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
