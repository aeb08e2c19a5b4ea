"""The backends of the core: local files and memory, for development and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from connectors.backend import Backend
from connectors.credentials import Credentials
from connectors.errors import InvalidLocation
from connectors.fsspec_types import LocalFileSystem, MemoryFileSystem

if TYPE_CHECKING:
    from connectors.fsspec_types import AbstractFileSystem

__all__ = ["FileBackend", "FileCredentials", "MemoryBackend", "MemoryCredentials"]


class FileCredentials(Credentials):
    """Credentials of a local file: none but the encryption."""

    type: Literal["file"] = "file"


class FileBackend(Backend):
    """Local files: ``file:///data/conditions.csv.sealed``."""

    name = "file"
    schemes = ("file",)
    Credentials = FileCredentials

    def connect(self, location: str, credentials: FileCredentials) -> tuple[AbstractFileSystem, str]:
        """Return the local filesystem and an absolute path."""
        parts = urlsplit(location)
        if "?" in location or "#" in location:
            # A URL ends its path there; taken so, another file than the one that was meant would be written.
            message = f"a file location has no query or fragment: write ? as %3F and # as %23 in {location!r}"
            raise InvalidLocation(message)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            message = f"a file location has an absolute path, as in file:///data/conditions, not {location!r}"
            raise InvalidLocation(message)
        # Folders inside of a folder are made as they are needed, as they need not be in other storages.
        folder = credentials.is_folder(location)
        return LocalFileSystem(auto_mkdir=folder, skip_instance_cache=True), unquote(parts.path)


class MemoryCredentials(Credentials):
    """Credentials of an object in memory: none but the encryption."""

    type: Literal["memory"] = "memory"


class MemoryBackend(Backend):
    """Objects in this process's memory: ``memory://bucket/key``."""

    name = "memory"
    schemes = ("memory",)
    Credentials = MemoryCredentials

    def connect(self, location: str, credentials: MemoryCredentials) -> tuple[AbstractFileSystem, str]:  # noqa: ARG002
        """Return fsspec's memory filesystem, which all of a process shares, and the path."""
        return MemoryFileSystem(), "/" + location.partition("://")[2].strip("/")
