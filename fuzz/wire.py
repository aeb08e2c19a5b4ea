"""Scripted servers: a client that connects finds the response on the socket already.

The clients are the plugins' own, with their HTTP libraries, down to the socket; this module has the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import aiohttp.connector
import asyncssh
import urllib3.connection
from asyncssh.sftp import SFTPClientHandler

from connectors.storage.http.connection import Connection
from connectors_sftp.sessions import Session, Sessions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ScriptedSessions", "replace", "responding"]

MAX_CONNECTIONS = 12
"""Further connections are refused: a server that always has another page must not block a test forever."""


class _Wire:
    """The responses for the connections of one test; the last one is repeated."""

    def __init__(self, responses: Sequence[bytes]) -> None:
        self._responses = responses
        self._ends: deque[socket.socket] = deque()
        self.made = 0

    def connect(self) -> socket.socket:
        """Return a connected socket whose other end has sent the response and nothing more."""
        if self.made == MAX_CONNECTIONS:
            message = "no more connections"
            raise ConnectionRefusedError(message)
        response = self._responses[min(self.made, len(self._responses) - 1)]
        self.made += 1
        ours, theirs = socket.socketpair()
        theirs.sendall(response)
        theirs.shutdown(socket.SHUT_WR)
        self._ends.append(theirs)  # closing it now would refuse the request
        return ours

    def close(self) -> None:
        for one in self._ends:
            one.close()


@contextlib.contextmanager
def responding(*responses: bytes) -> Iterator[_Wire]:
    """Respond to every connection of an HTTP client with the given bytes, and skip all sleeps, during the block.

    Args:
        responses: for the first connection, the second, and so on; the last one is repeated.
    """
    wire = _Wire(responses)

    async def start_connection(*_: Any, **__: Any) -> socket.socket:
        ours = wire.connect()
        ours.settimeout(0)
        return ours

    def connect(connection: Connection) -> None:  # also in place of a TLS handshake
        connection.sock = wire.connect()

    rest = asyncio.sleep

    with contextlib.ExitStack() as undone:
        replace(undone, Connection, "connect", connect)
        replace(undone, urllib3.connection.HTTPConnection, "_new_conn", lambda _: wire.connect())
        replace(undone, aiohttp.connector.aiohappyeyeballs, "start_connection", start_connection)
        replace(undone, time, "sleep", lambda _: None)
        replace(undone, asyncio, "sleep", lambda _, result=None: rest(0, result))
        undone.callback(wire.close)
        yield wire


def replace(undone: contextlib.ExitStack, owner: Any, name: str, value: Any) -> None:
    """Set an attribute until a stack exits."""
    undone.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


class ScriptedSessions(Sessions):
    """Sessions with an SFTP server that responds to each request with the next packet of a script.

    Args:
        endpoint: the endpoint that errors show.
        credentials: as for `Sessions`.
        packets: for each response, the type byte and what follows the request ID; then the connection ends.
    """

    def __init__(self, endpoint: Any, credentials: Any, packets: Sequence[bytes]) -> None:
        super().__init__(endpoint, credentials)
        self._packets = packets

    async def _open(self) -> Session:
        channel = _Channel(self._packets)
        reader: Any = channel
        handler = SFTPClientHandler(asyncio.get_running_loop(), "strict", reader, reader, 3)
        await handler.start()
        connection: Any = channel
        channel.receiving = asyncio.ensure_future(handler.recv_packets())
        await handler.request_limits()
        return Session(connection, asyncssh.SFTPClient(handler, "utf-8", "surrogateescape"), self.endpoint)


class _Channel:
    """An SSH channel and connection, as far as asyncssh's SFTP client uses them."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._script = list(packets)
        self._incoming = asyncio.StreamReader()
        self._closed = False
        self.logger = asyncssh.logging.logger
        self.channel = self
        self.receiving: asyncio.Future[None] | None = None

    def write(self, data: bytes) -> None:
        """Respond to a request; its type and ID follow its length."""
        kind = data[4]
        if self._closed or not self._script:
            self._incoming.feed_eof()
            return
        packet = self._script.pop(0)
        payload = packet if kind == asyncssh.sftp.FXP_INIT else packet[:1] + data[5:9] + packet[1:]
        self._incoming.feed_data(struct.pack(">I", len(payload)) + payload)

    async def readexactly(self, size: int) -> bytes:
        """Return the next bytes."""
        return await self._incoming.readexactly(size)

    def get_extra_info(self, _: str, default: Any = None) -> Any:
        """Return the default: nothing is known about the server."""
        return default

    def is_closing(self) -> bool:
        """Tell whether it is closed."""
        return self._closed

    def is_closed(self) -> bool:
        """Tell whether it is closed."""
        return self._closed

    def close(self) -> None:
        """Close it."""
        self._closed = True
        self._incoming.feed_eof()

    abort = close
