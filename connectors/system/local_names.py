"""Names of objects that cannot all be files of one folder: ``a`` beside ``a/b``, or names that a filesystem equates."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from typing import TYPE_CHECKING

from connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["check_names", "check_targets", "folds_names"]

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
    clash = _clash(names, folds=folds)
    if clash is not None:
        raise _refused(*clash, "connect them as two datasets")


def check_targets(paths: Collection[str]) -> None:
    """Check that local files can be written to all of these paths.

    Only if two of them differ in nothing but case or Unicode normalization, the filesystem is asked whether it equates
    them: with a temporary folder in the folder that exists above them.

    Args:
        paths: absolute paths, with slashes.

    Raises:
        ConfigError: one of them is another's folder, or the same file to this filesystem; the message names both.
    """
    clash, alike = _clash(paths, folds=False), _clash(paths, folds=True)
    if clash is None and alike is not None and _folds_at(alike[0]):
        clash = alike
    if clash is not None:
        raise _refused(*clash, "copy them to two folders")


def _folds_at(path: str) -> bool:
    """Return whether the filesystem at a path equates names, as `folds_names` does for a folder."""
    above = os.path.dirname(path)
    while not os.path.isdir(above):
        above = os.path.dirname(above)
    with tempfile.TemporaryDirectory(prefix=".connectors-", dir=above) as folder:
        return folds_names(folder)


def _clash(names: Iterable[str], *, folds: bool) -> tuple[str, str] | None:
    """Return two names that cannot both be files, or None."""
    files: dict[str, str] = {}
    for name in names:
        other = files.setdefault(_folded(name) if folds else name, name)
        if other != name:
            return other, name
    for key, name in files.items():
        parts = key.split("/")
        for depth in range(1, len(parts)):
            above = files.get("/".join(parts[:depth]))
            if above is not None:
                return above, name
    return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _refused(one: str, other: str, advice: str) -> ConfigError:
    return ConfigError(
        f"{_shown(one)} and {_shown(other)} cannot both be files of one folder: "
        f"rename one of these objects, or {advice}"
    )


def _shown(name: str) -> str:
    """Return a name in quotes, with escapes if it has another Unicode form than most text."""
    return repr(name) if unicodedata.is_normalized("NFC", name) else ascii(name)
