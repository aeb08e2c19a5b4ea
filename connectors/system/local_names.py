"""Names of objects that cannot all be files of one folder: ``a`` beside ``a/b``, or names that a filesystem equates."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

from connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_names", "folds_names"]

_PROBE, _ALIKE = "é-connectors", ("É-CONNECTORS", unicodedata.normalize("NFD", "é-connectors"))


def folds_names(folder: str) -> bool:
    """Return whether the filesystem of an empty folder equates names that differ in case or Unicode normalization."""
    path = os.path.join(folder, _PROBE)
    os.mkdir(path)
    try:
        return any(os.path.lexists(os.path.join(folder, alike)) for alike in _ALIKE)
    finally:
        os.rmdir(path)


def check_names(names: Iterable[str], *, folds: bool) -> None:
    """Check that all names can be files below one folder at the same time.

    Args:
        names: paths, with slashes.
        folds: the filesystem equates names that differ in case or Unicode normalization.

    Raises:
        ConfigError: two of them cannot; the message names both.
    """
    files: dict[str, str] = {}
    for name in names:
        other = files.setdefault(_folded(name) if folds else name, name)
        if other != name:
            raise _clash(other, name)
    for key, name in files.items():
        parts = key.split("/")
        for depth in range(1, len(parts)):
            above = files.get("/".join(parts[:depth]))
            if above is not None:
                raise _clash(above, name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _clash(one: str, other: str) -> ConfigError:
    return ConfigError(
        f"{one!r} and {other!r} cannot both be files of one folder: "
        "rename one of these objects, or connect them as two datasets"
    )
