"""A mixin for filesystems whose `exists`, `isdir` and `isfile` raise errors, where fsspec's own return False."""

from __future__ import annotations

from typing import Any

from connectors._fsspec import AbstractFileSystem

__all__ = ["TellsKinds"]


class TellsKinds(AbstractFileSystem):
    """Says whether there is an object or a folder at a path, from `info`."""

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Return whether an object or a folder exists: False only if `info` finds none.

        Raises:
            StorageError: any other error, for which fsspec's own method would return False.
        """
        try:
            self._found(path, **kwargs)
        except FileNotFoundError:
            return False
        return True

    def isdir(self, path: str) -> bool:
        """Return whether a folder exists; raises as `exists` does."""
        return self._kind(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Return whether an object exists; raises as `exists` does."""
        return self._kind(path) == "file"

    def _kind(self, path: str) -> str | None:
        try:
            return str(self._found(path)["type"])
        except FileNotFoundError:
            return None

    def _found(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return what `info` does, perhaps with a shorter message if there is nothing."""
        return self.info(path, **kwargs)
