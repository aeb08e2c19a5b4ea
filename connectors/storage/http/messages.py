"""Requests and responses of the HTTP engine."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from connectors.secrets import Hidden, SecretText
    from connectors.storage.http.connection import Connection
    from connectors.storage.http.incoming import IncomingResponse
    from connectors.storage.http.network import Origin

__all__ = ["Body", "FileBody", "Headers", "Reply", "Request", "Response"]

_BLOCK = 1 << 17
"""Bytes of a file that are read and sent at once."""


class Headers(Protocol):
    """The headers of a response, by name in any case."""

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    def get(self, name: str, default: str | None = None, /) -> str | None:
        """Return the first header of a name, or the default."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return the headers with their names, as they came."""


@dataclass(frozen=True, slots=True)
class FileBody:
    """A request's body in a file, which is read from its start for each attempt.

    Attributes:
        file: the open file.
        size: its bytes.
    """

    file: IO[bytes]
    size: int

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        self.file.seek(0, os.SEEK_SET)
        while block := self.file.read(_BLOCK):
            yield block


Body = bytes | memoryview | FileBody


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Its target may be secret, and so may its headers: neither is shown.

    Attributes:
        method: such as GET.
        origin: the server.
        target: the path and the query, encoded as they are sent.
        headers: the headers, without Host, User-Agent, Accept-Encoding (which is identity unless given) and
            Content-Length, which the client adds.
        body: the body, or None.
    """

    method: str
    origin: Origin
    target: SecretText = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Body | None = field(default=None, repr=False)
    secrets: Hidden | None = field(default=None, repr=False)
    """Further headers that are secret: a mapping that no traceback shows."""
    patience: float | None = None
    """Seconds in which the response must come, however slowly; None for the usual rule that a slow drip is a stall."""

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, with the secret ones."""
        return {**self.headers, **(self.secrets.reveal() if self.secrets is not None else {})}

    def blocks(self) -> Iterator[bytes | memoryview] | None:
        """Yield the blocks of the body; None if there is none."""
        if self.body is None:
            return None
        return self.body.blocks() if isinstance(self.body, FileBody) else iter((self.body,))

    @property
    def size(self) -> int:
        """The bytes of the body."""
        if isinstance(self.body, FileBody):
            return self.body.size
        return 0 if self.body is None else memoryview(self.body).nbytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that was read as a whole.

    Attributes:
        status: the HTTP status.
        headers: by name, in any case.
        body: the body.
        retries: how many requests were sent before it without a response.
    """

    status: int
    headers: Headers
    body: bytes = field(repr=False)
    retries: int = 0


class Response:
    """A response whose body is read by the caller, who ends it with `close`.

    Args:
        raw: the response of `http.client`.
        connection: the connection that it came by.
        origin: the server.
        keep: takes the connection for the next request.

    Attributes:
        origin: the server.
        status: the HTTP status.
        headers: by name, in any case.
    """

    def __init__(
        self,
        raw: IncomingResponse,
        connection: Connection,
        origin: Origin,
        keep: Callable[[Connection], None],
    ) -> None:
        self.origin = origin
        self._raw = raw
        self._connection = connection
        # Whoever takes the only item may use the socket: `close` to keep the connection, or `cancel` to end it.
        self._open = deque([connection])
        self._keep = keep
        self._process = os.getpid()
        self.status = raw.status
        self.headers = raw.headers

    @property
    def owned(self) -> bool:
        """Whether this process received it; a forked child must not read its parent's responses."""
        return self._process == os.getpid()

    @property
    def length(self) -> int | None:
        """The bytes of the body that are still to come, or None if the server did not say."""
        return self._raw.length

    def readinto(self, buffer: memoryview) -> int:
        """Read the next bytes into a buffer, and return how many: fewer than its size only at the end.

        Raises:
            OSError, http.client.HTTPException: the connection failed.
        """
        return self._raw.readinto(buffer)

    def read(self, limit: int) -> bytes:
        """Return the next bytes, at most `limit`. Raises as `readinto` does."""
        buffer = memoryview(bytearray(limit))
        received = 0
        while received < limit and (size := self._raw.readinto(buffer[received:])):
            received += size
        return bytes(buffer[:received])

    def cancel(self) -> None:
        """Wake a thread that waits in `readinto`: it gets no more bytes. Safe in any thread."""
        try:
            connection = self._open.pop()
        except IndexError:
            return  # it has ended, and another request may use the connection
        connection.interrupt()

    def close(self) -> None:
        """End the response: keep its connection if all of it was read, else close the connection."""
        usable = self._raw.is_whole and not self._raw.is_last and self.owned
        self._raw.close()
        try:
            self._open.pop()
        except IndexError:  # cancelled
            usable = False
        usable = usable and not self._connection.has_surplus
        if usable and self._connection.sock is not None:
            self._keep(self._connection)
        else:
            self._connection.close()  # in a forked child only this process's copy of the socket
