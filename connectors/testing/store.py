"""The storage behind the backend under test, accessed directly by the contracts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

__all__ = ["Connection", "Store"]


@dataclass(frozen=True, repr=False)
class Connection:
    """The location and credentials of one object or folder.

    Attributes:
        location: the URL.
        document: a credentials document without its `encryption`.
        expires: whether the document has an expiry time.
    """

    location: str
    document: dict[str, Any]
    expires: bool = False


class Store(ABC):
    """A real storage, accessed with its own client, to check the backend's work from outside.

    Names are paths below a prefix that belongs to this store, such as ``"one"`` or ``"ward/50% of #1?"``.
    """

    @abstractmethod
    def connection(self, name: str, *, write: bool = False) -> Connection:
        """Return the connection of an object; with `write`, one that may write it."""

    @abstractmethod
    def get(self, name: str) -> bytes | None:
        """Return the stored bytes of an object, or None if it does not exist."""

    @abstractmethod
    def put(self, name: str, data: bytes) -> None:
        """Store bytes under a name."""

    def folder(self, name: str) -> Connection:
        """Return the connection of a folder; used by `FolderContract`."""
        raise NotImplementedError

    def unfinished(self) -> list[str]:
        """Return the remains of unfinished writes: open multipart uploads, staged files."""
        return []

    def denied(self, name: str) -> Connection | None:
        """Return a connection that the storage refuses, such as a wrong password; None if it accepts everyone."""
        return None

    def expired(self, name: str, *, write: bool = False) -> Connection | None:
        """Return a connection whose credentials have expired; None if they never expire."""
        return None

    def tidy(self, name: str) -> None:
        """Remove what a test stored under a name, and what a killed writer left there."""
