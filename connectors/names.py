"""Names that people choose and that become folders: of ports and of objects."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_name", "twin_of"]

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
