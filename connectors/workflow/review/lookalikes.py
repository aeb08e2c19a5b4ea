"""Find names that look alike, though they are different: letters of other alphabets, "rn" and "m".

Two texts look alike if they have the same skeleton (UTS #39, section 4), which `confusables.txt` defines.

Source: https://www.unicode.org/reports/tr39/
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from connectors.names import quoted, without_invisible

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["lookalikes", "skeleton", "told_apart"]


def skeleton(text: str) -> str:
    r"""Return what `text` looks like, with single spaces; not for display.

    >>> skeleton("p\u0430ypal")
    'paypal'
    """
    seen = without_invisible(unicodedata.normalize("NFD", text))
    return " ".join(unicodedata.normalize("NFD", seen.translate(_prototypes())).split())


def lookalikes(names: Iterable[str]) -> list[list[str]]:
    r"""Return the groups of different names that look alike, sorted.

    >>> lookalikes(["beds", "cases", "\u0441ases", "beds"]) == [["cases", "\u0441ases"]]
    True
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(skeleton(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def told_apart(group: Iterable[str]) -> str:
    r"""Say that names look alike, each with the code points of what is not ASCII.

    >>> told_apart(["cases", "\u0441ases"]).encode("ascii", "replace")
    b"'cases' and '?ases' ('\\u0441ases') look alike, but are different"
    """
    *most, last = [quoted(name) if name.isascii() else f"{quoted(name)} ({name!a})" for name in group]
    return f"{', '.join(most)} and {last} look alike, but are different"


@cache
def _prototypes() -> dict[int, str]:
    table: dict[int, str] = {}
    for line in resources.files(__package__).joinpath("confusables.txt").read_text("utf-8").splitlines():
        prototype, mark, sources = line.partition(";")
        if mark and not line.startswith("#"):
            target = _letters(prototype)
            table.update((int(source, 16), target) for source in sources.split())
    return table


def _letters(codes: str) -> str:
    return "".join(chr(int(code, 16)) for code in codes.split())
