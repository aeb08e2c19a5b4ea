"""Reads the sealed bytes of a file on an SFTP server by ranges, from a handle that is kept open."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

import asyncssh

from connectors.errors import ConnectorError, NotAnObject, NotSupported, ObjectChanged, StorageUnavailable
from connectors_sftp.blocks import Missing
from connectors_sftp.error_mapping import FOREIGN
from connectors_sftp.loop import post
from connectors_sftp.sessions import retry_policy

if TYPE_CHECKING:
    from connectors_sftp.sessions import Session, Sessions

__all__ = ["SFTPSource"]

File = asyncssh.SFTPClientFile


class _Version(NamedTuple):
    size: int
    mtime: int


class SFTPSource:
    """One file in the version that was opened.

    Its handle stays valid when the file is replaced. After each range, and when it is opened again after a broken
    connection, the file must still have the same size and modification time.

    Args:
        sessions: the server.
        path: the file's absolute path.

    Raises:
        ObjectNotFound, NotAnObject, AccessDenied, StorageUnavailable: the file cannot be opened.
        NotSupported: it is a device, pipe or socket.
    """

    def __init__(self, sessions: Sessions, path: str) -> None:
        self._closed = True  # until there is something to close
        self._sessions = sessions
        self._path = path
        self._shown = sessions.endpoint.shown(path)
        self._version: _Version | None = None
        self._opened: tuple[Session, asyncio.Task[File]] | None = None
        self._closed = False
        sessions.run(path, "read", self.file_in)

    @property
    def size(self) -> int:
        """The file's size in bytes according to the server."""
        return self._version.size if self._version else 0

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, StorageUnavailable: they cannot be read.
            ObjectChanged: the file was changed, or was replaced while the connection was broken.
        """
        if self._closed:
            message = f"{self._shown} is closed"
            raise ValueError(message)
        stop = min(stop, self.size)
        if start >= stop:
            return memoryview(b"")
        policy = retry_policy()
        missing = Missing(start, stop, policy)
        self._sessions.run(self._path, "read", lambda session: self._read(session, missing), policy=policy)
        return memoryview(missing.data)

    async def _read(self, session: Session, missing: Missing) -> None:
        file = await self.file_in(session)
        whole = await missing.read(session, file)
        await self.check(session, file)
        if not whole:
            message = f"the server sent fewer bytes of {self._shown} than it has according to its size"
            raise StorageUnavailable(message)

    async def check(self, session: Session, file: File) -> None:
        """Check that the file has not changed, after its bytes have arrived, so that no change goes undetected.

        Raises:
            ObjectChanged: it has.
        """
        if _version(await session.ask(file.stat()), self._shown) != self._version:
            message = f"{self._shown} was changed while it was being read; open it again"
            raise ObjectChanged(message)

    async def file_in(self, session: Session) -> File:
        """Return the file's handle in a session; the first caller opens it."""
        if self._opened is None or self._opened[0] is not session:
            self._opened = session, asyncio.ensure_future(self._open(session))
        # Shielded, because other callers may wait for it when one is interrupted.
        return await asyncio.shield(self._opened[1])

    async def _open(self, session: Session) -> File:
        # Checked before opening, because opening a pipe blocks the server until something is written to it.
        self._check_kind(await session.ask(session.sftp.stat(self._path)))
        file = await session.open(self._path, asyncssh.FXF_READ)
        attributes = await session.ask(file.stat())
        self._check_kind(attributes)
        found = _version(attributes, self._shown)
        if self._version is None:
            self._version = found
        elif self._version != found:
            await session.ask(file.close())
            message = f"{self._shown} was replaced while it was being read; open it again"
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
        """Close the file without waiting."""
        self._closed, was_closed = True, self._closed
        # A forked child leaves the handle to its parent.
        if not was_closed and self._opened is not None and self._opened[0].process == os.getpid():
            post(_close(*self._opened))

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown}>"


def _version(attributes: asyncssh.SFTPAttrs, where: str) -> _Version:
    if attributes.size is None:
        message = f"the server does not say how large {where} is"
        raise StorageUnavailable(message)
    return _Version(attributes.size, attributes.mtime or 0)


async def _close(session: Session, opening: asyncio.Task[File]) -> None:
    try:
        file = await opening
        if session.alive:
            await session.ask(file.close())
    except (*FOREIGN, ConnectorError):
        return  # the handle was lost with its session
