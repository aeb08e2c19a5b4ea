"""A proxy that counts what goes over the wire, so that no client has to be believed."""

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
    """What went over a proxy.

    Attributes:
        url: the proxy's own.
        requests: how many there were.
        fetched: bytes of the answers' bodies.
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
    """Pass requests on to a server as they come, its name in `Host` included, which signatures cover; count them."""
    wire = Wire()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Passing, wire, urlsplit(upstream).netloc)) as server:
        wire.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield wire
        finally:
            server.shutdown()


class _Passing(BaseHTTPRequestHandler):
    """One connection of a client, and one to the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, wire: Wire, upstream: str, *arguments: Any) -> None:
        self._wire, self._upstream = wire, http.client.HTTPConnection(upstream)
        super().__init__(*arguments)  # which serves the connection to its end
        self._upstream.close()

    def _pass(self) -> None:
        self._wire.count(1, 0)
        self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP:
                self._upstream.putheader(name, value)
        length = int(self.headers.get("Content-Length", 0))
        self._upstream.endheaders(self.rfile.read(length) if length else None)
        self._answer(self._upstream.getresponse())

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if answer.length is None and self.command != "HEAD":
            self.send_header("Connection", "close")
        self.end_headers()
        while data := answer.read(_BLOCK):
            self._wire.count(0, len(data))  # first: who has the last byte may ask how many there were
            self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - the names that are asked for

    def log_message(self, *_: object) -> None:
        pass
