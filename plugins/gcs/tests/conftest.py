"""An emulator of Google Cloud Storage, a token server, and a service account with its own key."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import gcs_server
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from gcs_server import BUCKET, Emulator, Tokens, emulating, issuing_tokens, pem_of
from hostile import Answer, Request, hostile_server

from connectors.credentials.model import validate
from connectors.storage import Request as Sent
from connectors.storage import RetryPolicy
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs

KEY = "0f" * 32
_names = itertools.count()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """fake-gcs-server with an empty bucket."""
    with emulating(tmp_path_factory.mktemp("gcs") / "fake-gcs-server.log") as emulator:
        yield emulator


@pytest.fixture(scope="session")
def private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def pem(private_key: RSAPrivateKey) -> str:
    return pem_of(private_key)


@pytest.fixture
def tokens(private_key: RSAPrivateKey) -> Iterator[Tokens]:
    with issuing_tokens(private_key) as tokens:
        yield tokens


@pytest.fixture
def key_file(pem: str, tokens: Tokens) -> dict[str, Any]:
    """A service account's key file, as Google offers it for download."""
    return gcs_server.key_file(pem, tokens.url)


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
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.001)


@pytest.fixture
def calls(fs: Gcs, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that `fs` sends, as they are sent: each one's method and kind of upload."""
    made: list[str] = []
    real = fs.store.client.send

    def send(request: Sent, *busy: Any) -> Any:
        target = request.target.reveal()
        kind = next((kind for kind in ("multipart", "upload_id", "resumable", "media") if kind in target), "")
        made.append(f"{request.method} {kind}".rstrip())
        return real(request, *busy)

    monkeypatch.setattr(fs.store.client, "send", send)
    return made


class Google:
    """Google Cloud Storage's uploads and reads according to its documentation: conditions, sessions, digests.

    Attributes:
        objects: generation and bytes by name.
        sessions: resumable uploads by id.
        requests: the requests that arrived: method and kind.
        losing: for a kind of request, how many responses are lost, and whether before or after it is done.
        takes: how many bytes of a chunk an upload accepts, or None for all.
        refused: tokens that have expired.
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
        self.refused: set[str] = set()
        self._clock = itertools.count(1_700_000_000_000_000)

    def answer(self, request: Request) -> Answer:
        parts = urlsplit(request.target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        kind = self._kind(request, query)
        self.requests.append(kind)
        self.seen.append(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") in self.refused:
            return problem(401, "authError")
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
        told = {
            "kind": "storage#object",
            "name": name,
            "size": str(len(data)),
            "md5Hash": md5(data),
            "generation": str(generation),
        }
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
