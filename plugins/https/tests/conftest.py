"""An HTTP server on loopback that misbehaves as configured, and records every byte that it receives."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from patience import PATIENCE

from connectors.secrets import SecretText
from connectors.storage import Limits, RangedSource, RetryPolicy
from connectors_https.filesystem import PresignedFileSystem
from connectors_https.location import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUICK = Limits(connect_timeout=PATIENCE, stall_timeout=PATIENCE)


@dataclass
class Request:
    """What a client sent: its unparsed request line, its headers by lower-case name, its body."""

    line: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    def span(self, size: int) -> tuple[int, int] | None:
        """Return the requested range of an object of `size` bytes."""
        matched = re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", self.headers.get("range", ""))
        return (int(matched[1]), min(int(matched[2]) + 1, size)) if matched else None


@dataclass
class Reply:
    """What a server sends.

    Attributes:
        status: the HTTP status.
        body: the bytes that Content-Length promises, unless `headers` has one.
        headers: further headers; a None leaves one out that would be there.
        cut: how many bytes of the body are sent before the connection is closed, or None for all.
        hang_up: close the connection without an answer.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str | None] = field(default_factory=dict)
    cut: int | None = None
    hang_up: bool = False

    def encode(self) -> bytes:
        headers: dict[str, str | None] = {"Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Whatever"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body[: self.cut]


class Origin:
    """A server: `answer` responds to each request; `requests` are those that it received."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Callable[[Request], Reply] = lambda _: Reply(404)
        self.requests: list[Request] = []
        self.connections = 0
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return [request.line for request in self.requests]

    @property
    def ranges(self) -> list[str | None]:
        return [request.headers.get("range") for request in self.requests]

    def fs(
        self, query: str | None = None, *, path: str = "/clinic/conditions", limits: Limits = QUICK
    ) -> PresignedFileSystem:
        """Return a filesystem of the object at `path`."""
        return PresignedFileSystem(Place.of(self.base + path), None if query is None else SecretText(query), limits)

    def source(self, query: str | None = None) -> RangedSource:
        """Return a source of the object at the usual path."""
        fs = self.fs(query)
        return fs.open_source(fs.path)

    def serve(self, data: bytes, **headers: str) -> None:
        """Respond correctly: with ranges, an ETag and If-Match."""
        self.answer = lambda request: well_behaved(request, data, **headers)

    def then(self, *replies: Reply) -> None:
        """Respond with `replies` first, one per request, and then as before."""
        usual, first = self.answer, list(replies)
        self.answer = lambda request: first.pop(0) if first else usual(request)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._converse, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(self._open.discard, connection)
            stack.enter_context(connection)
            if self._tls is not None:
                connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
                self._open.add(connection)
                stack.callback(self._open.discard, connection)
            with connection.makefile("rb") as stream:
                while (line := stream.readline()).endswith(b"\r\n"):
                    headers = {}
                    while (header := stream.readline()) not in (b"\r\n", b""):
                        name, _, value = header.decode("latin-1").partition(":")
                        headers[name.strip().lower()] = value.strip()
                    body = stream.read(int(headers.get("content-length", "0")))
                    request = Request(line.decode("latin-1").removesuffix("\r\n"), headers, body)
                    self.requests.append(request)
                    reply = self.answer(request)
                    if reply.hang_up:
                        return
                    connection.sendall(reply.encode())
                    if reply.cut is not None:
                        return

    def close(self) -> None:
        # Closing alone would not wake the accepting thread.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


def well_behaved(request: Request, data: bytes, **headers: str) -> Reply:
    """Respond as a storage should."""
    named: dict[str, str | None] = {"ETag": '"v1"', "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT", **headers}
    if request.headers.get("if-match", named["ETag"]) != named["ETag"]:
        return Reply(412)
    span = request.span(len(data))
    if span is None:
        return Reply(200, data, named)
    if span[0] >= len(data):
        return Reply(416, b"", {**named, "Content-Range": f"bytes */{len(data)}"})
    content_range = f"bytes {span[0]}-{span[1] - 1}/{len(data)}"
    return Reply(206, data[slice(*span)], {**named, "Content-Range": content_range})


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    """A server whose clients retry at once, four times at most."""
    monkeypatch.setattr(RetryPolicy, "attempts", 4)
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.001)
    monkeypatch.setattr(RetryPolicy, "longest_pause", 0.01)
    server = Origin()
    yield server
    server.close()


@pytest.fixture
def tls_origin() -> Iterator[Callable[[ssl.SSLContext], Origin]]:
    with contextlib.ExitStack() as stack:

        def start(context: ssl.SSLContext) -> Origin:
            server = Origin(context)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def reply() -> type[Reply]:
    """`Reply`, as a fixture, because tests cannot import from this file."""
    return Reply


@pytest.fixture
def quick() -> Limits:
    return QUICK


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The backoffs in seconds, which take no time."""
    seen: list[float] = []
    pause = RetryPolicy.pause

    def record(policy: RetryPolicy, error: Exception, asked: float | None = None) -> float:
        seen.append(pause(policy, error, asked))
        return 0.0

    monkeypatch.setattr(RetryPolicy, "pause", record)
    return seen
