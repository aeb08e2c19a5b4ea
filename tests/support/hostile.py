"""An HTTP server that answers as a test tells it to: broken, lying or late."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

__all__ = ["Answer", "Request", "hostile_server"]


@dataclass(frozen=True)
class Request:
    """What a client asked.

    Attributes:
        number: how many requests came before it.
        method: ``GET`` and so on.
        target: path and query, as sent.
        headers: by lower-case name.
        body: what was sent, as far as Content-Length says.
    """

    number: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the server answers.

    Attributes:
        status: the HTTP status.
        headers: as they are sent; Content-Length is the body's unless it is among them.
        body: what is sent, then the connection is closed.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@contextmanager
def hostile_server(
    respond: Callable[[Request], Answer], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[Request]]]:
    """Serve what `respond` says on loopback, with or without TLS.

    Gives the server's URL and the list that requests are kept in.
    """
    seen: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if self.headers.get("Expect", "").lower() == "100-continue":  # else the client waits with its body
                self.send_response_only(100)
                self.end_headers()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(len(seen), self.command, self.path, headers, body)
            seen.append(request)
            answer = respond(request)
            # With a Server header of its own, unless the answer has one.
            (self.send_response_only if "Server" in answer.headers else self.send_response)(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Say nothing: tests look at `seen`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
