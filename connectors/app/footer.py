"""Reads the columns and the names of their keys from the footer of a Parquet file.

pyarrow ends the process if it is asked about a column whose key is missing: in pyarrow 26, a C++ exception passes a
function that must not raise. So the footer is parsed here: Thrift's compact protocol, up to the first row group,
strictly and with limits.

Sources: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md and
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import json
import os
from typing import IO, TYPE_CHECKING, Any

from connectors.errors import IntegrityError, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["columns_of"]

_MAGIC, _ENCRYPTED_FOOTER = b"PAR1", b"PARE"
_END = 8
"""Bytes after the footer: its length and the magic."""
_MOST_BYTES = 1 << 24
"""Bytes of the largest footer: a stranger's takes a hundred times as much memory as it is read."""
_MOST_LEVELS = 100
"""Groups in groups of a schema."""
_MOST_DEPTH = 24
_STOP, _TRUE, _FALSE, _STRUCT = 0, 1, 2, 12
_INTEGERS = {4, 5, 6}
_SCHEMA, _ROW_GROUPS = 2, 4


class _Broken(Exception):
    """The bytes are no footer."""


def columns_of(file: IO[bytes]) -> list[tuple[str, str | None]]:
    """Return the leaf columns of a Parquet file: their paths with dots, and the ids of their keys or None.

    Args:
        file: the plain bytes, seekable.

    Raises:
        NotSupported: it is no Parquet file, or one whose footer is encrypted.
        IntegrityError: its footer is broken.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END))
    end = file.read(_END)
    problem = None
    if end[4:] == _ENCRYPTED_FOOTER:
        problem = "the footer of this Parquet file is encrypted, which another program did; only plain footers are read"
    elif len(end) < _END or end[4:] != _MAGIC:
        problem = "this is no Parquet file"
    if problem is not None:
        raise NotSupported(problem)
    length = int.from_bytes(end[:4], "little")
    if length <= min(size - _END, _MOST_BYTES):
        file.seek(size - _END - length)
        try:
            return _columns(_Reader(file.read(length)))
        except (_Broken, ValueError, RecursionError, MemoryError):
            pass
    message = "the footer of this Parquet file is broken: its writer failed, or is not known here"
    raise IntegrityError(message)


def _columns(reader: _Reader) -> list[tuple[str, str | None]]:
    """Return the columns of the first row group; of a file without one, those of the schema, without keys."""
    schema: list[Any] = []
    for number, kind in reader.fields():
        if number == _SCHEMA:
            found = reader.value(kind)
            schema = found if isinstance(found, list) else []
        elif number == _ROW_GROUPS:
            count, inner = reader.list_header()
            if count and inner == _STRUCT:
                return [_column(one) for one in _of(reader.value(inner), 1, list)]
            break
        else:
            reader.value(kind)
    return [(path, None) for path in _leaves(schema)]


def _column(chunk: Any) -> tuple[str, str | None]:
    under_key = _of(_of(chunk, 8, dict), 2, dict)
    path = _of(under_key, 1, list) or _of(_of(chunk, 3, dict), 3, list)
    name = b".".join(part for part in path if isinstance(part, bytes)).decode()
    if not under_key:
        return name, None
    material = json.loads(_of(under_key, 2, bytes))
    found = material.get("masterKeyID") if isinstance(material, dict) else None
    return name, found if isinstance(found, str) else ""


def _leaves(schema: list[Any]) -> list[str]:
    """Return the paths of the leaves of a schema, which is a tree in prefix order."""
    found: list[str] = []
    above: list[tuple[str, int]] = []
    for element in schema[1:]:
        name = _of(element, 4, bytes).decode()
        path = f"{above[-1][0]}.{name}" if above else name
        children = _of(element, 5, int)
        if above:
            above[-1] = (above[-1][0], above[-1][1] - 1)
        if children < 0 or len(above) >= _MOST_LEVELS:
            raise _Broken
        if children:
            above.append((path, children))
        else:
            found.append(path)
        while above and above[-1][1] == 0:
            above.pop()
    return found


def _of(struct: Any, number: int, kind: type[Any]) -> Any:
    """Return a field of a struct, or the empty value of its type."""
    value = struct.get(number) if isinstance(struct, dict) else None
    return value if isinstance(value, kind) else kind()


class _Reader:
    """Reads values of the compact protocol: a struct is a dict of its fields by number, a binary is bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._depth = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield the number and the type of each field of a struct; read its value before the next."""
        number = 0
        while (header := self._byte()) != _STOP:
            delta = header >> 4
            number = number + delta if delta else self._zigzag()
            yield number, header & 15

    def list_header(self) -> tuple[int, int]:
        """Return the number of elements of a list, and their type."""
        header = self._byte()
        count = header >> 4
        if count == 15:  # noqa: PLR2004 - more than fit into four bits
            count = self._varint()
        if count > len(self._data) - self._at:  # each takes a byte at least
            raise _Broken
        return count, header & 15

    def value(self, kind: int, *, element: bool = False) -> Any:
        """Return a value; a boolean is a byte in a list, and a type of its own in a field."""
        if kind in {_TRUE, _FALSE}:
            return self._byte() == _TRUE if element else kind == _TRUE
        if kind in _INTEGERS:
            return self._zigzag()
        match kind:
            case 3:  # a byte
                return self._byte()
            case 7:  # a double
                return self._bytes(8)
            case 8:  # a binary
                return self._bytes(self._varint())
            case 9 | 10 | 12:  # a list, a set, a struct
                return self._nested(kind)
            case _:  # a map: no footer has one
                raise _Broken

    def _nested(self, kind: int) -> Any:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise _Broken
        found: Any
        if kind == _STRUCT:
            found = {number: self.value(inner) for number, inner in self.fields()}
        else:
            count, inner = self.list_header()
            found = [self.value(inner, element=True) for _ in range(count)]
        self._depth -= 1
        return found

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise _Broken
        self._at += count
        return self._data[self._at - count : self._at]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
                return value
        raise _Broken

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
