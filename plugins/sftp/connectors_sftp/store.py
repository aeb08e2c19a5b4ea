"""Writes files on an SFTP server: in parts, to a hidden name in the same folder, which is renamed at the end."""

from __future__ import annotations

import contextlib
import logging
import secrets
from typing import TYPE_CHECKING, Any

import asyncssh

from connectors.errors import ConnectorError, ObjectNotFound, StorageError
from connectors.storage import MultipartStore, PartSizes
from connectors_sftp import names
from connectors_sftp.blocks import OpenedOnce, close_file, write_at
from connectors_sftp.error_mapping import ABSENT, FOREIGN, REFUSED
from connectors_sftp.loop import in_loop
from connectors_sftp.sessions import WINDOW
from connectors_sftp.source import SFTPSource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from connectors_sftp.blocks import File
    from connectors_sftp.sessions import Session, Sessions

__all__ = ["PARTS", "PART_SIZE", "SFTPStore"]

PART_SIZE = WINDOW
PARTS = PartSizes(PART_SIZE, PART_SIZE, PART_SIZE, count=None, total=(1 << 63) - 1)
"""All parts but the last are of one size, so that a part's number tells its offset."""
COPY_SIZE = 1 << 26
"""Bytes that the server is asked to copy at once, during which it handles no other request."""
WORK_TIMEOUT = 600.0
"""Seconds for the server's work on its disk, syncing or copying, until the session counts as broken."""
STAGED_MODE = 0o600
"""Permissions of a staged file, which only its owner may read although it is sealed."""
OPENINGS = 3
"""Attempts to create the staged file, if its folder is removed while it is empty."""


_LOG = logging.getLogger(__name__)


