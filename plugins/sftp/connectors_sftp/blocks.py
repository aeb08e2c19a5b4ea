"""Reading and writing at offsets of an open file: many requests under way at once, each answer held to its question."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import asyncssh

from connectors_sftp.sessions import SILENCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from connectors.storage import RetryPolicy
    from connectors_sftp.sessions import Session

__all__ = ["WINDOW", "Missing", "with_stall_timeout", "write_at"]

T = TypeVar("T")

WINDOW = 1 << 22
"""Bytes under way at once: at 40 ms to the server and back, they are 100 MB a second."""
MAX_REQUESTS = 128
"""Requests under way at once, however small they are."""


async def with_stall_timeout(request: Awaitable[T], limit: float | None = None) -> T:
    """Return the answer to a request.

    Raises:
        TimeoutError: it did not come in `limit` seconds, if not `SILENCE`.
    """
    async with asyncio.timeout(SILENCE if limit is None else limit):
        return await request


class Missing:
    """A range of a file, and what is still to be read of it: also what a connection that broke has left.

    Args:
        start: where it starts.
        stop: where it stops, no later than the file.
        retry_policy: is told of what arrives.

    Attributes:
        data: what is there of it, in its place.
    """

    def __init__(self, start: int, stop: int, retry_policy: RetryPolicy) -> None:
        self.data = bytearray(stop - start)
        self._start = start
        self._spans = {start: stop}
        self._retry_policy = retry_policy

    async def read(self, session: Session, file: asyncssh.SFTPClientFile) -> bool:
        """Read what is missing, and return whether that was all there should be.

        Raises:
            asyncssh.Error, OSError: the session broke, or gives something else than was asked for.
        """
        block = session.read_block
        places = [
            (at, min(at + block, stop)) for start, stop in self._spans.items() for at in range(start, stop, block)
        ]
        self._spans = dict(places)

        async def read(at: int, until: int) -> None:
            while at < until:
                data: bytes = await file.read(until - at, at)
                if len(data) > until - at:
                    message = "more bytes than were asked for"
                    raise asyncssh.SFTPBadMessage(message)
                if not data:
                    return  # the file ends before: another request would not change that
                self.data[at - self._start : at - self._start + len(data)] = data
                del self._spans[at]
                at += len(data)
                if at < until:
                    self._spans[at] = until
                self._retry_policy.arrived(len(data))

        await _side_by_side(places, block, read)
        return not self._spans


async def write_at(session: Session, file: asyncssh.SFTPClientFile, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`.

    Raises:
        asyncssh.Error, OSError: the session broke, or the server does not take them.
    """

    async def write(at: int, until: int) -> None:
        await file.write(bytes(data[at:until]), offset + at)

    block = session.write_block
    places = [(at, min(at + block, len(data))) for at in range(0, len(data), block)]
    await _side_by_side(places, block, write)


async def _side_by_side(
    places: Sequence[tuple[int, int]], block: int, work: Callable[[int, int], Awaitable[None]]
) -> None:
    """Do `work` on each place, which has `block` bytes at most.

    Raises:
        TimeoutError: no block was done for `SILENCE` seconds.
    """
    waiting = iter(places)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SILENCE) as limit:

        async def worker() -> None:
            for at, until in waiting:
                await work(at, until)
                limit.reschedule(loop.time() + SILENCE)

        width = min(max(WINDOW // block, 1), MAX_REQUESTS, len(places))
        workers = [asyncio.ensure_future(worker()) for _ in range(width)]
        try:
            await asyncio.gather(*workers)
        finally:
            for one in workers:
                one.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
