"""Reads and writes ranges of an open file in blocks, many of them at once, and checks each response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from connectors.storage import RetryPolicy
    from connectors_sftp.sessions import Session

__all__ = ["Missing", "write_at"]


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

    async def read(self, session: Session, file: asyncssh.SFTPClientFile) -> bool:
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


async def write_at(session: Session, file: asyncssh.SFTPClientFile, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`.

    Raises:
        asyncssh.Error, OSError: the session broke, or the server does not accept them.
    """

    async def write(at: int, until: int) -> None:
        await file.write(bytes(data[at:until]), offset + at)

    await session.ask_many(_blocks(0, len(data), session.write_block), session.write_block, write)


def _blocks(start: int, stop: int, block: int) -> list[tuple[int, int]]:
    return [(at, min(at + block, stop)) for at in range(start, stop, block)]
