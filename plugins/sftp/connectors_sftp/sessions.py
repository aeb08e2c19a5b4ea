"""SFTP sessions with one server: opened on demand, shared by all threads, and replaced when they break."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING, TypeVar

from connectors.errors import ConnectorError, StorageUnavailable
from connectors.storage import RetryPolicy
from connectors_sftp.connecting import identity, open_connection
from connectors_sftp.error_mapping import FOREIGN, Action, storage_error
from connectors_sftp.loop import post, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import asyncssh

    from connectors_sftp.credentials import SFTPCredentials
    from connectors_sftp.location import Endpoint

__all__ = ["ATTEMPTS", "WINDOW", "Session", "Sessions"]

T = TypeVar("T")

ATTEMPTS = 5
"""The most consecutive attempts of a request that fail because of the connection."""
FIRST_PAUSE = 0.2
"""The longest first backoff in seconds; it doubles with each retry."""
STALL_TIMEOUT = 60.0
"""Seconds without a response until a session counts as broken."""
MAX_BLOCK = 1 << 18
"""Bytes in the largest request, whatever the server offers."""
WINDOW = 1 << 22
"""Bytes in flight at once: with a round trip of 40 ms, they allow 100 MB a second."""
MAX_REQUESTS = 128
"""Requests in flight at once, however small they are."""


class Session:
    """One SFTP session over one SSH connection.

    Args:
        connection: the connection.
        sftp: its client. Its paths are text; names that are not UTF-8 are restored as they were listed.
        endpoint: the server, for messages.

    Attributes:
        sftp: the client; `ask` waits for its responses.
        read_block, write_block: bytes to read or to write in one request.
        shown: returns the location of a path, for messages.
        process: the id of the process it belongs to.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient, endpoint: Endpoint) -> None:
        self._connection = connection
        self.sftp = sftp
        self.read_block = min(max(sftp.limits.max_read_len, 1), MAX_BLOCK)
        self.write_block = min(max(sftp.limits.max_write_len, 1), MAX_BLOCK)
        self.shown = endpoint.shown
        self.process = os.getpid()
        self._given_up = False

    @property
    def alive(self) -> bool:
        """False once the connection is known to be broken."""
        return not self._given_up and not self._connection.is_closed()

    async def open(self, path: str, flags: int) -> asyncssh.SFTPClientFile:
        """Return an open file whose reads and writes are one request each."""
        return await self.ask(self.sftp.open(path, flags, block_size=0, encoding=None))

    @staticmethod
    async def ask(request: Awaitable[T], limit: float | None = None) -> T:
        """Return the response to a request.

        Raises:
            TimeoutError: it did not come within `limit` seconds; without a limit, within `STALL_TIMEOUT`.
            asyncssh.Error, OSError: the request failed.
        """
        async with asyncio.timeout(STALL_TIMEOUT if limit is None else limit):
            return await request

    @staticmethod
    async def ask_many(
        places: Sequence[tuple[int, int]], block: int, request: Callable[[int, int], Awaitable[None]]
    ) -> None:
        """Request all places, many of them at once; each has at most `block` bytes.

        Raises:
            TimeoutError: none was finished for `STALL_TIMEOUT` seconds.
            asyncssh.Error, OSError: a request failed.
        """
        waiting = iter(places)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(STALL_TIMEOUT) as limit:

            async def worker() -> None:
                for start, stop in waiting:
                    await request(start, stop)
                    limit.reschedule(loop.time() + STALL_TIMEOUT)

            width = min(max(WINDOW // block, 1), MAX_REQUESTS, len(places))
            workers = [asyncio.ensure_future(worker()) for _ in range(width)]
            try:
                await asyncio.gather(*workers)
            finally:
                for one in workers:
                    one.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    def give_up(self) -> None:
        """Abort the connection without a disconnect message."""
        self._given_up = True
        self._connection.abort()


class Sessions:
    """The session with one server as one user; a forked child has its own.

    Args:
        endpoint: the server.
        credentials: the user's, with the expected host keys.

    Raises:
        InvalidCredentials: the private key cannot be read, or its passphrase is wrong.
    """

    def __init__(self, endpoint: Endpoint, credentials: SFTPCredentials) -> None:
        self.endpoint = endpoint
        self._credentials = credentials
        self._identity = identity(credentials)
        self._openings: dict[int, asyncio.Future[Session]] = {}
        # Not at exit, when the loop is closed with everything in it.
        weakref.finalize(self, _hang_up, self._openings).atexit = False

    def run(
        self,
        path: str,
        action: Action,
        call: Callable[[Session], Awaitable[T]],
        *,
        retry: bool = True,
        policy: RetryPolicy | None = None,
    ) -> T:
        """Return the result of `call` in a session; translate its errors.

        Args:
            path: the path, for messages.
            action: what is being done, for messages.
            call: what to do.
            retry: retry if the connection breaks. Not for what cannot be done twice: the first request may have been
                carried out although its response was lost.
            policy: decides how often, if `call` notes the bytes that arrive in it.

        Raises:
            ConnectorError: the last failure.
        """
        return run(self._attempt(self.endpoint.shown(path), action, call, policy or retry_policy(), retry=retry))

    async def _attempt(
        self, shown: str, action: Action, call: Callable[[Session], Awaitable[T]], policy: RetryPolicy, *, retry: bool
    ) -> T:
        while True:
            session = None
            try:
                session = await self._session()
                return await call(session)
            except FOREIGN as error:
                if isinstance(error, ConnectorError):
                    raise
                ours = storage_error(error, shown, action)
            # Raised outside the handler, so that the library's error is not chained.
            if not isinstance(ours, StorageUnavailable):
                raise ours
            if session is not None:
                session.give_up()
                if not retry:
                    raise ours
            await asyncio.sleep(policy.pause(ours))

    async def _session(self) -> Session:
        opening = self._openings.get(os.getpid())
        if opening is None or (opening.done() and not _succeeded(opening)):
            opening = self._openings[os.getpid()] = asyncio.ensure_future(self._open())
        # Shielded, because other threads may wait for it when one is interrupted.
        return await asyncio.shield(opening)

    async def _open(self) -> Session:
        connection = await open_connection(self.endpoint, self._credentials, self._identity)
        try:
            async with asyncio.timeout(STALL_TIMEOUT):
                sftp = await connection.start_sftp_client(path_errors="surrogateescape")
        except BaseException:
            connection.abort()
            raise
        return Session(connection, sftp, self.endpoint)


def retry_policy() -> RetryPolicy:
    """Return a new policy that decides how often something is attempted."""
    return RetryPolicy(attempts=ATTEMPTS, first_pause=FIRST_PAUSE)


def _succeeded(opening: asyncio.Future[Session]) -> bool:
    return not opening.cancelled() and opening.exception() is None and opening.result().alive


_INHERITED: list[asyncio.Future[Session]] = []
"""A forked child's copies of its parent's sessions, which are kept because dropping them would close them."""


def _hang_up(openings: dict[int, asyncio.Future[Session]]) -> None:
    """Close the connection of a `Sessions` that was garbage-collected."""
    own = openings.pop(os.getpid(), None)
    _INHERITED.extend(openings.values())
    if own is not None:
        post(_close(own))


async def _close(opening: asyncio.Future[Session]) -> None:
    if _succeeded(opening):
        opening.result().give_up()
