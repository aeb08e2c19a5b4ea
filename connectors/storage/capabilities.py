"""What a filesystem can offer beyond fsspec: its own sources and sinks. Both are optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from connectors.streams import Sink, Source

__all__ = ["OpensSinks", "OpensSources"]


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
