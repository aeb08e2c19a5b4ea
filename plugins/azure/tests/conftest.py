from __future__ import annotations

import http.client
import itertools
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import servers
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from hostile import Answer, Request, hostile_server

from connectors.credentials.model import validate
from connectors_azure import AzureCredentials
from connectors_azure.account import account_of
from connectors_azure.filesystem import AzureFileSystem
from connectors_azure.location import split_location

KEY = "0f" * 32
MIB = 1 << 20
_names = itertools.count()


@pytest.fixture(scope="session")
def service(azure: servers.AzureServer) -> Iterator[BlobServiceClient]:
    """The session's store, past the code under test."""
    account = {"account_name": azure.account, "account_key": azure.key}
    with BlobServiceClient(azure.endpoint, credential=account, retry_total=0) as client:
        client.create_container("ward")
        yield client


@pytest.fixture
def document(azure: servers.AzureServer) -> dict[str, Any]:
    """A credentials document for the session's store."""
    return {
        "type": "azure",
        "account_name": azure.account,
        "account_key": azure.key,
        "endpoint_url": azure.endpoint,
        "encryption": {"key": KEY},
    }


@pytest.fixture
def credentials(document: dict[str, Any]) -> AzureCredentials:
    return validate(AzureCredentials, document)


@pytest.fixture
def open_fs() -> Callable[..., AzureFileSystem]:
    """Make the filesystem of a credentials document, with blocks of another size if asked for."""

    def open_fs(document: dict[str, Any], block_size: int = 4 * MIB) -> AzureFileSystem:
        credentials = validate(AzureCredentials, document)
        return AzureFileSystem(account_of(credentials, split_location("az://ward/")), credentials, block_size)

    return open_fs


@pytest.fixture
def fs(
    service: BlobServiceClient, open_fs: Callable[..., AzureFileSystem], document: dict[str, Any]
) -> AzureFileSystem:
    """The store, with small blocks."""
    return open_fs(document)


@pytest.fixture
def path() -> str:
    """The place of an object nobody else uses."""
    return f"ward/object-{next(_names)}"


@pytest.fixture
def stored(service: BlobServiceClient) -> Callable[[str], bytes | None]:
    """Ask the store itself, past the code under test, what stands at a path."""

    def stored(path: str) -> bytes | None:
        container, _, name = path.partition("/")
        try:
            data: bytes = service.get_blob_client(container, name).download_blob().readall()
        except ResourceNotFoundError:
            return None
        return data

    return stored


@pytest.fixture
def listed(service: BlobServiceClient) -> Callable[[str], list[str]]:
    """Ask the store itself which names it lists under a prefix."""
    return lambda prefix: [one.name for one in service.get_container_client("ward").list_blobs(prefix)]


class Proxy:
    """A server in front of the store, which hears each request and may answer otherwise, or lose an answer.

    Attributes:
        endpoint: the account's URL there.
        seen: the requests, as ``PUT block`` and so on.
        most: how many of them were there at once.
        instead: asked for each request with its name and the store's answer, for the answer that is given.
    """

    def __init__(self, azure: servers.AzureServer) -> None:
        self._store = urlsplit(azure.endpoint)
        self.seen: list[str] = []
        self.most = self._now = 0
        self._lock = Lock()
        self.instead: Callable[[str, Answer], Answer] = lambda _, answer: answer

    def respond(self, request: Request) -> Answer:
        query = parse_qs(urlsplit(request.target).query)
        name = " ".join([request.method, *query.get("restype", []), *query.get("comp", [])])
        self.seen.append(name)
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return self.instead(name, self._ask(request))
        finally:
            with self._lock:
                self._now -= 1

    def _ask(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self._store.hostname or "", self._store.port, timeout=60)
        skipped = ("host", "connection", "content-length")
        headers = {name: value for name, value in request.headers.items() if name not in skipped}
        connection.request(request.method, request.target, request.body or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
        if request.method == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length") or "0"
        return Answer(answer.status, kept, body)


HOP_BY_HOP = {"transfer-encoding", "connection", "keep-alive", "content-length"}


@pytest.fixture
def proxy(azure: servers.AzureServer, service: BlobServiceClient, document: dict[str, Any]) -> Iterator[Proxy]:
    """The store behind a proxy, through which the credentials document of the test leads."""
    proxy = Proxy(azure)
    with hostile_server(proxy.respond) as (url, _):
        document["endpoint_url"] = f"{url}/{azure.account}"
        yield proxy


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr("connectors_azure.client.FIRST_BACKOFF", 0.001)
    monkeypatch.setattr("connectors.storage.retry.RetryPolicy.first_pause", 0.001)
