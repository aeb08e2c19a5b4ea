"""Writes a file on an SFTP server: staged under a hidden name in the same folder, and renamed on commit."""

from __future__ import annotations

import atexit
import contextlib
import secrets
import weakref
from typing import TYPE_CHECKING

import asyncssh

from connectors.errors import ConnectorError, NotAnObject, NotSupported, ObjectExists, StorageError
from connectors.storage import AtomicSink
from connectors_sftp.blocks import write_at
from connectors_sftp.error_mapping import ABSENT, REFUSED
from connectors_sftp.loop import in_loop, post, run
from connectors_sftp.names import appear, found_at, kind_of, make_folders, mode_of, parent_of, replace, warn_of_remains
from connectors_sftp.sessions import WINDOW

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors_sftp.sessions import Session, Sessions
    from connectors_sftp.source import SFTPSource

__all__ = ["SFTPSink"]

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


class SFTPSink(AtomicSink):
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
        super().__init__(sessions.endpoint.shown(path))
        self._sessions = sessions
        self._path = path
        self._exclusive = exclusive
        # Only the start of a long name, because the staged name must not be too long.
        folder, _, name = path.rpartition("/")
        self._staged = f"{folder}/.{name[:40]}.{secrets.token_hex(16)}.part"
        self._folders: list[str] = []
        self._pending = bytearray()
        self._written = 0
        self._mode: int | None = None
        self._handle: tuple[Session, asyncssh.SFTPClientFile] | None = None
        sessions.run(path, "write", self._check_place)
        _SINKS.add(self)
        try:
            self._session, self._file = self._handle = sessions.run(path, "write", self._open)
        except BaseException:
            self.discard()
            raise

    async def _check_place(self, session: Session) -> None:
        """Fail before anything is sent; the rename on commit is what decides."""
        found = await found_at(session, self._path, follow=False)
        if found is not None and self._exclusive:
            message = f"{self._shown} already exists, and mode 'xb' does not replace it"
            raise ObjectExists(message)
        if found is not None:
            found = await found_at(session, self._path)
        kind = "file" if found is None else kind_of(found)
        if kind == "directory" or self._path.endswith("/"):
            message = f"{self._shown} is a folder; name an object in it"
            raise NotAnObject(message)
        if kind != "file":
            message = f"{self._shown} is a device, pipe or socket; only files can be replaced"
            raise NotSupported(message)

    async def _open(self, session: Session) -> tuple[Session, asyncssh.SFTPClientFile]:
        # Not FXF_EXCL, because this is retried if the response is lost; the name cannot be guessed.
        flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC
        for remaining in reversed(range(OPENINGS)):
            try:
                file = await session.open(self._staged, flags)
            except ABSENT:
                if not remaining:
                    raise
            else:
                break
            self._folders += await make_folders(session, parent_of(self._path))
        self._mode = mode_of(await session.ask(file.stat()))
        if self._mode is not None:
            try:
                await session.ask(file.setstat(asyncssh.SFTPAttrs(permissions=STAGED_MODE)))
            except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection):
                raise
            except asyncssh.SFTPError:
                self._mode = None  # servers in front of object stores refuse to set permissions
        return session, file

    def _call(self, call: Callable[[Session], Awaitable[None]]) -> None:
        """Do what needs the file's handle, in its session: it is lost with that."""
        self._sessions.run(self._path, "write", call, within=self._session)

    def take(self, data: memoryview) -> None:
        """Take all of `data`, and send the parts that are complete."""
        while data:
            room = PART_SIZE - len(self._pending)
            self._pending += data[:room]
            data = data[room:]
            if len(self._pending) == PART_SIZE:
                self._call(self._flush)

    async def _flush(self, session: Session) -> None:
        with memoryview(self._pending) as pending:
            await write_at(session, self._file, pending, self._written)
        self._written += len(self._pending)
        self._pending = bytearray()

    def copy_from(self, source: SFTPSource) -> None:
        """Take all of another file's bytes, within the server if it can copy.

        Raises:
            ObjectChanged: the other file was changed meanwhile.
            StorageError: they cannot be read or written; the sink accepts nothing more.
        """
        self._do(lambda: self._copy_from(source))

    def _copy_from(self, source: SFTPSource) -> None:
        if self._session.sftp.supports_remote_copy:
            self._call(lambda session: self._copy_inside(session, source))
            return
        for start in range(0, source.size, PART_SIZE):
            self.take(memoryview(source.read_range(start, start + PART_SIZE)))

    async def _copy_inside(self, session: Session, source: SFTPSource) -> None:
        await self._flush(session)
        file = await source.file_in(session)
        for start in range(0, source.size, COPY_SIZE):
            size = min(COPY_SIZE, source.size - start)
            await session.ask(session.sftp.remote_copy(file, self._file, start, size, self._written), WORK_TIMEOUT)
            self._written += size
        await source.check(session, file)

    def publish(self) -> None:
        """Make the complete file appear, in place of the previous file.

        Raises:
            ObjectExists: `exclusive`, and the file exists.
            NotSupported: the file exists, and the server cannot replace it in one step.
            StorageUnavailable: no response came, so the complete file may or may not have appeared.
        """
        self._call(self._publish)

    async def _publish(self, session: Session) -> None:
        await self._flush(session)
        with contextlib.suppress(asyncssh.SFTPOpUnsupported):
            await session.ask(self._file.fsync(), WORK_TIMEOUT)
        size = (await session.ask(self._file.stat())).size
        if size != self._written:
            message = f"the server has {size} bytes of {self._shown} although {self._written} were sent; write it again"
            raise StorageError(message)
        if self._mode is not None:
            # Those of the file that is replaced, or the server's defaults for a new file.
            replaced = mode_of(await found_at(session, self._path))
            mode = self._mode if replaced is None else replaced
            await session.ask(self._file.setstat(asyncssh.SFTPAttrs(permissions=mode)))
        await session.ask(self._file.close())
        give_name = appear if self._exclusive else replace
        await give_name(session, self._staged, self._path)

    def drop(self) -> None:
        """Remove the staged file, and the folders that were made for it."""
        self._pending = bytearray()
        if in_loop():  # garbage collection may run in the loop's thread
            post(self._remove())
        else:
            run(self._remove())

    async def _remove(self) -> None:
        try:
            await self._sessions.attempt(self._path, "remove", self._remove_in)
        except ConnectorError as error:
            # Not raised, because it would hide the error that led to the discard.
            warn_of_remains(self._sessions.endpoint.shown(self._staged), error)

    async def _remove_in(self, session: Session) -> None:
        if self._handle is not None and self._handle[0] is session:
            with contextlib.suppress(asyncssh.SFTPError):  # a failed commit may have closed it
                await session.ask(self._file.close())
        with contextlib.suppress(*ABSENT):
            await session.ask(session.sftp.remove(self._staged))
        # Unless another process has put something into them.
        with contextlib.suppress(*ABSENT, *REFUSED, asyncssh.SFTPDirNotEmpty):
            for folder in reversed(self._folders):
                await session.ask(session.sftp.rmdir(folder))


_SINKS: weakref.WeakSet[SFTPSink] = weakref.WeakSet()


@atexit.register
def _discard_all() -> None:
    """Discard open sinks when the process exits normally; called before the loop ends."""
    for sink in list(_SINKS):
        sink.discard()
