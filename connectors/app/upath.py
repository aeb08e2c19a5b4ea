"""``UPath("dataset://port/object")``: the datasets of an app config as paths of universal_pathlib.

Registered as an entry point, so that universal_pathlib finds it; nothing else imports it.
"""

from __future__ import annotations

from upath import UPath

__all__ = ["DatasetPath"]


class DatasetPath(UPath):
    """A path of the ``dataset://`` protocol."""

    __slots__ = ()
