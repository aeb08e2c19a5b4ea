"""Renames, creates and removes files and folders on an SFTP server, atomically where the server can."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import asyncssh

from connectors.errors import NotAnObject, NotSupported, ObjectExists, ObjectNotFound
from connectors_sftp.blocks import with_stall_timeout
from connectors_sftp.error_mapping import FOREIGN, REFUSED, storage_error
from connectors_sftp.paths import encoded, found_at, kind_of, make_folders, parent_of, scan

if TYPE_CHECKING:
    from connectors_sftp.location import Endpoint
    from connectors_sftp.sessions import Session

__all__ = ["appear", "make_folder", "remove", "replace", "warn_of_remains"]

_LOG = logging.getLogger(__name__)


async def replace(session: Session, endpoint: Endpoint, old: str, new: str) -> None:
    """Rename `old` to `new`, which replaces an existing file.

    Raises:
        NotSupported: there is one, and the server cannot replace it in one step.
        asyncssh.Error, OSError: the rename failed.
    """
    try:
        await with_stall_timeout(session.sftp.posix_rename(encoded(old), encoded(new)))
    except asyncssh.SFTPOpUnsupported:
        pass
    else:
        return
    # Without that extension, a rename fails if the new name exists, and removing it first would leave a gap.
    try:
        await with_stall_timeout(session.sftp.rename(encoded(old), encoded(new)))
    except REFUSED:
        if await found_at(session, new, follow=False) is None:
            raise
    else:
        return
    message = (
        f"{endpoint.shown(new)} already exists, and this server cannot replace a file in one step (it lacks "
        "posix-rename@openssh.com); remove the file first, or use another name"
    )
    raise NotSupported(message)


async def appear(session: Session, endpoint: Endpoint, old: str, new: str) -> None:
    """Rename the file `old` to `new`, unless `new` exists, which the server decides in one step.

    Raises:
        ObjectExists: `new` exists.
        asyncssh.Error, OSError: the rename failed.
    """
    try:
        await with_stall_timeout(session.sftp.link(encoded(old), encoded(new)))
    except (asyncssh.SFTPOpUnsupported, *REFUSED):
        linked = False
    else:
        linked = True
    if linked:
        await _drop_second_name(session, endpoint, old)
        return
    taken = await found_at(session, new, follow=False) is not None
    if not taken:
        # The server or its disk does not support links. By the protocol, a plain rename fails if the new name exists.
        try:
            await with_stall_timeout(session.sftp.rename(encoded(old), encoded(new)))
        except REFUSED:
            if await found_at(session, new, follow=False) is None:
                raise
            taken = True
    if taken:
        message = f"{endpoint.shown(new)} already exists, and mode 'xb' does not replace it"
        raise ObjectExists(message)


async def _drop_second_name(session: Session, endpoint: Endpoint, path: str) -> None:
    """Remove the staged name of a file that has its final name, and only warn if that fails."""
    try:
        await with_stall_timeout(session.sftp.remove(encoded(path)))
    except FOREIGN as error:
        warn_of_remains(endpoint, path, storage_error(error, endpoint.shown(path), "remove"))


def warn_of_remains(endpoint: Endpoint, path: str, reason: Exception) -> None:
    """Log that a staged file cannot be removed, and why."""
    _LOG.warning("cannot remove the staged file %s; remove it by hand: %s", endpoint.shown(path), reason)


async def make_folder(session: Session, endpoint: Endpoint, path: str, *, parents: bool) -> None:
    """Make a folder.

    Raises:
        ObjectExists: something is stored there.
        NotAnObject: there is a file in place of one of its parents.
        asyncssh.Error, OSError: the folder cannot be made.
    """
    if parents:
        await make_folders(session, parent_of(path), endpoint)
    try:
        await with_stall_timeout(session.sftp.mkdir(encoded(path)))
    except REFUSED:
        if await found_at(session, path, follow=False) is None:
            raise
    else:
        return
    message = f"{endpoint.shown(path)} already exists"
    raise ObjectExists(message)


async def remove(session: Session, endpoint: Endpoint, path: str, *, recursive: bool) -> None:
    """Remove a file, a link itself, or a folder with its content.

    Raises:
        ObjectNotFound: there is nothing to remove.
        NotAnObject: it is a folder, and not `recursive`.
        asyncssh.Error, OSError: the removal failed.
    """
    found = await found_at(session, path, follow=False)
    if found is None:
        message = f"nothing is stored at {endpoint.shown(path)}"
        raise ObjectNotFound(message)
    if kind_of(found) != "directory":
        await with_stall_timeout(session.sftp.remove(encoded(path)))
        return
    if not recursive:
        message = f"{endpoint.shown(path)} is a folder; remove it with recursive=True"
        raise NotAnObject(message)
    await _remove_folder(session, endpoint, path)


async def _remove_folder(session: Session, endpoint: Endpoint, path: str) -> None:
    for name, attributes in await scan(session, path, endpoint):
        inside = f"{path.rstrip('/')}/{name}"
        if kind_of(attributes) == "directory":
            await _remove_folder(session, endpoint, inside)
        else:
            await with_stall_timeout(session.sftp.remove(encoded(inside)))
    await with_stall_timeout(session.sftp.rmdir(encoded(path)))
