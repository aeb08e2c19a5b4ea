"""Paths on an SFTP server: text here, bytes there; what stands at them; and the folders that lead to them."""

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
    "MOST_OBJECTS",
    "STAGED",
    "encoded",
    "found_at",
    "kind_of",
    "make_folders",
    "parent_of",
    "scan",
    "without_end",
]

STAGED = re.compile(r"\..*\.[0-9a-f]{32}\.part")
"""The names of files in the making."""
MOST_NAMES = 1_000_000
"""Names in one folder."""
MOST_OBJECTS = 10_000_000
"""Files and folders below one folder, as many as of a bucket's listing."""
MOST_DEPTH = 256
"""Folders in folders."""

ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)


def encoded(path: str) -> bytes:
    """Return a path as the server is told it; names that are not UTF-8 come back as they were listed."""
    return path.encode("utf-8", "surrogateescape")


def parent_of(path: str) -> str:
    """Return the folder that a path lies in; of the root, the root."""
    return path.rpartition("/")[0] or "/"


async def found_at(session: Session, path: str, *, follow: bool = True) -> asyncssh.SFTPAttrs | None:
    """Return what the server says of a path, or None if nothing is there.

    Args:
        session: where to ask.
        path: the path.
        follow: ask for what a link leads to, rather than for the link itself.
    """
    try:
        return await with_stall_timeout(
            session.sftp.stat(encoded(path)) if follow else session.sftp.lstat(encoded(path))
        )
    except ABSENT:
        return None


def kind_of(attributes: asyncssh.SFTPAttrs) -> str:
    """Return fsspec's `type` of what stands at a path: a file, a directory, or other."""
    mode = stat.S_IFMT(attributes.permissions or 0)
    # Servers that know no permissions show files without any.
    return {stat.S_IFDIR: "directory", stat.S_IFREG: "file", 0: "file"}.get(mode, "other")


async def make_folders(session: Session, path: str, endpoint: Endpoint) -> list[str]:
    """Make a folder and those above it, where they are missing; return those that were made, outermost first.

    Raises:
        NotAnObject: a file stands where one of them should.
        asyncssh.Error, OSError: one cannot be made.
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
            # Somebody else may have made it just now.
            if not await _is_folder(session, folder, endpoint):
                raise
        else:
            made.append(folder)
    return made


async def _is_folder(session: Session, path: str, endpoint: Endpoint) -> bool:
    """Tell whether a folder stands at a path, or nothing.

    Raises:
        NotAnObject: something else does.
    """
    found = await found_at(session, path)
    if found is None:
        return path == "/"
    if kind_of(found) != "directory":
        message = f"{endpoint.shown(path)} is no folder, so nothing can be stored in it"
        raise NotAnObject(message)
    return True


async def scan(session: Session, path: str, endpoint: Endpoint) -> list[tuple[str, asyncssh.SFTPAttrs]]:
    """Return the names in a folder, each with what the server says of it, links not followed.

    Raises:
        StorageUnavailable: the server lists names that no file can have, or has no end of them.
        asyncssh.Error, OSError: the folder cannot be listed.
    """
    found: list[tuple[str, asyncssh.SFTPAttrs]] = []
    if path.count("/") > MOST_DEPTH:
        raise without_end(path, endpoint)
    entries: Any = session.sftp.scandir(encoded(path))
    async with contextlib.aclosing(entries):
        while (entry := await with_stall_timeout(anext(entries, None))) is not None:
            name = entry.filename.decode("utf-8", "surrogateescape")
            if name in (".", ".."):
                continue
            if not name or "/" in name or "\0" in name:
                message = f"the server lists names in {endpoint.shown(path)} that no file can have; do not trust it"
                raise StorageUnavailable(message)
            if len(found) == MOST_NAMES:
                raise without_end(path, endpoint)
            found.append((name, entry.attrs))
    return found


def without_end(path: str, endpoint: Endpoint) -> StorageUnavailable:
    """Return the error that tells of a listing that never ends."""
    message = f"the server's listing of {endpoint.shown(path)} has no end; do not trust it"
    return StorageUnavailable(message)
