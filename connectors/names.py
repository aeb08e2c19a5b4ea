"""Names that people choose and that become folders: of ports and of objects."""

from __future__ import annotations

import re

__all__ = ["is_name"]

_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,255}")


def is_name(name: str) -> bool:
    """Tell whether `name` can name a port or an object: a single, visible path component.

    >>> [is_name(name) for name in ("conditions", "Klinik Süd", "..", "a/b", ".hidden", "")]
    [True, True, False, False, False, False]
    """
    return _NAME.fullmatch(name) is not None and not name.startswith(".") and name.strip() == name
