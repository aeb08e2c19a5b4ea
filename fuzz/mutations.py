"""Changes sealed objects in every way that a storage can without their key.

All choices are made with ``below(n)``, which returns a number from 0 to n - 1: from a seeded generator in the tests,
from the fuzzer's bytes when fuzzing.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import connectors
from connectors.errors import IntegrityError
from connectors.formats import select
from fuzz.checks import hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.formats import Layout

    Below = Callable[[int], int]

__all__ = ["CHANGES", "KEY", "READS", "Subject", "change", "refuse"]

KEY = bytes(range(32))


@dataclass(frozen=True)
class Subject:
    """A format to seal with, one to open with, and their options.

    Attributes:
        name: its name.
        write: the format that seals.
        read: the format that opens.
        options: context and segment size.
    """

    name: str
    write: str
    read: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def layout(self) -> Layout:
        """The layout of its chunks."""
        layout = select(self.write, KEY, **dict(self.options)).layout
        hold(layout, "the format has no layout")
        assert layout is not None
        return layout

    def seal(self, plain: bytes) -> bytes:
        """Return the sealed bytes of plain ones."""
        sealed = io.BytesIO()
        connectors.encrypt(io.BytesIO(plain), sealed, KEY, format=self.write, **dict(self.options))
        return sealed.getvalue()

    def open(self, source: Any) -> io.BufferedReader:
        """Open sealed bytes, or a source of them."""
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        return connectors.open_reader(file, KEY, format=self.read, **dict(self.options))

    def borders(self, sealed: bytes) -> list[int]:
        """Return the start of each chunk of an object, and the end of the last one."""
        layout = self.layout
        starts = [layout.sealed_start(index) for index in range(layout.chunks(layout.plain_size(len(sealed))))]
        return [*starts, len(sealed) - layout.trailer]


def _position(sealed: bytes, borders: list[int], below: Below) -> int:
    """Return a position: any, or one near the start, a chunk boundary or the end, where formats are most sensitive."""
    near = [0, *borders, len(sealed)]
    at = near[below(len(near))] + below(41) - 20 if below(2) else below(len(sealed) + 1)
    return min(max(at, 0), len(sealed))


def _two(sealed: bytes, borders: list[int], below: Below) -> tuple[int, int]:
    one, other = _position(sealed, borders, below), _position(sealed, borders, below)
    return min(one, other), max(one, other)


def _bytes(size: int, below: Below) -> bytes:
    return bytes(below(256) for _ in range(size))


def _flipped(sealed: bytes, _: list[bytes], borders: list[int], below: Below) -> bytes:
    changed = bytearray(sealed)
    for _number in range(1 + below(3)):
        changed[min(_position(sealed, borders, below), len(sealed) - 1)] ^= 1 << below(8)
    return bytes(changed)


def _cut(sealed: bytes, _: list[bytes], borders: list[int], below: Below) -> bytes:
    at = _position(sealed, borders, below)
    return sealed[at:] if below(8) == 0 else sealed[:at]


def _extended(sealed: bytes, others: list[bytes], borders: list[int], below: Below) -> bytes:
    other = [sealed, *others][below(1 + len(others))]
    start, stop = _two(other, [len(other)], below)
    more = [_bytes(1 + below(33), below), bytes(1 + below(33)), other[start:stop], other[borders[-2] :]][below(4)]
    at = len(sealed) if below(2) else _position(sealed, borders, below)
    return sealed[:at] + more + sealed[at:]


def _dropped(sealed: bytes, _: list[bytes], borders: list[int], below: Below) -> bytes:
    start, stop = _two(sealed, borders, below)
    return sealed[:start] + sealed[stop:]


def _moved(sealed: bytes, _: list[bytes], borders: list[int], below: Below) -> bytes:
    first, second = sorted((_position(sealed, borders, below), _position(sealed, borders, below)))
    third = max(second, _position(sealed, borders, below))
    return sealed[:first] + sealed[second:third] + sealed[first:second] + sealed[third:]


def _spliced(sealed: bytes, others: list[bytes], borders: list[int], below: Below) -> bytes:
    other = others[below(len(others))]
    start, stop = _two(sealed, borders, below)
    return sealed[:start] + other[start:stop] + sealed[stop:]


def _joined(sealed: bytes, others: list[bytes], borders: list[int], below: Below) -> bytes:
    other = others[below(len(others))]
    at = _position(sealed, borders, below)
    return sealed[:at] + other[at:]


def _header(sealed: bytes, others: list[bytes], borders: list[int], below: Below) -> bytes:
    """Change one field of the header, or take it from another object."""
    start, stop = sorted((below(borders[0] + 1), below(borders[0] + 1)))
    other = others[below(len(others))]
    field = [other[start:stop], bytes(stop - start), _bytes(stop - start, below), sealed[start:stop][::-1]][below(4)]
    return sealed[:start] + field + sealed[stop:]


def _chunks(sealed: bytes, others: list[bytes], borders: list[int], below: Below) -> bytes:
    """Drop, double, swap or replace whole chunks."""
    chunks = [sealed[start:stop] for start, stop in pairwise(borders)]
    one, other = below(len(chunks)), below(len(chunks))
    match below(4):
        case 0:
            del chunks[one]
        case 1:
            chunks.insert(other, chunks[one])
        case 2:
            chunks[one], chunks[other] = chunks[other], chunks[one]
        case _:
            chunks[one] = others[below(len(others))][borders[one] : borders[one + 1]]
    return sealed[: borders[0]] + b"".join(chunks) + sealed[borders[-1] :]


def _overwritten(sealed: bytes, _: list[bytes], borders: list[int], below: Below) -> bytes:
    start, stop = _two(sealed, borders, below)
    stop = min(stop, start + 64)
    region = [_bytes(stop - start, below), bytes(stop - start), b"\xff" * (stop - start)][below(3)]
    return sealed[:start] + region + sealed[stop:]


CHANGES: dict[str, Callable[[bytes, list[bytes], list[int], Below], bytes]] = {
    "bits flipped": _flipped,
    "cut": _cut,
    "extended": _extended,
    "a region dropped": _dropped,
    "regions swapped": _moved,
    "spliced with another object or version": _spliced,
    "joined with another object or version": _joined,
    "a field of the header changed": _header,
    "chunks dropped, doubled, swapped, replaced": _chunks,
    "a region overwritten": _overwritten,
}
"""The kinds of change, by name."""


def change(kind: str, subject: Subject, sealed: bytes, others: list[bytes], below: Below) -> bytes:
    """Return a changed sealed object, which may happen to equal the original."""
    return CHANGES[kind](sealed, others, subject.borders(sealed), below)


def _read_whole(subject: Subject, sealed: Any, plain: bytes, _: Below) -> None:
    with subject.open(sealed) as file:
        hold(False, f"{len(file.read())} of {len(plain)} bytes and the end were read")  # noqa: FBT003


def _read_into(subject: Subject, sealed: Any, plain: bytes, below: Below) -> None:
    with subject.open(sealed).detach() as raw:
        buffer, done = bytearray(1 + below(len(plain) + 20)), 0
        while size := raw.readinto(buffer):
            hold(plain[done : done + size] == buffer[:size], "bytes that were never sealed")
            done += size
    hold(False, "the end was reported")  # noqa: FBT003


def _read_end_first(subject: Subject, sealed: Any, plain: bytes, below: Below) -> None:
    with subject.open(sealed) as file:
        hold(file.seek(0, io.SEEK_END) == len(plain), "another size was reported")
        start = file.seek(-below(len(plain) + 1), io.SEEK_END)
        hold(file.read() == plain[start:], "bytes that were never sealed")
    _read_whole(subject, sealed, plain, below)


def _read_ranges(subject: Subject, sealed: Any, plain: bytes, below: Below) -> None:
    with subject.open(sealed) as file:
        for _ in range(1 + below(4)):
            start = file.seek(below(len(plain) + 1))
            size = below(40)
            hold(file.read(size) == plain[start : start + size], "bytes that were never sealed")
    _read_whole(subject, sealed, plain, below)


def _copy(subject: Subject, sealed: Any, plain: bytes, _: Below) -> None:
    out = io.BytesIO()
    try:
        connectors.decrypt(
            sealed if not isinstance(sealed, bytes) else io.BytesIO(sealed),
            out,
            KEY,
            format=subject.read,
            **dict(subject.options),
        )
    except IntegrityError:
        hold(plain.startswith(out.getvalue()), "bytes that were never sealed")
        raise
    hold(False, "a whole copy was made")  # noqa: FBT003


READS = (_read_whole, _read_into, _read_end_first, _read_ranges, _copy)
"""The ways to read."""


def refuse(subject: Subject, sealed: Any, plain: bytes, below: Below) -> IntegrityError:
    """Read a changed object in one of the ways, and return the error that it must raise.

    Raises:
        Broken: a byte was released that differs from the plain byte at its position, or the end was reported.
    """
    try:
        READS[below(len(READS))](subject, sealed, plain, below)
    except IntegrityError as error:
        return error
    raise AssertionError
