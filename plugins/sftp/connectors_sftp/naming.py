"""What happens to names on an SFTP server: a file gets one, in one step, or loses it."""

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
    """Give what stands at `old` the name `new`, in the place of a file that stands there.

    Raises:
        NotSupported: one does, and the server cannot replace it in one step.
        asyncssh.Error, OSError: it failed.
    """
    try:
        await with_stall_timeout(session.sftp.posix_rename(encoded(old), encoded(new)))
    except asyncssh.SFTPOpUnsupported:
        pass
    else:
        return
    # Without that extension a rename fails where a file stands, and to remove it first would leave a gap.
    try:
        await with_stall_timeout(session.sftp.rename(encoded(old), encoded(new)))
    except REFUSED:
        if await found_at(session, new, follow=False) is None:
            raise
    else:
        return
    message = (
        f"{endpoint.shown(new)} exists, and this server cannot replace a file in one step (it lacks "
        "posix-rename@openssh.com); remove it first, or write under another name"
    )
    raise NotSupported(message)


async def appear(session: Session, endpoint: Endpoint, old: str, new: str) -> None:
    """Give the file at `old` the name `new`, unless that is taken: the server decides, in one step.

    Raises:
        ObjectExists: it is.
        asyncssh.Error, OSError: it failed.
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
        # The server or its disk knows no links. A plain rename fails where something stands, says the protocol.
        try:
            await with_stall_timeout(session.sftp.rename(encoded(old), encoded(new)))
        except REFUSED:
            if await found_at(session, new, follow=False) is None:
                raise
            taken = True
    if taken:
        message = f"{endpoint.shown(new)} exists already, and it was to be created"
        raise ObjectExists(message)


async def _drop_second_name(session: Session, endpoint: Endpoint, path: str) -> None:
    """Remove a name of a file that has its own already: failing at this is no reason to fail any more."""
    try:
        await with_stall_timeout(session.sftp.remove(encoded(path)))
    except FOREIGN as error:
        warn_of_remains(endpoint, path, storage_error(error, endpoint.shown(path), "remove"))


def warn_of_remains(endpoint: Endpoint, path: str, reason: Exception) -> None:
    """Log that a staged file could not be removed, and why."""
    _LOG.warning("%s stays behind, and may be removed by hand: %s", endpoint.shown(path), reason)


async def make_folder(session: Session, endpoint: Endpoint, path: str, *, parents: bool) -> None:
    """Make a folder.

    Raises:
        ObjectExists: something stands there.
        NotAnObject: a file stands where one of its parents should.
        asyncssh.Error, OSError: it failed.
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
    message = f"{endpoint.shown(path)} exists already"
    raise ObjectExists(message)


async def remove(session: Session, endpoint: Endpoint, path: str, *, recursive: bool) -> None:
    """Remove a file, or a folder with all that is in it; of a link, the link.

    Raises:
        ObjectNotFound: nothing stands there.
        NotAnObject: a folder does, and not `recursive`.
        asyncssh.Error, OSError: it failed.
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
