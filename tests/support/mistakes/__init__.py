"""Likely mistakes of people who type locations, credentials, keys and commands, and what each of them is told.

One module for each kind of field; each has a table of `Mistake`, made by the functions below. `tests/project/test_mistakes.py`
makes the mistakes and compares, to the letter; docs/mistakes.md shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["ABSENT", "FILE", "KEY", "OTHER_KEY", "PLACE", "Mistake", "command", "file", "location", "member", "text"]

KEY = "5EC2E70123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0000000000"
OTHER_KEY = "AA" * 32
ABSENT = object()
"""The value of a member that was left out."""

Document = dict[str, Any]
FILE: Document = {"encryption": {"key": KEY}}
PLACE = "file:///data/conditions"
"""A document and a location that are right."""


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        typed: what was typed, as the page shows it.
        message: what is said, to the letter; None where it is taken.
        location: the dataset's location.
        document: the credentials document, as bytes.
        words: instead of both, the words of a command line.
        files: files that the command finds, by name.
        secret: whether what was typed must not be repeated in the message, and in which parts it is looked for there.
    """

    typed: str
    message: str | None
    location: str = ""
    document: bytes = b""
    words: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()
    secrets: tuple[str, ...] = ()


def _shortened(value: Any) -> Any:
    """Return a value with its long texts cut in the middle, as people recognise them."""
    if isinstance(value, dict):
        return {_shortened(name): _shortened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    if isinstance(value, str) and "-----BEGIN" in value:
        return f"{value[: value.index('KEY-----') + 10]}…"
    if isinstance(value, str) and len(value) > 40 and " " not in value[20:-20]:
        # Some keys end in another way each time, and the page is to stay as it is.
        return f"{value[:4]}…" if value.startswith(("MII", "b3Bl")) else f"{value[:20]}…{value[-6:]}"
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value


def member(base: Document, place: str, changes: Document, message: str | None, *, secret: bool = False) -> Mistake:
    """A member of a document that is otherwise right.

    Args:
        base: the right document.
        place: the location it goes with.
        changes: members that are put in the place of those, or left out where they are `ABSENT`.
        message: what is said.
        secret: what was typed may be secret, so no text of it may be repeated.
    """
    whole = {name: value for name, value in {**base, **changes}.items() if value is not ABSENT}
    given = {name: value for name, value in changes.items() if value is not ABSENT}
    left = [f"no {name}" for name, value in changes.items() if value is ABSENT]
    shown = json.dumps(_shortened(given), ensure_ascii=False)[1:-1] if given else ""
    typed = ", ".join([*([shown] if shown else []), *left])
    secrets = tuple(one for one in _texts(given) if len(one) > 7 and one != "service_account") if secret else ()
    return Mistake(typed, message, place, json.dumps(whole).encode(), secrets=secrets)


def location(base: Document, place: str, message: str | None, *, secrets: tuple[str, ...] = ()) -> Mistake:
    """A location that goes with a document which is right."""
    return Mistake(place, message, place, json.dumps(base).encode(), secrets=secrets)


def text(place: str, document: str | bytes, message: str | None, typed: str = "") -> Mistake:
    """The text of a document; `typed` tells of it where it cannot be shown."""
    data = document.encode() if isinstance(document, str) else document
    shown = typed or str(document).replace(KEY, f"{KEY[:6]}…").replace("\n", "↵")
    return Mistake(shown, message, place, data, secrets=(KEY,))


def file(name: str, data: bytes, message: str | None, typed: str) -> Mistake:
    """What is in a file that should hold a key."""
    words = ("encrypt", "-K", name, "plain", "sealed")
    return Mistake(typed, message, words=words, files=((name, data),), secrets=(KEY, KEY[:-1], KEY.lower()))


def command(words: str, message: str | None, *files: tuple[str, bytes], secrets: tuple[str, ...] = ()) -> Mistake:
    """Words after ``connectors``, with white space between them."""
    shown = " ".join(_shortened(word) for word in words.split(" "))
    return Mistake(f"connectors {shown}", message, words=tuple(words.split(" ")), files=files, secrets=secrets)
