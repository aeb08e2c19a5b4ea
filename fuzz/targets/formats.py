"""Sealed objects of every format: changed by an edit script; bytes that are not an object; a storage that lies.

Two bytes choose the format and the object, one the kind of attack; the rest is the script, or the object itself.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from connectors.errors import IntegrityError
from fuzz.checks import ACCEPTED, attempt, hold
from fuzz.mutations import CHANGES, KEY, Subject, change, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SUBJECTS", "check", "seeds"]

SUBJECTS = (
    Subject("cobblestone-256", "cobblestone-256", "cobblestone-256"),
    Subject("cobblestone-256 with a context, by auto", "cobblestone-256", "auto", (("context", b"ward"),)),
    Subject("cobblestone-256 by auto", "cobblestone-256", "auto"),
    Subject("gcm", "gcm", "gcm"),
    Subject("gcm by auto", "gcm", "auto"),
    Subject("tink-gcm-hkdf", "tink-gcm-hkdf", "tink-gcm-hkdf", (("segment_size", 57),)),
    Subject(
        "tink-gcm-hkdf with a context", "tink-gcm-hkdf", "tink-gcm-hkdf", (("segment_size", 100), ("context", b"a"))
    ),
)
SIZES = (0, 1, 16, 41, 100, 300, 16384, 33000)


@functools.cache
def _objects(number: int, size: int) -> tuple[bytes, bytes, list[bytes]]:
    """Return plain bytes, their sealed object, and another version and another object with the same key."""
    plain = bytes(index * 7 % 251 for index in range(size))
    subject = SUBJECTS[number]
    return plain, subject.seal(plain), [subject.seal(plain), subject.seal(plain[::-1] + b"!")]


class _Lying:
    """A source that reports a wrong size, and may return fewer or more bytes than requested."""

    def __init__(self, data: bytes, size: int, more: int) -> None:
        self._data = data
        self._more = more
        self.size = size

    def read_range(self, start: int, stop: int) -> bytes:
        """Return approximately the requested bytes."""
        return self._data[start : max(start, stop + self._more)]

    def close(self) -> None:
        """Do nothing."""


def check(data: bytes) -> str:
    """Open an object, and compare it with the plain bytes."""
    number, size, how = (
        byte % count for byte, count in zip(data[:3] + bytes(3), (len(SUBJECTS), len(SIZES), 4), strict=False)
    )
    subject = SUBJECTS[number]
    plain, sealed, others = _objects(number, SIZES[size])
    script = iter(data[3:])

    def below(count: int) -> int:
        value = next(script, 0)
        if count > 256:
            value = value << 8 | next(script, 0)
        return value % count

    if how == 0:  # bytes that are not an object
        return _refused(subject, data[3:], b"", below)
    if how == 1:  # a storage that lies about the size of an object, or of arbitrary bytes
        claimed = int.from_bytes(data[3:11].ljust(8, b"\0")) >> below(64)
        source = _Lying([sealed, data[12:]][below(2)], claimed, below(3) - 1)
        return attempt(lambda: hold(subject.open(source).read() == plain, "bytes that were never sealed"))
    changed = sealed
    for _ in range(how - 1):
        kind = [*CHANGES][below(len(CHANGES))]
        changed = change(kind, subject, changed, others, below) if changed == sealed else changed
    if changed in (sealed, *others):
        return ACCEPTED
    return _refused(subject, changed, plain, below)


def _refused(subject: Subject, sealed: bytes, plain: bytes, below: Callable[[int], int]) -> str:
    error = refuse(subject, sealed, plain, below)
    hold(isinstance(error, IntegrityError) and KEY.hex() not in str(error), "another error")
    return type(error).__name__


def seeds() -> dict[str, bytes]:
    """Return the initial inputs."""
    script = bytes((index * 37 + 11) % 256 for index in range(64))
    found = {}
    for number, subject in enumerate(SUBJECTS):
        label = subject.name.replace(" ", "-").replace(",", "")
        found[f"{label}-bytes"] = bytes([number, 0, 0]) + script + script
        found[f"{label}-lie"] = bytes([number, 3, 1]) + (1000).to_bytes(8) + script
        for kind in range(len(CHANGES)):
            found[f"{label}-{kind}"] = bytes([number, kind % len(SIZES), 2, kind]) + script
    return found