class _Staged(OpenedOnce):
    """A staged file, of which `copy` and `appear` must not be done twice.

    Args:
        path: the final path.
        shown: its location.

    Attributes:
        path: the staged path.
    """

    def __init__(self, path: str, shown: str) -> None:
        folder, _, name = path.rpartition("/")
        # Only the start of a long name, because the staged name must not be too long.
        self.path = f"{folder}/.{name[:40]}.{secrets.token_hex(16)}.part"
        self._final = path
        self._shown = shown
        self._folders: list[str] = []
        self._created = False
        self._mode: int | None = None
        self._finished = False

    async def open_in(self, session: Session) -> File:
        """Open the file; the first time, create it with its folders, private to its owner."""
        # Not FXF_EXCL, because this is retried if the response is lost; the name cannot be guessed.
        flags = asyncssh.FXF_WRITE if self._created else asyncssh.FXF_WRITE | asyncssh.FXF_CREAT
        for remaining in reversed(range(OPENINGS)):
            try:
                file = await session.open(self.path, flags)
            except ABSENT:
                if not remaining and not self._created:
                    raise
            else:
                break
            if self._created:
                message = f"the staged file of {self._shown} was removed while it was being written; write it again"
                raise StorageError(message)
            await names.make_folders(session, names.parent_of(self.path), self._folders)
        if not self._created:
            await self._hide(session, file)
            self._created = True
        return file

    async def _hide(self, session: Session, file: File) -> None:
        """Make the file private to its owner, and keep the permissions that the server gave it."""
        if self._mode is None:  # else a response was lost, and the file may be private already
            self._mode = names.mode_of(await session.ask(file.stat()))
        if self._mode is None:
            return
        try:
            await session.ask(file.setstat(asyncssh.SFTPAttrs(permissions=STAGED_MODE)))
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
            raise
        except asyncssh.SFTPError:
            self._mode = None  # servers in front of object stores refuse to set permissions

    async def write(self, session: Session, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset`."""
        await write_at(session, await self.file_in(session), data, offset)

    async def copy(self, session: Session, source: SFTPSource) -> bool:
        """Copy another file within the server; return whether it can do that."""
        if not session.sftp.supports_remote_copy:
            return False
        file, copied = await source.file_in(session), await self.file_in(session)
        for start in range(0, source.size, COPY_SIZE):
            size = min(COPY_SIZE, source.size - start)
            await session.ask(session.sftp.remote_copy(file, copied, start, size, start), WORK_TIMEOUT)
        await source.check(session, file)
        return True

    async def finish(self, session: Session, size: int) -> None:
        """Close the file with all of its `size` bytes on the server's disk, and with its final permissions.

        Raises:
            StorageError: the server has not got all of them.
        """
        if self._finished:
            return  # only the response to the last request was lost; the file may not be writable any more
        file = await self.file_in(session)
        with contextlib.suppress(asyncssh.SFTPOpUnsupported):
            await session.ask(file.fsync(), WORK_TIMEOUT)
        stored = (await session.ask(file.stat())).size
        if stored != size:
            message = f"the server has {stored} bytes of {self._shown} although {size} were sent; write it again"
            raise StorageError(message)
        if self._mode is not None:
            # Those of the file that is replaced, or the server's defaults for a new file.
            replaced = names.mode_of(await names.found_at(session, self._final))
            mode = self._mode if replaced is None else replaced
            await session.ask(file.setstat(asyncssh.SFTPAttrs(permissions=mode)))
        self._finished = True
        self.opened = None
        await session.ask(file.close())

    async def appear(self, session: Session, *, exclusive: bool) -> bool:
        """Rename the file to its final name; return whether it still has its staged name too."""
        if exclusive:
            return await names.appear(session, self.path, self._final)
        await names.replace(session, self.path, self._final)
        return False

    async def remove_name(self, session: Session) -> None:
        """Remove the staged name."""
        with contextlib.suppress(*ABSENT):
            await session.ask(session.sftp.remove(self.path))

    async def remove(self, session: Session) -> None:
        """Remove the file, and the folders that were made for it."""
        if self.opened is not None:
            with contextlib.suppress(ConnectorError, *FOREIGN):
                await close_file(*self.opened)
        await self.remove_name(session)
        # Unless another process has put something into them.
        with contextlib.suppress(*ABSENT, *REFUSED, asyncssh.SFTPDirNotEmpty):
            for folder in reversed(self._folders):
                await session.ask(session.sftp.rmdir(folder))


class SFTPStore(MultipartStore):
    """The files on a server, as far as they are written. A broken connection is replaced, until the last step.

    Args:
        sessions: the server.
    """

    # A part fills the window: on a slow connection, a second one would wait so long that it counts as stalled.
    parts_at_once = 1

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    def shown(self, path: str) -> str:
        """Return the location of a path for messages."""
        return self.sessions.endpoint.shown(path)

    def must_not_wait(self) -> bool:
        """Return whether this is the loop's thread, in which garbage collection may run too."""
        return in_loop()

    def check_object(self, path: str) -> None:
        """Check that a file can be at a path.

        Raises:
            NotAnObject: there is a folder.
            NotSupported: there is a device, pipe or socket.
        """
        found = self.sessions.run(path, "write", lambda session: names.found_at(session, path))
        if found is not None:
            names.check_file(found, self.shown(path), "replaced")

    def find_object(self, path: str) -> None:
        """Ask whether there is something at a path, a link included.

        Raises:
            ObjectNotFound: there is nothing.
        """
        if self.sessions.run(path, "write", lambda session: names.found_at(session, path, follow=False)) is None:
            message = f"nothing is stored at {self.shown(path)}"
            raise ObjectNotFound(message)

    def put(self, path: str, data: memoryview, *, exclusive: bool) -> None:
        """Write a file of one part. Raises as `complete_upload` does."""
        with self._upload(path) as staged:
            size = self.send_part(path, staged, 1, data, last=True)
            self.complete_upload(path, staged, [size], exclusive=exclusive)

    def copy(self, path: str, target: str) -> None:
        """Copy a file, within the server if it can do that; the copy appears whole, or not at all.

        Raises:
            ObjectNotFound: there is no such file.
            ObjectChanged: it was changed meanwhile.
        """
        with contextlib.closing(SFTPSource(self.sessions, path)) as source:
            self.check_object(target)
            with self._upload(target) as staged:
                # Not retried: a server may go on copying for a connection that broke, from a file that changes then.
                if not self.sessions.run(target, "write", lambda session: staged.copy(session, source), retry=False):
                    for number, start in enumerate(range(0, source.size, PART_SIZE), 1):
                        part = memoryview(source.read_range(start, start + PART_SIZE))
                        self.send_part(target, staged, number, part, last=False)
                self.complete_upload(target, staged, [source.size], exclusive=False)

    @contextlib.contextmanager
    def _upload(self, path: str) -> Iterator[_Staged]:
        """Start an upload, and abort it if the block raises."""
        staged = _Staged(path, self.shown(path))
        try:
            self.sessions.run(path, "write", staged.file_in)
            yield staged
        except BaseException:
            self.abort_upload(path, staged)
            raise

    def start_upload(self, path: str, *, exclusive: bool) -> _Staged:  # noqa: ARG002 - the last step decides
        """Create a staged file.

        Raises:
            NotAnObject, AccessDenied: it cannot be created there.
        """
        with self._upload(path) as staged:
            return staged

    def send_part(self, path: str, upload: Any, number: int, data: memoryview, *, last: bool) -> int:  # noqa: ARG002
        """Write a part; return its size."""
        offset = (number - 1) * PART_SIZE
        self.sessions.run(path, "write", lambda session: upload.write(session, data, offset))
        return len(data)

    def complete_upload(self, path: str, upload: Any, parts: list[Any], *, exclusive: bool) -> None:
        """Make the complete file appear, in place of the previous file.

        Raises:
            ObjectExists: `exclusive`, and the file exists.
            NotSupported: the file exists, and the server cannot replace it in one step.
            StorageUnavailable: no response came, so the complete file may or may not have appeared.
        """
        self.sessions.run(path, "write", lambda session: upload.finish(session, sum(parts)))
        if self.sessions.run(path, "write", lambda session: upload.appear(session, exclusive=exclusive), retry=False):
            self._unlink(path, upload.remove_name, upload)

    def abort_upload(self, path: str, upload: Any) -> None:
        """Remove the staged file, and the folders that were made for it; log that it cannot be removed."""
        self._unlink(path, upload.remove, upload)

    def _unlink(self, path: str, call: Callable[[Session], Awaitable[None]], upload: _Staged) -> None:
        try:
            self.sessions.run(path, "remove", call)
        except ConnectorError as error:
            # Not raised: the file has its final name, or another error led to the abort.
            _LOG.warning("cannot remove the staged file %s; remove it by hand: %s", self.shown(upload.path), error)
