"""A search for marked secrets in any output, in every spelling that would reveal them.

A mark is the value of a secret, or the secret part of it. It is found as it is, in hexadecimal, in hex dumps, in base64
(also in the middle of the encoded text), percent-encoded, as JSON and Python write it, and as numbers; and so is any
part of it of twelve characters.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["PART", "Canaries", "spellings"]

PART = 12
"""How many characters of a mark reveal it. For spellings with several characters a byte, those of eight bytes."""

Mark = str | bytes


def spellings(mark: Mark) -> Iterator[tuple[str, bytes, int]]:
    """Yield every spelling of a mark: its name, its bytes, and how many consecutive ones reveal it."""
    raw = mark.encode() if isinstance(mark, str) else mark
    text = mark if isinstance(mark, str) else mark.decode("latin-1")
    many = isinstance(mark, bytes)  # which then take several characters each
    yield "as it is", raw, PART
    yield "in hexadecimal", raw.hex().encode(), PART
    yield "in hexadecimal", raw.hex().upper().encode(), PART
    yield "in a hex dump", raw.hex(" ").encode(), 23
    yield "in a hex dump", raw.hex(" ").upper().encode(), 23
    for shift in range(3):
        yield "in base64", _base64(raw, shift), PART
        yield "in base64", _base64(raw, shift).translate(bytes.maketrans(b"+/", b"-_")), PART
    for safe in ("", "/"):
        escaped = quote(raw, safe=safe)
        yield "percent-encoded", escaped.encode(), 24 if many else PART
        yield "percent-encoded", re.sub("%..", lambda one: one[0].lower(), escaped).encode(), 24 if many else PART
        yield "percent-encoded", quote(escaped, safe=safe).encode(), 40 if many else PART
    for ascii_only in (True, False):
        yield "in JSON", json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode(), 48 if many else PART
    yield "as Python writes it", repr(raw)[2:-1].encode(), 32 if many else PART
    yield "as Python writes it", repr(text)[1:-1].encode(), 32 if many else PART
    yield "as numbers", ", ".join(map(str, raw)).encode(), 36
    yield "as a number", str(int.from_bytes(raw, "big")).encode(), PART


def _base64(raw: bytes, shift: int) -> bytes:
    """Return the base64 of `raw` after `shift` other bytes: only the characters that do not depend on those."""
    encoded = base64.b64encode(bytes(shift) + raw)
    return encoded[(0, 2, 3)[shift] :][: (len(raw) * 8 - (0, 4, 2)[shift]) // 6]


class Canaries:
    """Finds marks in texts.

    Args:
        marks: the marks, by names such as "key".
    """

    def __init__(self, marks: Mapping[str, Mark]) -> None:
        self._shorts: set[bytes] = set()
        self._windows: list[tuple[bytes, str]] = []
        self._clean: set[int] = set()
        for name, mark in marks.items():
            assert len(mark) >= PART, f"the mark {name} is too short; it may occur by chance"
            for spelling, written, width in spellings(mark):
                for start in range(max(1, len(written) - width + 1)):
                    window = written[start : start + width]
                    self._windows.append((window, f"{name}, {spelling}"))
                    self._shorts.add(window[:PART])

    def found_in(self, text: str | bytes) -> set[str]:
        """Return which marks a text contains, and in which spelling."""
        data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else bytes(text)
        key = hash(data)
        if key in self._clean:
            return set()
        parts = self._shorts.intersection(data[start : start + PART] for start in range(len(data) - PART + 1))
        found = {name for window, name in self._windows if window[:PART] in parts and window in data}
        if not found:
            self._clean.add(key)
        return found

    def check(self, what: str, texts: Iterable[str | bytes]) -> None:
        """Fail if one of the texts contains a mark.

        Args:
            what: a description of the texts, for the failure.
            texts: the texts; the failure shows only the part around the mark, so that it is readable.
        """
        for text in texts:
            found = self.found_in(text)
            if found:
                raise AssertionError(f"{what} contain the {'; the '.join(sorted(found))}: {self._where(text)}")

    def _where(self, text: str | bytes) -> str:
        data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else bytes(text)
        starts = (data.find(window) for window, _ in self._windows)
        start = min((start for start in starts if start >= 0), default=0)
        return repr(data[max(0, start - 300) : start + 120])
