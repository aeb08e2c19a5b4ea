from __future__ import annotations

import http.client
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import servers
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from hostile import Answer, Request, hostile_server
from login_server import Certificate, Login, self_signed, serving
from patience import PATIENCE

from connectors.credentials.model import validate
from connectors_azure import AzureCredentials
from connectors_azure.account import account_of
from connectors_azure.filesystem import AzureFileSystem
from connectors_azure.location import LOCATION
from connectors_azure.store import PART_SIZES

KEY = "0f" * 32
MIB = 1 << 20
_names = itertools.count()


@pytest.fixture(scope="session")
def service(azure: servers.AzureServer) -> Iterator[BlobServiceClient]:
    """A client of the session's server that bypasses the code under test."""
    account = {"account_name": azure.account, "account_key": azure.key}
    with BlobServiceClient(azure.endpoint, credential=account, retry_total=0) as client:
        client.create_container("ward")
        yield client


@pytest.fixture
def document(azure: servers.AzureServer) -> dict[str, Any]:
    """A credentials document for the session's server."""
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
    """Make the filesystem of a credentials document, with blocks of 4 MiB or another size."""

    def open_fs(document: dict[str, Any], block_size: int = 4 * MIB) -> AzureFileSystem:
        credentials = validate(AzureCredentials, document)
        sizes = replace(PART_SIZES, first=block_size)
        return AzureFileSystem(account_of(credentials, LOCATION.parse("az://ward/")), credentials, sizes)

    return open_fs


@pytest.fixture
def fs(
    service: BlobServiceClient, open_fs: Callable[..., AzureFileSystem], document: dict[str, Any]
) -> AzureFileSystem:
    """The filesystem of the session's server, with small blocks."""
    return open_fs(document)


@pytest.fixture
def path() -> str:
    """The path of an object that no other test uses."""
    return f"ward/object-{next(_names)}"


@pytest.fixture
def stored(service: BlobServiceClient) -> Callable[[str], bytes | None]:
    """Return a function that reads what is stored at a path, bypassing the code under test."""

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
    """Return a function that lists the names with a prefix, bypassing the code under test."""
    return lambda prefix: [one.name for one in service.get_container_client("ward").list_blobs(prefix)]


class Proxy:
    """A proxy in front of the server, which records each request and can replace the response.

    Attributes:
        seen: the requests, as ``PUT block`` and so on.
        most: the largest number of requests at the same time.
        instead: called with each request's name and the server's response; returns the response to send.
    """

    def __init__(self, azure: servers.AzureServer) -> None:
        self._server = urlsplit(azure.endpoint)
        self.seen: list[str] = []
        self.most = self._now = 0
        self._lock = Lock()
        self.instead: Callable[[str, Answer], Answer] = lambda _, response: response

    def respond(self, request: Request) -> Answer:
        query = parse_qs(urlsplit(request.target).query)
        name = " ".join([request.method, *query.get("restype", []), *query.get("comp", [])])
        self.seen.append(name)
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return self.instead(name, self._forward(request))
        finally:
            with self._lock:
                self._now -= 1

    def _forward(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self._server.hostname or "", self._server.port, timeout=PATIENCE)
        skipped = ("host", "connection", "content-length")
        headers = {name: value for name, value in request.headers.items() if name not in skipped}
        connection.request(request.method, request.target, request.body or None, headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        if request.method == "HEAD":
            kept["Content-Length"] = response.getheader("Content-Length") or "0"
        return Answer(response.status, kept, body)


HOP_BY_HOP = {"transfer-encoding", "connection", "keep-alive", "content-length"}


@pytest.fixture
def proxy(azure: servers.AzureServer, service: BlobServiceClient, document: dict[str, Any]) -> Iterator[Proxy]:
    """A proxy in front of the server; the test's credentials document uses it as its endpoint."""
    proxy = Proxy(azure)
    with hostile_server(proxy.respond) as (url, _):
        document["endpoint_url"] = f"{url}/{azure.account}"
        yield proxy


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A self-signed certificate for the loopback address."""
    return self_signed(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust that certificate instead of the public authorities."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate.path)


@pytest.fixture
def login(certificate: Certificate, trusted: None) -> Iterator[Login]:
    """A login server whose certificate is trusted."""
    with serving(certificate) as login:
        yield login


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("connectors.storage.retry.RetryPolicy.first_pause", 0.001)


@pytest.fixture
def proxied(
    proxy: Proxy, open_fs: Callable[..., AzureFileSystem], document: dict[str, Any], quick: None
) -> AzureFileSystem:
    """A filesystem with small blocks that sends its requests through the proxy."""
    return open_fs(document)


@pytest.fixture
def sas(azure: servers.AzureServer) -> Callable[..., dict[str, Any]]:
    """Return a function that makes a document with a SAS for the container."""

    def sas(hours: float = 1, **permissions: bool) -> dict[str, Any]:
        now = datetime.now(UTC)
        query = generate_container_sas(
            azure.account,
            "ward",
            account_key=azure.key,
            permission=ContainerSasPermissions(**permissions),
            start=now - timedelta(hours=2),
            expiry=now + timedelta(hours=hours),
        )
        account = {"account_name": azure.account, "endpoint_url": azure.endpoint, "encryption": None}
        return {**account, "sas_token": query}

    return sas
