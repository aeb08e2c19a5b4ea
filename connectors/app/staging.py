"""The next versions of single objects, written as DuckDB writes: beside the object, and then renamed.

DuckDB's COPY writes to ``tmp_NAME`` if ``NAME`` exists, and renames it when it is complete. A dataset that is a single
object has nothing beside it, so there ``tmp_NAME`` is its next version, staged as in a transaction: renaming it to
``NAME`` publishes it, and removing it discards it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.errors import NotSupported
from connectors.fs.plain import PlainTransaction

if TYPE_CHECKING:
    from connectors.streams import SealedWriter

__all__ = ["StagedVersions", "StagingTransaction", "staged_target"]

PREFIX = "tmp_"
"""What DuckDB puts before a name; it has no option for another prefix."""


def staged_target(path: str) -> str:
    """Return the ``port/object`` whose next version a path would be; an empty string for any other path."""
    port, _, name = path.partition("/")
    return f"{port}/{name.removeprefix(PREFIX)}" if name.startswith(PREFIX) and "/" not in name else ""


class StagedVersions:
    """The staged versions of datasets, by the paths that they were written to."""

    def __init__(self) -> None:
        self._writers: dict[str, SealedWriter] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._writers

    def add(self, path: str, writer: SealedWriter) -> None:
        """Add what is being written to a path."""
        self._writers[path] = writer

    def info(self, path: str) -> dict[str, Any]:
        """Return the name, type and plain size of a staged version."""
        return {"name": path, "type": "file", "size": self._writers[path].tell()}

    def take(self, path: str, target: str) -> SealedWriter:
        """Return the staged version that is renamed to `target`, and forget it.

        Raises:
            NotSupported: it is the next version of another dataset.
        """
        if target != staged_target(path):
            message = f"dataset://{path} is the next version of dataset://{staged_target(path)}; rename it to that"
            raise NotSupported(message)
        return self._writers.pop(path)

    def discard(self, path: str, transaction: StagingTransaction) -> bool:
        """Discard what is staged at a path, also from a transaction; return whether there was anything."""
        writer = self._writers.pop(path, None)
        if writer is None:
            return False
        writer.discard()
        if writer in transaction.files:
            transaction.files.remove(writer)
        return True

    def end(self, transaction: StagingTransaction) -> None:
        """Discard what a transaction staged and did not rename."""
        for path in [path for path, writer in self._writers.items() if writer in transaction.files]:
            self.discard(path, transaction)


class StagingTransaction(PlainTransaction):
    """A transaction that publishes, of the staged versions, only those that were renamed."""

    def complete(self, commit: bool = True) -> None:  # noqa: FBT001, FBT002 - fsspec's signature
        """Commit or discard everything."""
        self.fs.staged.end(self)
        super().complete(commit)
