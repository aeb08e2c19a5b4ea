"""Names on an SFTP server: looks them up, lists, creates, renames and removes them, atomically where the server can."""

from __future__ import annotations

import contextlib
import re
import stat
from typing import TYPE_CHECKING, Any

import asyncssh

from connectors.errors import NotAnObject, NotSupported, ObjectExists, ObjectNotFound, StorageUnavailable
from connectors_sftp.error_mapping import ABSENT, REFUSED

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from connectors_sftp.sessions import Session

__all__ = [
    "STAGED",
    "appear",
    "check_file",
    "folder_links",
    "found_at",
    "kind_of",
    "make_folder",
    "make_folders",
    "mode_of",
    "parent_of",
    "remove",
    "replace",
    "scan",
]

STAGED = re.compile(r"\..*\.[0-9a-f]{32}\.part")
"""The names of staged files."""
MOST_NAMES = 1_000_000
"""The most names in one folder."""
MOST_DEPTH = 256
"""The deepest nesting of folders."""


def parent_of(path: str) -> str:
    """Return the folder that contains a path; for the root, the root."""
    return path.rpartition("/")[0] or "/"


def kind_of(found: asyncssh.SFTPAttrs) -> str:
    """Return fsspec's `type` for attributes: file, directory or other."""
    mode = stat.S_IFMT(found.permissions or 0)
    # Servers without permissions list files without a mode.
    return {stat.S_IFDIR: "directory", stat.S_IFREG: "file", 0: "file"}.get(mode, "other")


def check_file(found: asyncssh.SFTPAttrs, shown: str, use: str) -> None:
    """Check by its attributes that what was found is a file; `shown` and `use`, such as "read", are for messages.

    Raises:
        NotAnObject: it is a folder.
        NotSupported: it is a device, pipe or socket, which may never answer, and which a rename would replace.
    """
    kind = kind_of(found)
    if kind == "directory":
        message = f"{shown} is a folder; name an object in it"
        raise NotAnObject(message)
    if kind != "file":
        message = f"{shown} is a device, pipe or socket; only files can be {use}"
        raise NotSupported(message)


def mode_of(found: asyncssh.SFTPAttrs | None) -> int | None:
    """Return the permissions for the owner, the group and others, or None if the server does not say."""
    return None if found is None or found.permissions is None else found.permissions & 0o777


async def found_at(session: Session, path: str, *, follow: bool = True) -> asyncssh.SFTPAttrs | None:
    """Return the attributes of what is stored at a path, or None if there is nothing.

    Args:
        session: the session to use.
        path: the path.
        follow: whether to follow a link rather than return its own attributes.
    """
    try:
        return await session.ask(session.sftp.stat(path) if follow else session.sftp.lstat(path))
    except ABSENT:
        return None


async def scan(session: Session, path: str) -> list[tuple[str, asyncssh.SFTPAttrs]]:
    """Return the names in a folder with their attributes; links are not followed.

    Raises:
        StorageUnavailable: the listing contains invalid names, or does not end.
        asyncssh.Error, OSError: the folder cannot be listed.
    """
    found: list[tuple[str, asyncssh.SFTPAttrs]] = []
    problem = "does not end" if path.count("/") > MOST_DEPTH else None
    entries: Any = session.sftp.scandir(path)
    async with contextlib.aclosing(entries):
        while problem is None and (entry := await session.ask(anext(entries, None))) is not None:
            name = entry.filename
            if name in (".", ".."):
                continue
            if not name or "/" in name or "\0" in name:
                problem = "contains invalid names"
            elif len(found) == MOST_NAMES:
                problem = "does not end"
            else:
                found.append((name, entry.attrs))
    if problem is not None:
        message = f"the server's listing of {session.shown(path)} {problem}; do not trust it"
        raise StorageUnavailable(message)
    return found


async def folder_links(session: Session, paths: list[str]) -> list[str]:
    """Return those of the paths that are links to folders."""
    links: list[str] = []

    async def look(start: int, stop: int) -> None:
        for path in paths[start:stop]:
            own = await found_at(session, path, follow=False)
            target = await found_at(session, path) if own is not None and kind_of(own) == "other" else None
            links.extend([path] if target is not None and kind_of(target) == "directory" else [])

    await session.ask_many([(place, place + 1) for place in range(len(paths))], 1, look)
    return sorted(links)


