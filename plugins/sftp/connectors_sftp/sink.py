"""Writes a file on an SFTP server: staged under a hidden name in the same folder, and renamed on commit."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import stat
import weakref
from typing import TYPE_CHECKING

import asyncssh

from connectors.errors import (
    ConnectorError,
    NotAnObject,
    NotSupported,
    ObjectExists,
    StorageError,
    StorageUnavailable,
)
from connectors_sftp.blocks import WINDOW, with_stall_timeout, write_at
from connectors_sftp.error_mapping import FOREIGN, REFUSED, storage_error
from connectors_sftp.loop import in_loop, post, run
from connectors_sftp.naming import appear, replace, warn_of_remains
from connectors_sftp.paths import ABSENT, encoded, found_at, kind_of, make_folders, parent_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors_sftp.sessions import Session, Sessions
    from connectors_sftp.source import SFTPSource

__all__ = ["SFTPSink"]

File = asyncssh.SFTPClientFile

PART_SIZE = WINDOW
"""Bytes that are held in memory and sent at once."""
COPY_SIZE = 1 << 26
"""Bytes that the server is asked to copy at once, during which it handles no other request."""
WORK_TIMEOUT = 600.0
"""Seconds for the server's work on its disk, syncing or copying, until the session counts as broken."""
STAGED_MODE = 0o600
"""Permissions of a staged file, which only its owner may read although it is sealed."""
OPENINGS = 3
"""Attempts to create the staged file, if its folder is removed while it is empty."""


