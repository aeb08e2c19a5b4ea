"""Names and other text from strangers: what can name a folder, and how text is shown so that it deceives nobody."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "is_name",
    "is_safe_name",
    "other_forms",
    "printable",
    "quoted",
    "shows",
    "spaced",
    "steering",
    "twin_of",
    "without_invisible",
]

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,255}")
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point (Unicode 17, DerivedCoreProperties.txt): most of them show nothing."""
_JOINERS = "\u200c\u200d"
_LIKE_QUOTES = {
    "'": (
        "\u00b4\u02b9\u02bb\u02bc\u02bd\u02be\u02c8\u02ca\u02cb\u02f4\u0374\u0384\u055a\u055d"
        "\u05f3\u07f4\u07f5\u1fbd\u1fbf\u1fef\u1ffd\u1ffe\u2018\u2019\u201b\u2032\u2035\ua78c\uff07"
        "\uff40"
    ),
    '"': ("\u02ba\u02dd\u02ee\u02f6\u05f4\u1cd3\u201c\u201d\u201f\u2033\u2036\u3003\uff02"),
}
"""What could be read as the end of a text in these quotes: what UTS #39 maps to them, but for letters."""
_RUN = re.compile("(?<= ) ")
_NEAR = 16
"""Letters on either side of a joiner that decide about it."""


def is_name(name: str) -> bool:
    """Tell whether `name` can name a port or an object: a single, visible path component.

    >>> [is_name(name) for name in ("conditions", "Klinik Süd", "..", "a/b", ".hidden", "")]
    [True, True, False, False, False, False]
    """
    return _NAME.fullmatch(name) is not None and not name.startswith(".") and name.strip() == name


def is_safe_name(name: str) -> bool:
    r"""Tell whether `name` can name a port, an object or a file, and shows what it is.

    >>> [is_safe_name(name) for name in ("conditions", "a/b", "gpj\u202eexe.jpg")]
    [True, False, False]
    """
    return is_name(name) and not steering(name)


def steering(text: str) -> str:
    r"""Return the first letter of `text` that a terminal or a page obeys, or "": controls, line breaks, directions.

    >>> [steering(text) for text in ("Klinik Süd", "ends here\n", "\x9b2J", "invoice\u202egpj.exe")]
    ['', '\n', '\x9b', '\u202e']
    """
    found = _STEERING.search(text)
    return found[0] if found else ""


def printable(text: str) -> str:
    r"""Return `text` with whatever a terminal would obey, or not show, written as Python writes it.

    The joiners that Persian, Urdu and Indic words need stay, where such words have them.

    >>> printable("\x1b[2J, a\u200bb")
    '\\x1b[2J, a\\u200bb'
    >>> printable("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645").isascii()
    False
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if shows(text, place) else ascii(letter)[1:-1] for place, letter in enumerate(text))


def quoted(text: str) -> str:
    r"""Return `text` in quotes, as `repr` does.

    More is escaped: see `printable` and `spaced`, what looks like the quotes, and a mark that would alter the first.

    >>> print(quoted("it's"), quoted("a\u200bb"), quoted("\u0301a"))
    "it's" 'a\u200bb' '\u0301a'
    """
    single, double = (any(one in text for one in (mark, *others)) for mark, others in _LIKE_QUOTES.items())
    mark = '"' if single and not double else "'"
    body = printable(text.replace("\\", "\\\\").replace(mark, f"\\{mark}"))
    body = "".join(ascii(letter)[1:-1] if letter in _LIKE_QUOTES[mark] else letter for letter in body)
    if body and unicodedata.category(body[0]).startswith("M"):
        body = ascii(body[0])[1:-1] + body[1:]
    return f"{mark}{spaced(body)}{mark}"


def spaced(text: str) -> str:
    r"""Return `text` with spaces after a space escaped: they could push what follows into a line or column of its own.

    >>> spaced("a  b")
    'a \\x20b'
    """
    return _RUN.sub(r"\\x20", text)


def without_invisible(text: str) -> str:
    r"""Return `text` without the code points that show nothing.

    >>> without_invisible("ca\u200bses")
    'cases'
    """
    return _INVISIBLE.sub("", text)


def shows(text: str, place: int) -> bool:
    """Tell whether the letter at `place` shows what it is; see `printable`."""
    letter = text[place]
    if letter in _JOINERS:
        return _joins(text, place)
    return letter.isprintable() and not _INVISIBLE.match(letter)


def _joins(text: str, place: int) -> bool:
    """Tell whether the joiner at `place` is needed there (RFC 5892, appendices A.1 and A.2; UAX #31, 2.3.1)."""
    import idna  # noqa: PLC0415 - few texts have joiners

    start = max(0, place - _NEAR)
    try:
        return idna.valid_contextj(text[start : place + _NEAR], place - start)
    except ValueError:  # a letter beside it has no name
        return False


def twin_of(name: str, names: Iterable[str]) -> str:
    """Return the end of a message about a missing name: which of `names` is the same text in another Unicode form.

    macOS writes "ö" as two characters where Linux has one. Returns an empty string if there is no such name.
    """
    composed = unicodedata.normalize("NFC", name)
    twin = next((one for one in names if one != name and unicodedata.normalize("NFC", one) == composed), None)
    if twin is None:
        return ""
    return f"; {twin!a} is there, which looks the same as {name!a} but has another Unicode form (NFC or NFD)"


def other_forms(names: Iterable[str]) -> set[str]:
    r"""Return the names to show with escapes, so that names which are the same text in two Unicode forms differ.

    They are those that are not in the form NFC and have such a twin.

    >>> sorted(map(ascii, other_forms(["Gr\u00f6\u00dfe", "Gro\u0308\u00dfe", "Mu\u0308ll"])))
    ["'Gro\\u0308\\xdfe'"]
    """
    by_text: dict[str, set[str]] = {}
    for name in names:
        by_text.setdefault(unicodedata.normalize("NFC", name), set()).add(name)
    return {name for text, alike in by_text.items() if len(alike) > 1 for name in alike if name != text}
