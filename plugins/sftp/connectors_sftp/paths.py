"""Paths on an SFTP server: encodes them, looks them up, lists folders and makes missing ones."""

from __future__ import annotations

import contextlib
import re
import stat
from typing import TYPE_CHECKING, Any

import asyncssh

from connectors.errors import NotAnObject, StorageUnavailable
from connectors_sftp.blocks import with_stall_timeout
from connectors_sftp.error_mapping import REFUSED

if TYPE_CHECKING:
    from connectors_sftp.location import Endpoint
    from connectors_sftp.sessions import Session

__all__ = [
    "MOST_DEPTH",
    "MOST_NAMES",
    "STAGED",
    "encoded",
    "found_at",
    "kind_of",
    "make_folders",
    "parent_of",
    "scan",
]

STAGED = re.compile(r"\..*\.[0-9a-f]{32}\.part")
"""The names of staged files."""
MOST_NAMES = 1_000_000
"""The most names in one folder."""
MOST_DEPTH = 256
"""The deepest nesting of folders."""

ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)


def encoded(path: str) -> bytes:
    """Return a path as bytes for the server; names that are not UTF-8 are restored as they were listed."""
    return path.encode("utf-8", "surrogateescape")


def parent_of(path: str) -> str:
    """Return the folder that contains a path; for the root, the root."""
    return path.rpartition("/")[0] or "/"


async def found_at(session: Session, path: str, *, follow: bool = True) -> asyncssh.SFTPAttrs | None:
    """Return the attributes of what is stored at a path, or None if there is nothing.

    Args:
        session: the session to use.
        path: the path.
        follow: whether to follow a link rather than return its own attributes.
    """
    try:
        return await with_stall_timeout(
            session.sftp.stat(encoded(path)) if follow else session.sftp.lstat(encoded(path))
        )
    except ABSENT:
        return None


def kind_of(attributes: asyncssh.SFTPAttrs) -> str:
    """Return fsspec's `type` for attributes: file, directory or other."""
    mode = stat.S_IFMT(attributes.permissions or 0)
    # Servers without permissions list files without a mode.
    return {stat.S_IFDIR: "directory", stat.S_IFREG: "file", 0: "file"}.get(mode, "other")


async def make_folders(session: Session, path: str, endpoint: Endpoint) -> list[str]:
    """Make a folder and its missing parents; return those that were made, outermost first.

    Raises:
        NotAnObject: there is a file in place of one of them.
        asyncssh.Error, OSError: a folder cannot be made.
    """
    missing = []
    while not await _is_folder(session, path, endpoint):
        missing.append(path)
        path = parent_of(path)
    made = []
    for folder in reversed(missing):
        try:
            await with_stall_timeout(session.sftp.mkdir(encoded(folder)))
        except REFUSED:
            # Another process may have just made it.
            if not await _is_folder(session, folder, endpoint):
                raise
        else:
            made.append(folder)
    return made


async def _is_folder(session: Session, path: str, endpoint: Endpoint) -> bool:
    """Return whether there is a folder at a path, rather than nothing.

    Raises:
        NotAnObject: there is something else.
    """
    found = await found_at(session, path)
    if found is None:
        return path == "/"
    if kind_of(found) != "directory":
        message = f"{endpoint.shown(path)} is not a folder, so nothing can be stored in it"
        raise NotAnObject(message)
    return True


async def scan(session: Session, path: str, endpoint: Endpoint) -> list[tuple[str, asyncssh.SFTPAttrs]]:
    """Return the names in a folder with their attributes; links are not followed.

    Raises:
        StorageUnavailable: the listing contains invalid names, or does not end.
        asyncssh.Error, OSError: the folder cannot be listed.
    """
    found: list[tuple[str, asyncssh.SFTPAttrs]] = []
    if path.count("/") > MOST_DEPTH:
        raise _endless(path, endpoint)
    entries: Any = session.sftp.scandir(encoded(path))
    async with contextlib.aclosing(entries):
        while (entry := await with_stall_timeout(anext(entries, None))) is not None:
            name = entry.filename.decode("utf-8", "surrogateescape")
            if name in (".", ".."):
                continue
            if not name or "/" in name or "\0" in name:
                message = f"the server's listing of {endpoint.shown(path)} contains invalid names; do not trust it"
                raise StorageUnavailable(message)
            if len(found) == MOST_NAMES:
                raise _endless(path, endpoint)
            found.append((name, entry.attrs))
    return found


def _endless(path: str, endpoint: Endpoint) -> StorageUnavailable:
    """Return the error for a listing that does not end."""
    message = f"the server's listing of {endpoint.shown(path)} does not end; do not trust it"
    return StorageUnavailable(message)
