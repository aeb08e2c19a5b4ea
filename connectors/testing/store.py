"""What the contract asks of a storage itself, past the backend under test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

__all__ = ["Connection", "Store"]


@dataclass(frozen=True, repr=False)
class Connection:
    """How a backend is told of one object or folder.

    Attributes:
        location: the URL.
        document: a credentials document without its `encryption`.
        expires: whether the document says when its credentials expire.
    """

    location: str
    document: dict[str, Any]
    expires: bool = False


class Store(ABC):
    """A real storage, reached with a client of its own: what the backend did is looked at from outside.

    Names are paths below a place that this store has for itself, such as ``"one"`` or ``"ward/50% of #1?"``.
    """

    @abstractmethod
    def connection(self, name: str, *, write: bool = False) -> Connection:
        """Return how to reach the object called `name`; `write` where it is to be written."""

    @abstractmethod
    def get(self, name: str) -> bytes | None:
        """Return the stored bytes of an object, or None where there is none."""

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Store bytes under a name."""

    def folder(self, name: str) -> Connection:
        """Return how to reach a folder; asked for by `FolderContract`."""
        raise NotImplementedError

    def unfinished(self) -> list[str]:
        """Return what unfinished writes have left behind: open uploads, staged files."""
        return []

    def denied(self, name: str) -> Connection | None:
        """Return a connection that the storage refuses, by a wrong password for one; None if it refuses nobody."""
        return None

    def expired(self, name: str, *, write: bool = False) -> Connection | None:
        """Return a connection whose credentials were good once; None where they do not end."""
        return None

    def tidy(self, name: str) -> None:
        """Remove what a test has stored under a name, and what a killed writer has left behind there."""