class SFTPSink:
    """One file that is being written.

    Args:
        sessions: the server.
        path: the file's absolute path.
        exclusive: do not replace a file, even one that appears while this one is being written.

    Raises:
        ObjectExists: `exclusive`, and the file exists.
        NotAnObject: there is a folder, or the path is below a file.
        NotSupported: there is a device, pipe or socket, which a rename would replace with a file.
        AccessDenied, StorageUnavailable: nothing can be written there.
    """

    def __init__(self, sessions: Sessions, path: str, *, exclusive: bool = False) -> None:
        self._state = "discarded"  # until there is something to discard
        self._sessions = sessions
        self._path = path
        self._shown = sessions.endpoint.shown(path)
        self._exclusive = exclusive
        self._process = os.getpid()
        folder, _, name = path.rpartition("/")
        if not name:
            message = f"{self._shown} is a folder; name an object in it"
            raise NotAnObject(message)
        # Only the start of a long name, because the staged name must not be too long.
        self._staged = f"{folder}/.{name[:40]}.{secrets.token_hex(16)}.part"
        self._folders: list[str] = []
        self._pending = bytearray()
        self._written = 0
        self._mode: int | None = None
        self._created = False
        self._handle: tuple[Session, File] | None = None
        self._state = "open"
        _OPEN.add(self)
        try:
            self._session, self._file = self._handle = run(sessions.attempt(path, "write", self._open))
        except BaseException:
            self.discard()
            raise

    async def _open(self, session: Session) -> tuple[Session, File]:
        await self._check_place(session)
        for remaining in reversed(range(OPENINGS)):
            try:
                file = await self._create(session)
            except ABSENT:
                if not remaining:
                    raise
                made = await make_folders(session, parent_of(self._path), self._sessions.endpoint)
                self._folders += made
            else:
                break
        self._mode = await self._hide(file)
        return session, file

    async def _check_place(self, session: Session) -> None:
        """Fail before anything is sent; the rename on commit is what decides."""
        found = await found_at(session, self._path, follow=False)
        if found is None:
            return
        if self._exclusive:
            message = f"{self._shown} already exists, and mode 'xb' does not replace it"
            raise ObjectExists(message)
        found = await found_at(session, self._path)
        kind = kind_of(found) if found else "file"
        if kind == "directory":
            message = f"{self._shown} is a folder; name an object in it"
            raise NotAnObject(message)
        if kind != "file":
            message = f"{self._shown} is a device, pipe or socket; only files can be replaced"
            raise NotSupported(message)

    async def _create(self, session: Session) -> File:
        # Not FXF_EXCL, because this is retried if the response is lost; the name cannot be guessed.
        self._created = True
        flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC
        file: File = await with_stall_timeout(
            session.sftp.open(encoded(self._staged), flags, block_size=0, encoding=None)
        )
        return file

    @staticmethod
    async def _hide(file: File) -> int | None:
        """Make the file private to its owner; return the permissions that the server gave it, or None."""
        mode = (await with_stall_timeout(file.stat())).permissions
        if mode is None:
            return None
        try:
            await with_stall_timeout(file.setstat(asyncssh.SFTPAttrs(permissions=STAGED_MODE)))
        except asyncssh.SFTPError as error:
            if isinstance(error, (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)):
                raise
            return None  # servers in front of object stores refuse to set permissions
        return stat.S_IMODE(mode) & 0o777

    def _call(self, call: Callable[[], Awaitable[None]]) -> None:
        """Do what needs the file's handle, without a retry, because the handle is lost with its session."""
        run(self._once(call))

    async def _once(self, call: Callable[[], Awaitable[None]]) -> None:
        try:
            return await call()
        except FOREIGN as error:
            if isinstance(error, ConnectorError):
                raise
            ours = storage_error(error, self._shown, "write")
        if isinstance(ours, StorageUnavailable):
            self._session.give_up()
        raise ours

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send the parts that are complete.

        Raises:
            StorageError: the server did not accept a part. The staged file is removed, and the sink accepts nothing
                more.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            while view:
                room = PART_SIZE - len(self._pending)
                self._pending += view[:room]
                view = view[room:]
                if len(self._pending) == PART_SIZE:
                    self._call(self._flush)
        except BaseException:
            self.discard()
            raise

    async def _flush(self) -> None:
        if self._pending:
            with memoryview(self._pending) as pending:
                await write_at(self._session, self._file, pending, self._written)
            self._written += len(self._pending)
            self._pending = bytearray()

    def copy_from(self, source: SFTPSource) -> None:
        """Take all of another file's bytes, within the server if it can copy.

        Raises:
            ObjectChanged: the other file was changed meanwhile.
            StorageError: they cannot be read or written; the sink accepts nothing more.
        """
        self._check_open()
        try:
            if self._session.sftp.supports_remote_copy:
                self._call(lambda: self._copy_inside(source))
            else:
                for start in range(0, source.size, PART_SIZE):
                    self.write(memoryview(source.read_range(start, start + PART_SIZE)))
        except BaseException:
            self.discard()
            raise

    async def _copy_inside(self, source: SFTPSource) -> None:
        await self._flush()
        file = await source.file_in(self._session)
        for start in range(0, source.size, COPY_SIZE):
            size = min(COPY_SIZE, source.size - start)
            copying = self._session.sftp.remote_copy(file, self._file, start, size, self._written)
            await with_stall_timeout(copying, WORK_TIMEOUT)
            self._written += size
        await source.check(file)

    def commit(self) -> None:
        """Make the complete file appear, in place of the previous file.

        Raises:
            ObjectExists: `exclusive`, and the file exists.
            NotSupported: the file exists, and the server cannot replace it in one step.
            StorageUnavailable: no response came, so the complete file may or may not have appeared.
        """
        self._check_open()
        try:
            self._call(self._finish)
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        _OPEN.discard(self)

    async def _finish(self) -> None:
        await self._flush()
        await self._sync()
        size = (await with_stall_timeout(self._file.stat())).size
        if size != self._written:
            message = f"the server has {size} bytes of {self._shown} although {self._written} were sent; write it again"
            raise StorageError(message)
        await self._show()
        await with_stall_timeout(self._file.close())
        give_name = appear if self._exclusive else replace
        await give_name(self._session, self._sessions.endpoint, self._staged, self._path)

    async def _sync(self) -> None:
        """Flush the bytes to the server's disk before the rename, if the server supports that."""
        try:
            await with_stall_timeout(self._file.fsync(), WORK_TIMEOUT)
        except asyncssh.SFTPOpUnsupported:
            return

    async def _show(self) -> None:
        """Give the file the permissions of the file that it replaces, or the server's defaults for a new file."""
        if self._mode is None:
            return
        found = await found_at(self._session, self._path)
        mode = self._mode if found is None or found.permissions is None else stat.S_IMODE(found.permissions) & 0o777
        await with_stall_timeout(self._file.setstat(asyncssh.SFTPAttrs(permissions=mode)))

    def discard(self) -> None:
        """Keep the previous file and remove the staged one. Does nothing when called again."""
        # In a forked child, the sink belongs to the parent.
        if self._state != "open" or self._process != os.getpid():
            return
        self._state = "discarded"
        _OPEN.discard(self)
        self._pending = bytearray()
        if not self._created and not self._folders:
            return
        if in_loop():  # garbage collection may run in the loop's thread
            post(self._remove())
        else:
            run(self._remove())

    async def _remove(self) -> None:
        try:
            await self._sessions.attempt(self._path, "remove", self._remove_in)
        except ConnectorError as error:
            # Not raised, because it would hide the error that led to the discard.
            warn_of_remains(self._sessions.endpoint, self._staged, error)

    async def _remove_in(self, session: Session) -> None:
        if self._handle is not None and self._handle[0] is session:
            with contextlib.suppress(asyncssh.SFTPError):  # a failed commit may have closed it
                await with_stall_timeout(self._file.close())
        with contextlib.suppress(*ABSENT):
            await with_stall_timeout(session.sftp.remove(encoded(self._staged)))
        for folder in reversed(self._folders):
            try:
                await with_stall_timeout(session.sftp.rmdir(encoded(folder)))
            except (*ABSENT, *REFUSED, asyncssh.SFTPDirNotEmpty):
                break  # another process has put something into it

    def _check_open(self) -> None:
        if self._process != os.getpid():
            message = f"{self._shown} was opened for writing by the parent process; open it again in this one"
            raise StorageUnavailable(message)
        if self._state != "open":
            message = f"{self._shown} was already {self._state}"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown} {self._state}>"


_OPEN: weakref.WeakSet[SFTPSink] = weakref.WeakSet()
"""The sinks that are not yet committed."""


@atexit.register
def _discard_all() -> None:
    """Discard open sinks when the process exits normally; called before the loop ends."""
    for sink in list(_OPEN):
        sink.discard()
