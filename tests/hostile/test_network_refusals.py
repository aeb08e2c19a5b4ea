"""Servers that refuse a large body, and read no more of it: the refusal is seen, whether they close the connection or not."""

from __future__ import annotations

import base64
import contextlib
import functools
import re
import socket
import threading

import pytest
from institution import certificates
from patience import PATIENCE

import connectors
from connectors.errors import AccessDenied, StorageUnavailable
from connectors.secrets import SecretText
from connectors.storage import Failure, HttpClient, Origin, Request
from connectors.storage.http.network import Limits

SIZE = 48 << 20
"""Bytes of a body that no socket's buffers hold."""
KEY = "6b" * 32
REFUSAL = b"<Error><Code>AccessDenied</Code></Error>"


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A client that waits for a stalled server longer than a test may take: it must not have to."""
    monkeypatch.setattr(HttpClient, "limits", Limits(stall_timeout=2 * PATIENCE))


def head_of(connection) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(1)
        if not piece:
            return b""
        head += piece
    return head


def length_of(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
    return int(found[1]) if found else 0


def drain(connection, size: int) -> None:
    while size > 0:
        piece = connection.recv(min(size, 1 << 16))
        if not piece:
            return
        size -= len(piece)


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Scripted:
    """A server that does what `large` says with requests that have a large body, and answers the others.

    Attributes:
        origin: the server.
        ended: set when the test ends: connections that are held open are closed then.
        heads: the heads of the requests.
    """

    def __init__(self, large, small=lambda _: answer("200 OK"), context=None):
        self._large, self._small, self._context = large, small, context
        self.ended = threading.Event()
        self.heads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        self.port = self._listener.getsockname()[1]
        self.origin = Origin("https" if context else "http", "localhost" if context else "127.0.0.1", self.port)
        self._threads = [threading.Thread(target=self._accept)]
        self._open = []

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:  # those that wait for another request
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                # Else a response could wait for an acknowledgement, and be dropped when the connection is closed.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            with connection:
                while head := head_of(connection):
                    self.heads.append(head)
                    size = length_of(head)
                    if size > 1 << 20:
                        self._large(self, connection, size)
                        return
                    drain(connection, size)
                    connection.sendall(self._small(head))


def refuse_and_close(server, connection, size):
    connection.sendall(answer("403 Forbidden", REFUSAL))


def refuse_and_hold(server, connection, size):
    connection.sendall(answer("403 Forbidden", REFUSAL))
    server.ended.wait(PATIENCE)


def go_on_and_refuse(server, connection, size):
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    drain(connection, 1 << 20)
    refuse_and_hold(server, connection, size)


def accept_too_early(server, connection, size):
    connection.sendall(answer("200 OK", b"", 'ETag: "1"'))
    server.ended.wait(PATIENCE)


def go_on_and_take_slowly(server, connection, size):
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    threading.Event().wait(0.3)
    drain(connection, size)
    connection.sendall(answer("201 Created"))


REFUSALS = [refuse_and_close, refuse_and_hold, go_on_and_refuse]


@pytest.fixture(params=[False, True], ids=["http", "https"])
def context(request, tmp_path, monkeypatch):
    if not request.param:
        return None
    made = certificates(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    return made.server


def put(server, body) -> Request:
    return Request("PUT", server.origin, SecretText("/large"), {}, body)


@pytest.mark.parametrize("large", REFUSALS)
def test_refusal_is_seen_while_the_body_is_sent(large, context):
    client = HttpClient("test")
    with Scripted(large, context=context) as server:
        response = client.send(put(server, memoryview(bytes(SIZE))))
        assert not isinstance(response, Failure), response
        assert response.status == 403
        assert response.read(1000) == REFUSAL
        response.close()
        again = client.send(Request("GET", server.origin, SecretText("/small")))  # on another connection
        assert not isinstance(again, Failure)
        assert again.status == 200
        again.close()
        client.close()


def test_success_before_the_body_was_sent_is_none(context):
    client = HttpClient("test")
    with Scripted(accept_too_early, context=context) as server:
        outcome = client.send(put(server, memoryview(bytes(SIZE))))
        assert isinstance(outcome, Failure)
        assert outcome.transient
        assert isinstance(outcome.error, StorageUnavailable)
        client.close()


def test_slow_server_that_says_continue_gets_the_whole_body(context):
    client = HttpClient("test")
    with Scripted(go_on_and_take_slowly, context=context) as server:
        response = client.send(put(server, memoryview(bytes(SIZE))))
        assert not isinstance(response, Failure), response
        assert response.status == 201
        response.close()
        client.close()


def s3(url):
    keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI"}
    return "s3://clinic/key", {"type": "s3", **keys, "region": "eu-west-1", "endpoint_url": url}


def azure(url):
    document = {"type": "azure", "account_name": "clinic", "account_key": base64.b64encode(bytes(64)).decode()}
    return "az://ward/key", {**document, "endpoint_url": f"{url}/clinic"}


def gcs(url):
    return "gs://clinic/key", {"type": "gcs", "anonymous": True, "endpoint_url": url}


def https(url):
    return f"{url}/key", {"type": "https"}


def start(head: bytes) -> bytes:
    """Start an upload, of S3 or Google."""
    if b"uploadType=resumable" in head:
        return answer("200 OK", b"", "Location: http://127.0.0.1/upload?id=1")
    if b"uploads" in head.partition(b"\r\n")[0]:
        return answer("200 OK", b"<I><UploadId>1</UploadId></I>")
    return answer("204 No Content")


@pytest.mark.parametrize(("name", "place"), [("S3", s3), ("Azure", azure), ("GCS", gcs), ("https", https)])
def test_refused_write_is_denied(name, place, tally):
    with tally("a large write is refused, and no more of it is read", name) as cases:
        for large in (refuse_and_close, refuse_and_hold):
            for size in (6 << 20, SIZE):
                with Scripted(large, start) as server:
                    location, document = place(f"http://127.0.0.1:{server.port}")
                    dataset = connectors.Dataset(location, {**document, "encryption": {"key": KEY}})
                    cases.refused(functools.partial(dataset.write_bytes, bytes(size)), AccessDenied)
