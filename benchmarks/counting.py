"""A proxy that counts requests and bytes, so that the counts do not depend on the clients."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 16
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


@contextmanager
def counted(upstream: str) -> Iterator[Wire]:
    """Forward requests unchanged to a server, including `Host`, which signatures cover; count them."""
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
        for name, value in response.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if response.length is None and self.command != "HEAD":
            self.send_header("Connection", "close")
        self.end_headers()
        while data := response.read(_BLOCK):
            self._wire.count(0, len(data))  # before writing: a client that has the last byte may read the count
            self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 - the names that http.server requires

    def log_message(self, *_: object) -> None:
        pass
