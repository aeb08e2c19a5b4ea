"""An interrupt while a request waits: the frames of its traceback hold no key, token or signature."""

from __future__ import annotations

import base64
import contextlib
import secrets
import signal
import socket
import threading
import time

import pytest
from patience import PATIENCE
from watching import frames_of

import connectors

KEY = secrets.token_hex(32)
MARK = "mark" + secrets.token_hex(16)
ACCOUNT_KEY = base64.b64encode(MARK.encode()).decode()
SIGNED = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-west-1%2Fs3%2Faws4_request"
    f"&X-Amz-Date={time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}&X-Amz-Expires=604800&X-Amz-SignedHeaders=host"
    f"&X-Amz-Signature={secrets.token_hex(32)}"
)


class Silent:
    """A server that reads what arrives, up to some bytes, and never responds; then it interrupts the main thread.

    Attributes:
        url: its URL, without a slash at the end.
        received: what arrived.
    """

    def __init__(self, until):
        self._until = until
        self.received = b""
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self):
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            with connection:
                while not self._until(self.received):
                    self.received += connection.recv(1 << 12)
                self._ended.wait(0.3)  # by then, the main thread waits
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                self._ended.wait(PATIENCE)


def head_has_come(received):
    return b"\r\n\r\n" in received


PLACES = {
    "S3": (
        "s3://clinic/key",
        {"type": "s3", "access_key_id": "AKIDEXAMPLE", "secret_access_key": MARK, "session_token": f"session{MARK}"},
    ),
    "Azure, account key": ("az://ward/key", {"type": "azure", "account_name": "clinic", "account_key": ACCOUNT_KEY}),
    "Azure, SAS": (
        "az://ward/key",
        {"type": "azure", "account_name": "clinic", "sas_token": f"sv=2023-11-03&sr=c&sp=rwl&sig={MARK}"},
    ),
    "GCS": ("gs://clinic/key", {"type": "gcs", "token": MARK}),
}
SIGNATURES = {"S3": "Signature=", "Azure, account key": "SharedKey ", "Azure, SAS": "sig=", "GCS": "Bearer "}


@pytest.mark.parametrize("work", ["read", "write", "write much"])
@pytest.mark.parametrize("kind", PLACES)
def test_interrupted_request_is_not_in_the_traceback(kind, work):
    location, document = PLACES[kind]
    with Silent(head_has_come) as server:
        endpoint = f"{server.url}/clinic" if kind.startswith("Azure") else server.url
        given = {**document, "endpoint_url": endpoint, "encryption": {"key": KEY}}
        dataset = connectors.Dataset(location, given)
        with pytest.raises(KeyboardInterrupt) as caught:
            if work == "read":
                dataset.read_bytes()
            else:
                dataset.write_bytes(bytes(1000 if work == "write" else 7 << 20))
    check(caught.value, server.received.partition(b"\r\n\r\n")[0].decode(), SIGNATURES[kind])


@pytest.mark.parametrize("work", ["read", "write", "write much"])
def test_interrupted_request_of_a_signed_url_is_not_in_the_traceback(work):
    with Silent(head_has_come) as server:
        query = base64.b64encode(SIGNED.encode()).decode()
        dataset = connectors.Dataset(f"{server.url}/key", {"query_string": query, "encryption": {"key": KEY}})
        with pytest.raises(KeyboardInterrupt) as caught:
            if work == "read":
                dataset.read_bytes()
            else:
                dataset.write_bytes(bytes(1000 if work == "write" else 7 << 20))
    check(caught.value, server.received.partition(b"\r\n\r\n")[0].decode(), "X-Amz-Signature=")


def check(error, head, sign):
    """Check that a traceback shows no line of a request's head that has a signature."""
    assert sign in head
    hidden = {KEY, MARK, ACCOUNT_KEY, head.partition(sign)[2].split()[0]}
    frames = list(frames_of(error))
    assert any("storage/http" in place or place.startswith("http/") for place, _ in frames)
    assert [place for place, shown in frames if any(text in shown for text in hidden)] == []


def test_interrupted_tunnel_is_not_in_the_traceback(monkeypatch):
    password = "proxy" + secrets.token_hex(16)
    told = base64.b64encode(f"clinic:{password}".encode()).decode()
    with Silent(head_has_come) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://clinic:{password}@127.0.0.1:{server.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        dataset = connectors.Dataset("gs://clinic/key", {"type": "gcs", "token": MARK, "encryption": {"key": KEY}})
        with pytest.raises(KeyboardInterrupt) as caught:
            dataset.read_bytes()
    assert told in server.received.decode()
    for place, shown in frames_of(caught.value):
        assert told not in shown, place
        assert MARK not in shown, place
