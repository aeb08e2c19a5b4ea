"""The end of a message about a missing object: which stored name is the same text in another Unicode form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import ConnectorError, ObjectNotFound
from connectors.names import twin_of
from connectors.storage.trees import list_folder

if TYPE_CHECKING:
    from connectors._fsspec import AbstractFileSystem

__all__ = ["stored_twin", "with_twin"]


def stored_twin(fs: AbstractFileSystem, folder: str, name: str) -> str:
    """Return the end of a message about a missing name; an empty string if nothing in the storage looks the same.

    For each part of the name that is not ASCII, this lists the folder that it should be in.

    Args:
        fs: the filesystem of sealed objects.
        folder: a folder that exists.
        name: the missing path below it.
    """
    for part in name.split("/"):
        if not part.isascii():
            try:
                entries = list_folder(fs, folder)
            except ConnectorError:
                return ""  # the message is right without it
            names = [entry["name"].rpartition("/")[2] for entry in entries]
            if part not in names:
                return twin_of(part, names)
        folder = f"{folder}/{part}" if folder else part
    return ""


def with_twin(error: ObjectNotFound, twin: str) -> ObjectNotFound:
    """Return the error with a longer message; the error itself if there is no twin."""
    return ObjectNotFound(": ".join(map(str, error.args)) + twin) if twin else error
