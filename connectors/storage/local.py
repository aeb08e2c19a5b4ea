"""The backends of the core: local files and memory, for development and tests."""

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
    """Credentials of a local file: none but the encryption."""

    type: Literal["file"] = "file"


class FileBackend(Backend):
    """Local files: ``file:///data/conditions.csv.sealed``."""

    name = "file"
    schemes = ("file",)
    Credentials = FileCredentials

    def connect(self, location: str, credentials: FileCredentials) -> tuple[AbstractFileSystem, str]:
        """Return the local filesystem and an absolute path.

        Raises:
            InvalidLocation: no file of this machine can be meant.
        """
        path, problem = _local_path(location)
        if problem:
            # Not quoted as it is: what was meant for another storage may have a password or a signed query in it.
            message = f"a file location {problem}: {redact_url(location)!r}"
            raise InvalidLocation(message)
        # Folders inside of a folder are made as they are needed, as they need not be in other storages.
        folder = credentials.is_folder(location)
        return LocalFileSystem(auto_mkdir=folder, skip_instance_cache=True), path


def _local_path(location: str) -> tuple[str, str | None]:
    """Return the absolute path that a location means, and what is wrong with it, if anything is."""
    if _CONTROL.search(location):
        # `urlsplit` would leave line breaks and tabs out, and so make it another file.
        return "", "has no control characters; write them as escapes"
    if "?" in location or "#" in location:
        # A URL ends its path there; taken so, another file than the one that was meant would be written.
        return "", "has no query or fragment; write ? as %3F and # as %23"
    try:
        parts = urlsplit(location)
    except ValueError:
        parts = None
    if parts is None or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        return "", "has an absolute path, as in file:///data/conditions"
    # Names of files are bytes: those that are no UTF-8 have escapes of their own here, as Python gives them everywhere.
    path = unquote(parts.path, errors="surrogateescape")
    try:
        possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        possible = False
    return path, None if possible else "must be a valid path, without null characters or lone surrogates"


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