async def make_folders(session: Session, path: str, made: list[str]) -> None:
    """Make a folder and its missing parents; add those that were made to `made`, outermost first.

    Raises:
        NotAnObject: there is a file in place of one of them.
        asyncssh.Error, OSError: a folder cannot be made.
    """
    missing: list[str] = []
    while not await _is_folder(session, path):
        missing.insert(0, path)
        path = parent_of(path)
    for one in missing:
        # Noted one by one: an interrupted call has made some of them. Another process may make one too.
        made += [one] if await _has_made(session, one, session.sftp.mkdir(one)) else []


async def _is_folder(session: Session, path: str) -> bool:
    """Return whether there is a folder at a path, rather than nothing.

    Raises:
        NotAnObject: there is something else.
    """
    found = await found_at(session, path)
    if found is None:
        return path == "/"
    if kind_of(found) != "directory":
        message = f"{session.shown(path)} is not a folder, so nothing can be stored in it"
        raise NotAnObject(message)
    return True


async def make_folder(session: Session, path: str, *, parents: bool) -> None:
    """Make a folder.

    Raises:
        ObjectExists: something is stored there.
        NotAnObject: there is a file in place of one of its parents.
        asyncssh.Error, OSError: the folder cannot be made.
    """
    if parents:
        await make_folders(session, parent_of(path), [])
    if not await _has_made(session, path, session.sftp.mkdir(path)):
        message = f"{session.shown(path)} already exists"
        raise ObjectExists(message)


async def _has_made(session: Session, path: str, request: Awaitable[None]) -> bool:
    """Return whether a request has made `path`: False if something is stored there."""
    try:
        await session.ask(request)
    except REFUSED:
        if await found_at(session, path, follow=False) is None:
            raise
        return False
    return True


async def replace(session: Session, old: str, new: str) -> None:
    """Rename `old` to `new`, which replaces an existing file.

    Raises:
        NotSupported: there is one, and the server cannot replace it in one step.
        asyncssh.Error, OSError: the rename failed.
    """
    try:
        await session.ask(session.sftp.posix_rename(old, new))
    except asyncssh.SFTPOpUnsupported:
        # Without that extension, a rename fails if the new name exists, and removing it first would leave a gap.
        renamed = await _has_made(session, new, session.sftp.rename(old, new))
    else:
        renamed = True
    if not renamed:
        message = (
            f"{session.shown(new)} already exists, and this server cannot replace a file in one step (it lacks "
            "posix-rename@openssh.com); remove the file first, or use another name"
        )
        raise NotSupported(message)


async def appear(session: Session, old: str, new: str) -> bool:
    """Rename the file `old` to `new`, unless `new` exists, which the server decides in one step.

    Returns:
        Whether the file is still at `old` too.

    Raises:
        ObjectExists: `new` exists.
        asyncssh.Error, OSError: the rename failed.
    """
    try:
        await session.ask(session.sftp.link(old, new))
    except (asyncssh.SFTPOpUnsupported, *REFUSED):
        linked = False
    else:
        linked = True
    if linked:
        return True
    # Without links, a plain rename: by the protocol it fails if the new name exists, but not every server asks.
    taken = await found_at(session, new, follow=False) is not None
    if taken or not await _has_made(session, new, session.sftp.rename(old, new)):
        message = f"{session.shown(new)} already exists, and mode 'xb' does not replace it"
        raise ObjectExists(message)
    return False


async def remove(session: Session, path: str, *, recursive: bool) -> None:
    """Remove a file, a link itself, or a folder with its content.

    Raises:
        ObjectNotFound: there is nothing to remove.
        NotAnObject: it is a folder, and not `recursive`.
        asyncssh.Error, OSError: the removal failed.
    """
    found = await found_at(session, path, follow=False)
    if found is None:
        message = f"nothing is stored at {session.shown(path)}"
        raise ObjectNotFound(message)
    if kind_of(found) == "directory" and not recursive:
        message = f"{session.shown(path)} is a folder; remove it with recursive=True"
        raise NotAnObject(message)
    await _remove(session, path, found)


async def _remove(session: Session, path: str, found: asyncssh.SFTPAttrs) -> None:
    if kind_of(found) != "directory":
        await session.ask(session.sftp.remove(path))
        return
    for name, inside in await scan(session, path):
        await _remove(session, f"{path.rstrip('/')}/{name}", inside)
    await session.ask(session.sftp.rmdir(path))
