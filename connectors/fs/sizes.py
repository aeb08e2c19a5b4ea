"""Verified sizes of objects, each kept for the version that was opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from connectors.streams import SealedObject

__all__ = ["ProvenSizes"]

_KEPT = 10_000
"""Objects whose sizes are kept."""
_VERSION = ("ETag", "etag", "generation", "mtime", "ino", "size")
"""What filesystems call the members of an `info` that change with the object."""


class ProvenSizes:
    """The plain and the sealed sizes of objects, from their verified ends.

    A storage that reports the version of before, for a new object, gets the size of before: that is what the owner
    encrypted, and opening the object reveals which version is stored.
    """

    def __init__(self) -> None:
        # By name. A dict's operations are atomic, so this needs no lock, which a fork could leave held.
        self._known: dict[str, tuple[Hashable, int, int]] = {}

    def of(self, info: Mapping[str, Any], opens: Callable[[], SealedObject]) -> tuple[int, int]:
        """Return an object's plain and sealed sizes in bytes, opening it unless this version of it is known.

        Args:
            info: the inner filesystem's info about it.
            opens: opens it, which verifies its end.
        """
        version, name = _version_of(info), info["name"]
        known = self._known.get(name)
        if version is None or known is None or known[0] != version:
            opened = opens()
            try:
                known = version, opened.size, opened.sealed_size
            finally:
                opened.close()
            if version is not None:
                self._known[name] = known
                while len(self._known) > _KEPT:
                    self._known.pop(next(iter(self._known)), None)
        return known[1], known[2]

    def clear(self) -> None:
        """Forget all sizes."""
        self._known.clear()


def _version_of(info: Mapping[str, Any]) -> Hashable | None:
    """Return what tells two versions of an object apart; None if the filesystem reports nothing but a size."""
    found = tuple((name, str(info[name])) for name in _VERSION if info.get(name) is not None)
    return found if len(found) > 1 else None
