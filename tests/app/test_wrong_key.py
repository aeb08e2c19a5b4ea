"""A wrong key on a large object is told by its first bytes, in the formats that can."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

import connectors
from connectors.errors import IntegrityError, WrongKey

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY, OTHER = "11" * 32, "22" * 32
SIZE = 10 << 30
PIECE = 1 << 16


class Large(BaseHTTPRequestHandler):
    """Serves an object of 10 GiB that begins as it was sealed; the rest of it is zeros."""

    protocol_version = "HTTP/1.1"
    head = b""
    requests: list[int]

    def do_GET(self) -> None:
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        assert span is not None
        start, last = int(span[1]), min(int(span[2] or SIZE), SIZE - 1)
        self.requests.append(last + 1 - start)
        self.send_response(206)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Range", f"bytes {start}-{last}/{SIZE}")
        self.send_header("Content-Length", str(last + 1 - start))
        self.end_headers()
        try:
            while start <= last:
                stop = min(start + PIECE, last + 1)
                self.wfile.write(self.head[start:stop].ljust(stop - start, b"\0"))
                start = stop
        except OSError:
            self.close_connection = True  # the reader has had enough

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def large() -> Iterator[tuple[type[Large], str]]:
    """The handler of a server, and the location of its object."""

    class Handler(Large):
        requests: list[int] = []  # noqa: RUF012 - of this server

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Handler, f"http://127.0.0.1:{server.server_port}/object"
        server.shutdown()


@pytest.mark.parametrize(
    ("written", "read"),
    [("cobblestone-256", "cobblestone-256"), ("cobblestone-256", "auto"), ("tink-gcm-hkdf", "tink-gcm-hkdf")],
)
def test_wrong_key_is_told_by_few_small_requests(large: tuple[type[Large], str], written: str, read: str) -> None:
    handler, location = large
    out = BytesIO()
    connectors.encrypt(BytesIO(bytes(3 << 20)), out, KEY, format=written)
    handler.head = out.getvalue()[: 2 << 20]
    dataset = connectors.Dataset(location, {"encryption": {"key": OTHER, "format": read}})
    with pytest.raises((WrongKey, IntegrityError)):
        dataset.open("rb").read(1)
    assert len(handler.requests) <= 2
    assert sum(handler.requests) <= 2 << 20


def test_former_key_is_told_by_the_same_request(large: tuple[type[Large], str]) -> None:
    handler, location = large
    out = BytesIO()
    connectors.encrypt(BytesIO(bytes(3 << 20)), out, KEY)
    handler.head = out.getvalue()[: 2 << 20]
    encryption = {"key": OTHER, "former_keys": ["33" * 32, "44" * 32], "format": "cobblestone-256"}
    with pytest.raises(WrongKey):
        connectors.Dataset(location, {"encryption": encryption}).open("rb").read(1)
    assert len(handler.requests) == 1
