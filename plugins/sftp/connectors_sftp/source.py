"""Reads the sealed bytes of a file on an SFTP server by ranges, from a handle that is kept open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import asyncssh

from connectors.errors import ObjectChanged, StorageUnavailable
from connectors_sftp.blocks import File, Missing, OpenedOnce, close_file
from connectors_sftp.loop import post
from connectors_sftp.names import check_file
from connectors_sftp.sessions import retry_policy

if TYPE_CHECKING:
    from connectors_sftp.sessions import Session, Sessions

__all__ = ["SFTPSource"]


class SFTPSource(OpenedOnce):
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

    _closed = False

    def __init__(self, sessions: Sessions, path: str) -> None:
        self._sessions = sessions
        self._path = path
        self._shown = sessions.endpoint.shown(path)
        self._version: tuple[int, int] | None = None
        sessions.run(path, "read", self.file_in)

    @property
    def size(self) -> int:
        """The file's size in bytes according to the server."""
        return self._version[0] if self._version else 0

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

    async def open_in(self, session: Session) -> File:
        """Open the file, if it still is in the version that was opened first."""
        # Checked before opening, because opening a pipe blocks the server until something is written to it.
        check_file(await session.ask(session.sftp.stat(self._path)), self._shown, "read")
        file = await session.open(self._path, asyncssh.FXF_READ)
        attributes = await session.ask(file.stat())
        check_file(attributes, self._shown, "read")
        found = _version(attributes, self._shown)
        if self._version is None:
            self._version = found
        elif self._version != found:
            await session.ask(file.close())
            message = f"{self._shown} was replaced while it was being read; open it again"
            raise ObjectChanged(message)
        return file

    def close(self) -> None:
        """Close the file without waiting."""
        self._closed, was_closed = True, self._closed
        # A forked child leaves the file to its parent.
        if not was_closed and self.opened is not None and self.opened[0].process == os.getpid():
            post(close_file(*self.opened))

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown}>"


def _version(attributes: asyncssh.SFTPAttrs, where: str) -> tuple[int, int]:
    """Return the size and the modification time."""
    if attributes.size is None:
        message = f"the server does not say how large {where} is"
        raise StorageUnavailable(message)
    return attributes.size, attributes.mtime or 0
