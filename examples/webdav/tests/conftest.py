from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from connectors.credentials.model import validate
from connectors_webdav import WebDavBackend, WebDavCredentials
from connectors_webdav.filesystem import WebDavFileSystem

USER, PASSWORD = "anna", "a Password: of this test, Ää"


@dataclass(frozen=True)
class DavServer:
    """A running server.

    Attributes:
        port: its port on 127.0.0.1.
        folder: the folder that it serves.
    """

    port: int
    folder: Path

    def location(self, name: str) -> str:
        return f"webdav://127.0.0.1:{self.port}/{name}"


@contextmanager
def dav_server(folder: Path, behaviour: str) -> Iterator[DavServer]:
    command = [sys.executable, Path(__file__).with_name("dav_server.py"), folder, behaviour]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield DavServer(int(process.stdout.readline()), folder)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    """wsgidav as it is, which promises no more than RFC 4918."""
    with dav_server(tmp_path_factory.mktemp("stock"), "stock") as server:
        yield server


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    """wsgidav whose MOVE is one step."""
    with dav_server(tmp_path_factory.mktemp("strict"), "strict") as server:
        yield server


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    """wsgidav without ETags."""
    with dav_server(tmp_path_factory.mktemp("bare"), "bare") as server:
        yield server


@pytest.fixture
def document() -> dict[str, Any]:
    """A credentials document without its encryption."""
    return {"type": "webdav", "user": USER, "password": PASSWORD}


class Connect:
    """Returns the filesystem and the path of a name on a server, and closes its connections at the end."""

    password = PASSWORD

    def __init__(self) -> None:
        self._opened: list[WebDavFileSystem] = []

    def __call__(self, server: DavServer, name: str, **members: Any) -> tuple[WebDavFileSystem, str]:
        return self.to(server.location(name), user=USER, password=PASSWORD, **members)

    def to(self, location: str, **members: Any) -> tuple[WebDavFileSystem, str]:
        fs, path = WebDavBackend().connect(location, validate(WebDavCredentials, {"encryption": None, **members}))
        fs.store.attempts, fs.store.first_pause = 3, 0.001
        self._opened.append(fs)
        return fs, path

    def close(self) -> None:
        for fs in self._opened:
            fs.store.client.close()


@pytest.fixture
def connect() -> Iterator[Connect]:
    connect = Connect()
    yield connect
    connect.close()


class Liar:
    """A server that answers what a test tells it to.

    Attributes:
        replies: the next ones: status, headers and body; after the last one, 500.
        requests: those that came: method, target and headers.
    """

    def __init__(self, port: int, connect: Connect) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.replies: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, str, Any]] = []
        self._connect = connect

    def fs(self, **members: Any) -> WebDavFileSystem:
        return self._connect.to(self.url.replace("http", "webdav") + "/", **members)[0]


@pytest.fixture
def liar(connect: Connect) -> Iterator[Liar]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            liar.requests.append((self.command, self.path, self.headers))
            status, headers, body = liar.replies.pop(0) if liar.replies else (500, {}, b"")
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    for method in ("GET", "PUT", "PROPFIND", "MKCOL", "MOVE", "COPY", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        liar = Liar(server.server_port, connect)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield liar
        connect.close()
        server.shutdown()
        thread.join()
