"""Open files on an SFTP server: read and written in blocks, many of them at once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from connectors.storage import RetryPolicy
    from connectors_sftp.sessions import Session

__all__ = ["File", "Missing", "OpenedOnce", "close_file", "write_at"]

File = asyncssh.SFTPClientFile


class OpenedOnce(ABC):
    """A file that is opened once in each session in which it is used.

    Attributes:
        opened: the latest of these sessions, and the open file.
    """

    opened: tuple[Session, asyncio.Future[File]] | None = None

    @abstractmethod
    async def open_in(self, session: Session) -> File:
        """Open the file."""

    async def file_in(self, session: Session) -> File:
        """Return the open file in a session; the first caller opens it. Raises as `open_in` does."""
        if self.opened is None or self.opened[0] is not session:
            self.opened = session, asyncio.ensure_future(self.open_in(session))
        # Shielded, because other callers may wait for it when one is interrupted.
        return await asyncio.shield(self.opened[1])


async def close_file(session: Session, opening: asyncio.Future[File]) -> None:
    """Close an open file, unless it was lost with its session.

    Raises:
        asyncssh.Error, OSError, ConnectorError: it could not be opened, or cannot be closed.
    """
    if session.alive:
        file = await opening
        await session.ask(file.close())


class Missing:
    """A range of a file, which remembers what is still missing when a connection breaks.

    Args:
        start: the range's start.
        stop: the range's end, not beyond the file's.
        policy: notes the bytes that arrive.

    Attributes:
        data: the range's bytes, as far as they have arrived.
    """

    def __init__(self, start: int, stop: int, policy: RetryPolicy) -> None:
        self.data = bytearray(stop - start)
        self._start = start
        self._spans = {start: stop}
        self._policy = policy

    async def read(self, session: Session, file: File) -> bool:
        """Read the missing bytes, and return whether the range is complete.

        Raises:
            asyncssh.Error, OSError: the session broke, or a response is invalid.
        """
        block = session.read_block
        places = [place for start, stop in self._spans.items() for place in _blocks(start, stop, block)]
        self._spans = dict(places)

        async def read(at: int, until: int) -> None:
            while at < until:
                data: bytes = await file.read(until - at, at)
                if len(data) > until - at:
                    message = "more bytes than were requested"
                    raise asyncssh.SFTPBadMessage(message)
                if not data:
                    return  # the file ends early; a retry would not change that
                self.data[at - self._start : at - self._start + len(data)] = data
                del self._spans[at]
                at += len(data)
                if at < until:
                    self._spans[at] = until
                self._policy.received(len(data))

        await session.ask_many(places, block, read)
        return not self._spans


async def write_at(session: Session, file: File, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`.

    Raises:
        asyncssh.Error, OSError: the session broke, or the server does not accept them.
    """

    async def write(at: int, until: int) -> None:
        await file.write(bytes(data[at:until]), offset + at)

    await session.ask_many(_blocks(0, len(data), session.write_block), session.write_block, write)


def _blocks(start: int, stop: int, block: int) -> list[tuple[int, int]]:
    return [(at, min(at + block, stop)) for at in range(start, stop, block)]
