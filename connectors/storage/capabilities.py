"""What a filesystem can offer beyond fsspec, all optional, and what it must declare that it cannot do.

A filesystem offers its own sources and sinks, and whole listings, by methods. Two class variables declare what its
storage cannot do; without them, a storage is taken to be able:

    ``atomic_replace = False``: an object is replaced in place, so a failure half way destroys the old one.
    ``exclusive_create = False``: of two writers that create one object, both can succeed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from connectors.streams import Sink, Source

__all__ = [
    "FindsAll",
    "HasLinks",
    "OpensSinks",
    "OpensSources",
    "Renames",
    "creates_exclusively",
    "opens_sources",
    "replaces_atomically",
]


@runtime_checkable
class OpensSources(Protocol):
    """A filesystem that reads ranges better than its `cat_file` does, or can pin the version that is read."""

    def open_source(self, path: str) -> Source:
        """Open the object at `path` for reading.

        Raises:
            ObjectNotFound, NotAnObject, AccessDenied: the object does not exist, or cannot be read. A source may raise
                these on its first read instead.
        """


@runtime_checkable
class OpensSinks(Protocol):
    """A filesystem whose storage holds a new object back until it is committed."""

    def open_sink(self, path: str, *, exclusive: bool = False) -> Sink:
        """Open a sink for a new object at `path`.

        Raises:
            ObjectExists: `exclusive`, and the object exists. A sink may raise this on commit instead.
            NotAnObject, AccessDenied: no object can be written there.
        """


@runtime_checkable
class FindsAll(Protocol):
    """A filesystem that lists and removes whole folders itself, in fewer requests than one per folder.

    Its `rm` with ``recursive=True`` likewise removes everything below a folder, or raises an error.
    """

    def find_all(self, path: str, *, folders: bool) -> dict[str, dict[str, Any]]:
        """Return everything below a folder, or the object itself, by name; nothing if neither exists.

        Args:
            path: the folder or object.
            folders: whether to return folders too, and the folder itself; where an object has the name of a folder,
                the object is returned.

        Raises:
            StorageError: any part of the listing was refused: a shorter list is never returned.
        """


@runtime_checkable
class HasLinks(Protocol):
    """A filesystem with symbolic links: its `info` follows them, and its listings do not."""

    def folder_links(self, paths: list[str]) -> list[str]:
        """Return those of the paths that are links to folders."""


@runtime_checkable
class Renames(Protocol):
    """A filesystem that renames an object or a folder in one step, so that no moment shows half of it."""

    def rename_all(self, old: str, new: str) -> None:
        """Rename an object or a folder with everything in it; an object replaces an existing one.

        Raises:
            ObjectNotFound: there is neither.
        """


def opens_sources(fs: object) -> TypeIs[OpensSources]:
    """Return whether a filesystem opens its own sources; quicker than `isinstance`."""
    return hasattr(fs, "open_source")


def replaces_atomically(fs: object) -> bool:
    """Return whether a filesystem replaces objects in one step: unless it declares that it does not."""
    return bool(getattr(fs, "atomic_replace", True))


def creates_exclusively(fs: object) -> bool:
    """Return whether a filesystem lets one of two creators of an object win: unless it declares that it does not."""
    return bool(getattr(fs, "exclusive_create", True))
