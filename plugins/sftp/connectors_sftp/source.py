"""The sealed bytes of a file on an SFTP server, by ranges, from a handle that is kept open."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

import asyncssh

from connectors.errors import ConnectorError, NotAnObject, NotSupported, ObjectChanged, StorageUnavailable
from connectors_sftp.blocks import Missing, with_stall_timeout
from connectors_sftp.error_mapping import FOREIGN
from connectors_sftp.loop import post, run
from connectors_sftp.paths import encoded

if TYPE_CHECKING:
    from connectors_sftp.sessions import Session, Sessions

__all__ = ["SFTPSource"]

File = asyncssh.SFTPClientFile


class _Pin(NamedTuple):
    size: int
    mtime: int


class SFTPSource:
    """One file, as it is when it is opened.

    Its handle keeps it when another takes its name. Opened again after a broken connection, it must still have the
    size and time of modification that it had, and it must have them after each range.

    Args:
        sessions: the server.
        path: its absolute path.

    Raises:
        ObjectNotFound, NotAnObject, AccessDenied, StorageUnavailable: it cannot be opened.
        NotSupported: it is a device, pipe or socket.
    """

    def __init__(self, sessions: Sessions, path: str) -> None:
        self._closed = True  # until there is something to close
        self._sessions = sessions
        self._path = path
        self._shown = sessions.endpoint.shown(path)
        self._pin: _Pin | None = None
        self._opened: tuple[Session, asyncio.Task[File]] | None = None
        self._closed = False
        run(sessions.attempt(path, "read", self.file_in))

    @property
    def size(self) -> int:
        """The file's size in bytes, as the server says."""
        return self._pin.size if self._pin else 0

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, StorageUnavailable: the server does not give them.
            ObjectChanged: the file was written to, or another has taken its place while the connection was broken.
        """
        if self._closed:
            message = f"{self._shown} is closed"
            raise ValueError(message)
        stop = min(stop, self.size)
        if start >= stop:
            return memoryview(b"")
        retry_policy = self._sessions.retry_policy()
        missing = Missing(start, stop, retry_policy)
        run(
            self._sessions.attempt(
                self._path, "read", lambda session: self._read(session, missing), retry_policy=retry_policy
            )
        )
        return memoryview(missing.data)

    async def _read(self, session: Session, missing: Missing) -> None:
        file = await self.file_in(session)
        whole = await missing.read(session, file)
        await self.check(file)
        if not whole:
            message = f"the server gives fewer bytes of {self._shown} than it says there are"
            raise StorageUnavailable(message)

    async def check(self, file: File) -> None:
        """Check that the file is still what it was: asked after its bytes came, so that a change cannot slip between.

        Raises:
            ObjectChanged: it is not.
        """
        if _pin(await with_stall_timeout(file.stat()), self._shown) != self._pin:
            message = f"{self._shown} was changed while it was being read; open it again"
            raise ObjectChanged(message)

    async def file_in(self, session: Session) -> File:
        """Return the file's handle in a session, opened there by the first that needs it."""
        if self._opened is None or self._opened[0] is not session:
            self._opened = session, asyncio.ensure_future(self._open(session))
        # Shielded: others may be waiting for it when one is interrupted.
        return await asyncio.shield(self._opened[1])

    async def _open(self, session: Session) -> File:
        path = encoded(self._path)
        # Before it is opened: opening a pipe would hold up the server until somebody writes to it.
        self._check_kind(await with_stall_timeout(session.sftp.stat(path)))
        file: File = await with_stall_timeout(session.sftp.open(path, asyncssh.FXF_READ, block_size=0, encoding=None))
        attributes = await with_stall_timeout(file.stat())
        self._check_kind(attributes)
        found = _pin(attributes, self._shown)
        if self._pin is None:
            self._pin = found
        elif self._pin != found:
            await with_stall_timeout(file.close())
            message = f"{self._shown} was exchanged while it was being read; open it again"
            raise ObjectChanged(message)
        return file

    def _check_kind(self, attributes: asyncssh.SFTPAttrs) -> None:
        mode = attributes.permissions
        if mode is None or not stat.S_IFMT(mode) or stat.S_ISREG(mode):
            return
        if stat.S_ISDIR(mode):
            message = f"{self._shown} is a folder; name a single object"
            raise NotAnObject(message)
        message = f"{self._shown} is a device, pipe or socket; only files can be read"
        raise NotSupported(message)

    def close(self) -> None:
        """Let the file go; nothing is waited for."""
        self._closed, was_closed = True, self._closed
        # A forked child leaves its parent's handle to its parent.
        if not was_closed and self._opened is not None and self._opened[0].process == os.getpid():
            post(_close(*self._opened))

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown}>"


def _pin(attributes: asyncssh.SFTPAttrs, where: str) -> _Pin:
    if attributes.size is None:
        message = f"the server does not say how large {where} is"
        raise StorageUnavailable(message)
    return _Pin(attributes.size, attributes.mtime or 0)


async def _close(session: Session, opening: asyncio.Task[File]) -> None:
    try:
        file = await opening
        if session.alive:
            await with_stall_timeout(file.close())
    except (*FOREIGN, ConnectorError):
        return  # then there is nothing to be closed
