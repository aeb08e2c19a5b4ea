"""Names that people choose and that become folders: of ports and of objects."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_name", "look_alikes", "twin_of"]

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,255}")


def is_name(name: str) -> bool:
    """Tell whether `name` can name a port or an object: a single, visible path component.

    >>> [is_name(name) for name in ("conditions", "Klinik Süd", "..", "a/b", ".hidden", "")]
    [True, True, False, False, False, False]
    """
    return _NAME.fullmatch(name) is not None and not name.startswith(".") and name.strip() == name


def twin_of(name: str, names: Iterable[str]) -> str:
    """Return the end of a message about a missing name: which of `names` is the same text in another Unicode form.

    macOS writes "ö" as two characters where Linux has one. Returns an empty string if there is no such name.
    """
    composed = unicodedata.normalize("NFC", name)
    twin = next((one for one in names if one != name and unicodedata.normalize("NFC", one) == composed), None)
    if twin is None:
        return ""
    return f"; {twin!a} is there, which looks the same as {name!a} but has another Unicode form (NFC or NFD)"


def look_alikes(names: Iterable[str]) -> set[str]:
    r"""Return the names to show with escapes, so that names which are the same text in two Unicode forms differ.

    They are those that are not in the form NFC and have such a twin.

    >>> sorted(map(ascii, look_alikes(["Gr\u00f6\u00dfe", "Gro\u0308\u00dfe", "Mu\u0308ll"])))
    ["'Gro\\u0308\\xdfe'"]
    """
    by_text: dict[str, set[str]] = {}
    for name in names:
        by_text.setdefault(unicodedata.normalize("NFC", name), set()).add(name)
    return {name for text, alike in by_text.items() if len(alike) > 1 for name in alike if name != text}
