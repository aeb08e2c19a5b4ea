"""Reading and writing at offsets of an open file: many requests under way at once, each answer held to its question."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import asyncssh

from connectors_sftp.sessions import SILENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from connectors_sftp.sessions import Session

__all__ = ["WINDOW", "patiently", "read_range", "write_at"]

T = TypeVar("T")

WINDOW = 1 << 22
"""Bytes under way at once: at 40 ms to the server and back, they are 100 MB a second."""
MAX_REQUESTS = 128
"""Requests under way at once, however small they are."""


async def patiently(request: Awaitable[T], limit: float | None = None) -> T:
    """Return the answer to a request.

    Raises:
        TimeoutError: it did not come in `limit` seconds, if not `SILENCE`.
    """
    async with asyncio.timeout(SILENCE if limit is None else limit):
        return await request


async def read_range(session: Session, file: asyncssh.SFTPClientFile, start: int, stop: int) -> bytearray:
    """Return the bytes from `start` to `stop`; fewer where the server says that the file ends before.

    Raises:
        asyncssh.Error, OSError: the session broke, or gives something else than was asked for.
    """
    out = bytearray(stop - start)
    ends = stop

    async def read(at: int, until: int) -> None:
        nonlocal ends
        while at < min(until, ends):
            data: bytes = await file.read(until - at, at)
            if len(data) > until - at:
                message = "more bytes than were asked for"
                raise asyncssh.SFTPBadMessage(message)
            if not data:
                ends = min(ends, at)
            out[at - start : at - start + len(data)] = data
            at += len(data)

    await _side_by_side(start, stop, session.read_block, read)
    del out[ends - start :]
    return out


async def write_at(session: Session, file: asyncssh.SFTPClientFile, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`.

    Raises:
        asyncssh.Error, OSError: the session broke, or the server does not take them.
    """

    async def write(at: int, until: int) -> None:
        await file.write(bytes(data[at:until]), offset + at)

    await _side_by_side(0, len(data), session.write_block, write)


async def _side_by_side(start: int, stop: int, block: int, work: Callable[[int, int], Awaitable[None]]) -> None:
    """Do `work` on each block between `start` and `stop`.

    Raises:
        TimeoutError: no block was done for `SILENCE` seconds.
    """
    places = iter(range(start, stop, block))
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SILENCE) as limit:

        async def worker() -> None:
            for at in places:
                await work(at, min(at + block, stop))
                limit.reschedule(loop.time() + SILENCE)

        width = min(max(WINDOW // block, 1), MAX_REQUESTS, -(-(stop - start) // block))
        workers = [asyncio.ensure_future(worker()) for _ in range(width)]
        try:
            await asyncio.gather(*workers)
        finally:
            for one in workers:
                one.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
