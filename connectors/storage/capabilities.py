"""What a filesystem can offer beyond fsspec: its own sources and sinks, and whole listings. All are optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from connectors.streams import Sink, Source

__all__ = ["FindsAll", "OpensSinks", "OpensSources", "Renames"]


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
            folders: whether to return folders too, and the folder itself.

        Raises:
            StorageError: any part of the listing was refused: a shorter list is never returned.
        """


@runtime_checkable
class Renames(Protocol):
    """A filesystem that renames an object or a folder in one step, so that no moment shows half of it."""

    def rename_all(self, old: str, new: str) -> None:
        """Rename an object or a folder with everything in it; an object replaces an existing one.

        Raises:
            ObjectNotFound: there is neither.
        """
