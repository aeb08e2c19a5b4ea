"""Reads and writes blocks of an open file with many requests in flight, and checks each response."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import asyncssh

from connectors_sftp.sessions import STALL_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from connectors.storage import RetryPolicy
    from connectors_sftp.sessions import Session

__all__ = ["WINDOW", "Missing", "with_stall_timeout", "write_at"]

T = TypeVar("T")

WINDOW = 1 << 22
"""Bytes in flight at once: with a round trip of 40 ms, they allow 100 MB a second."""
MAX_REQUESTS = 128
"""Requests in flight at once, however small they are."""


async def with_stall_timeout(request: Awaitable[T], limit: float | None = None) -> T:
    """Return the response to a request.

    Raises:
        TimeoutError: it did not come within `limit` seconds; without a limit, within `STALL_TIMEOUT`.
    """
    async with asyncio.timeout(STALL_TIMEOUT if limit is None else limit):
        return await request


class Missing:
    """A range of a file, which remembers what is still missing when a connection breaks.

    Args:
        start: the range's start.
        stop: the range's end, not beyond the file's.
        retry_policy: notes the bytes that arrive.

    Attributes:
        data: the range's bytes, as far as they have arrived.
    """

    def __init__(self, start: int, stop: int, retry_policy: RetryPolicy) -> None:
        self.data = bytearray(stop - start)
        self._start = start
        self._spans = {start: stop}
        self._retry_policy = retry_policy

    async def read(self, session: Session, file: asyncssh.SFTPClientFile) -> bool:
        """Read the missing bytes, and return whether the range is complete.

        Raises:
            asyncssh.Error, OSError: the session broke, or a response is invalid.
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
                    message = "more bytes than were requested"
                    raise asyncssh.SFTPBadMessage(message)
                if not data:
                    return  # the file ends early; a retry would not change that
                self.data[at - self._start : at - self._start + len(data)] = data
                del self._spans[at]
                at += len(data)
                if at < until:
                    self._spans[at] = until
                self._retry_policy.received(len(data))

        await _in_parallel(places, block, read)
        return not self._spans


async def write_at(session: Session, file: asyncssh.SFTPClientFile, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`.

    Raises:
        asyncssh.Error, OSError: the session broke, or the server does not accept them.
    """

    async def write(at: int, until: int) -> None:
        await file.write(bytes(data[at:until]), offset + at)

    block = session.write_block
    places = [(at, min(at + block, len(data))) for at in range(0, len(data), block)]
    await _in_parallel(places, block, write)


async def _in_parallel(
    places: Sequence[tuple[int, int]], block: int, work: Callable[[int, int], Awaitable[None]]
) -> None:
    """Do `work` on all places in parallel; each has at most `block` bytes.

    Raises:
        TimeoutError: no block was finished for `STALL_TIMEOUT` seconds.
    """
    waiting = iter(places)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(STALL_TIMEOUT) as limit:

        async def worker() -> None:
            for at, until in waiting:
                await work(at, until)
                limit.reschedule(loop.time() + STALL_TIMEOUT)

        width = min(max(WINDOW // block, 1), MAX_REQUESTS, len(places))
        workers = [asyncio.ensure_future(worker()) for _ in range(width)]
        try:
            await asyncio.gather(*workers)
        finally:
            for one in workers:
                one.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
