"""Writes tables of a store's error codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.storage.store import Meaning

if TYPE_CHECKING:
    from connectors.errors import StorageError

__all__ = ["meaning"]


def meaning(codes: str, kind: type[StorageError], message: str, *, transient: bool = False) -> Meaning:
    """Return what error codes mean.

    Args:
        codes: the codes, with white space between them.
        kind: as in `Meaning`.
        message: the same.
        transient: the same.

    >>> from connectors.errors import StorageError
    >>> sorted(meaning("SlowDown Busy", StorageError, "{where} is busy ({code})").codes)
    ['Busy', 'SlowDown']
    """
    return Meaning(frozenset(codes.split()), kind, message, transient)
