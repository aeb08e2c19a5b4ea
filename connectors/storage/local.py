"""The built-in backends: local files and memory, for development and tests."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from connectors._fsspec import LocalFileSystem, MemoryFileSystem
from connectors.credentials.model import Credentials
from connectors.errors import InvalidLocation
from connectors.secrets import redact_url
from connectors.storage.backend import Backend

if TYPE_CHECKING:
    from connectors._fsspec import AbstractFileSystem

__all__ = ["FileBackend", "FileCredentials", "MemoryBackend", "MemoryCredentials"]


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class FileCredentials(Credentials):
    """Credentials of a local file: only the encryption."""

    type: Literal["file"] = "file"


class FileBackend(Backend):
    """Local files: ``file:///data/conditions.csv.sealed``."""

    name = "file"
    schemes = ("file",)
    Credentials = FileCredentials

    def connect(self, location: str, credentials: FileCredentials) -> tuple[AbstractFileSystem, str]:
        """Return the local filesystem and an absolute path.

        Raises:
            InvalidLocation: it is not a valid local path.
        """
        path, problem = _local_path(location)
        if problem:
            # Redacted: a location meant for another storage may contain a password or a signed query.
            message = f"a file location {problem}: {redact_url(location)!r}"
            raise InvalidLocation(message)
        # Subfolders are created when needed, as in object storages, which have none.
        folder = credentials.is_folder(location)
        return LocalFileSystem(auto_mkdir=folder, skip_instance_cache=True), path


def _local_path(location: str) -> tuple[str, str | None]:
    """Return the absolute path of a location, and the problem with it or None."""
    if _CONTROL.search(location):
        # `urlsplit` drops line breaks and tabs, which would name another file.
        return "", "has no control characters; write them as escapes"
    if "?" in location or "#" in location:
        # The URL's path would end there, which would name another file.
        return "", "has no query or fragment; write ? as %3F and # as %23"
    try:
        parts = urlsplit(location)
    except ValueError:
        parts = None
    if parts is None or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        return "", "has an absolute path, as in file:///data/conditions"
    # File names are bytes: those that are not UTF-8 become surrogate escapes, as elsewhere in Python.
    path = unquote(parts.path, errors="surrogateescape")
    try:
        possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        possible = False
    return path, None if possible else "must be a valid path, without null characters or lone surrogates"


class MemoryCredentials(Credentials):
    """Credentials of an object in memory: only the encryption."""

    type: Literal["memory"] = "memory"


class MemoryBackend(Backend):
    """Objects in this process's memory: ``memory://bucket/key``."""

    name = "memory"
    schemes = ("memory",)
    Credentials = MemoryCredentials

    def connect(self, location: str, credentials: MemoryCredentials) -> tuple[AbstractFileSystem, str]:  # noqa: ARG002
        """Return fsspec's memory filesystem, which the whole process shares, and the path."""
        return MemoryFileSystem(), "/" + location.partition("://")[2].strip("/")
