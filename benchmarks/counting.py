"""Counts requests and bytes between clients and servers, so that the counts do not depend on the clients."""

from __future__ import annotations

import http.client
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from benchmarks.bench import discard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Row, Run

_BLOCK = 1 << 16
_REQUEST = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[01]\r\n")
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding"})


@dataclass
class Wire:
    """The traffic through a proxy.

    Attributes:
        url: the URL of the proxy.
        requests: the number of requests.
        fetched: the number of bytes in response bodies.
    """

    url: str = ""
    requests: int = 0
    fetched: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, requests: int, fetched: int) -> None:
        with self._lock:
            self.requests += requests
            self.fetched += fetched

    def reset(self) -> None:
        with self._lock:
            self.requests = self.fetched = 0

    def counting(self, setup: Callable[[str], Run]) -> Callable[[], Row]:
        """Return a function that runs once through this proxy, and returns the counts as columns of its row.

        Args:
            setup: takes the URL of a server, and returns the run.
        """

        def count() -> Row:
            run = setup(self.url)
            self.reset()
            run(discard)
            return {"requests": self.requests, "fetched": self.fetched}

        return count


@contextmanager
def counted(upstream: str) -> Iterator[Wire]:
    """Forward requests unchanged to a server, including `Host`, which signatures cover; count them.

    Responses are forwarded unchanged too, but for links to the server in JSON, as Google's clients follow them: these
    lead through the proxy.
    """
    wire = Wire()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Forwarder, wire, urlsplit(upstream).netloc)) as server:
        wire.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield wire
        finally:
            server.shutdown()


class _Forwarder(BaseHTTPRequestHandler):
    """One connection of a client, and its connection to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, wire: Wire, upstream: str, *arguments: Any) -> None:
        self._wire, self._upstream = wire, http.client.HTTPConnection(upstream)
        self._links = f"http://{upstream}/".encode(), f"{wire.url}/".encode()
        super().__init__(*arguments)  # serves the connection until it ends
        self._upstream.close()

    def _forward(self) -> None:
        self._wire.count(1, 0)
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP:
                self._upstream.putheader(name, value)
        length = int(self.headers.get("Content-Length", 0))
        self._upstream.endheaders(self.rfile.read(length) if length else None)
        self._respond(self._upstream.getresponse())

    def _respond(self, response: http.client.HTTPResponse) -> None:
        self.send_response_only(response.status, response.reason)
        if response.getheader("Content-Type", "").startswith("application/json"):
            self._respond_json(response)
            return
        for name, value in response.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if response.length is None and self.command != "HEAD":
            self.send_header("Connection", "close")
        self.end_headers()
        while data := response.read(_BLOCK):
            self._wire.count(0, len(data))  # before writing: a client that has the last byte may read the count
            self.wfile.write(data)

    def _respond_json(self, response: http.client.HTTPResponse) -> None:
        data = response.read().replace(*self._links)
        self._wire.count(0, len(data))
        for name, value in response.getheaders():
            if name.lower() not in _HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 - the names that http.server requires

    def log_message(self, *_: object) -> None:
        pass


class RequestCounter:
    """Counts the HTTP/1.1 requests in the bytes that a client sends; it does not count another protocol's."""

    _LONGEST = 1 << 16
    """Bytes of the longest head of a request, or line between chunks, that is understood."""

    def __init__(self) -> None:
        self._awaits: Literal["head", "size", "trailer"] | None = "head"
        self._partial = b""
        self._body = 0  # bytes of a body, or of a chunk, that are still to come

    def feed(self, data: bytes) -> int:
        """Return the number of requests whose heads end in the next bytes."""
        found = 0
        while data and self._awaits:
            if self._body:
                passed = min(self._body, len(data))
                self._body -= passed
                data = data[passed:]
                continue
            self._partial += data
            end = b"\r\n\r\n" if self._awaits == "head" else b"\r\n"
            part, ended, data = self._partial.partition(end)
            if not ended:
                self._awaits = self._awaits if len(part) <= self._LONGEST else None
                break
            self._partial = b""
            if self._awaits == "head" and not _REQUEST.match(part):
                self._awaits = None
                break
            found += self._awaits == "head"
            self._take(part)
        return found

    def _take(self, part: bytes) -> None:
        if self._awaits == "head":
            headers = {name.lower(): value.strip() for name, _, value in _header_lines(part)}
            if b"chunked" in headers.get(b"transfer-encoding", b""):
                self._awaits = "size"
            else:
                self._body = int(headers.get(b"content-length", b"0"))
        elif self._awaits == "size":
            size = int(part.partition(b";")[0], 16)
            self._body = size + 2 if size else 0  # with the end of its line
            self._awaits = "size" if size else "trailer"
        elif not part:
            self._awaits = "head"


def _header_lines(head: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    return (line.partition(b":") for line in head.split(b"\r\n")[1:])
