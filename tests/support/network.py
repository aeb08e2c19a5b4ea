"""Access to sealed objects on real servers through a proxy that breaks the network; and short timeouts for tests."""

from __future__ import annotations

import base64
import functools
import hashlib
import random
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

import connectors
from connectors.errors import ConnectorError
from connectors.storage import HttpClient, Limits
from connectors.storage.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest
    from proxies import Proxy
    from servers import AzureServer, S3Server

__all__ = [
    "ENDPOINTS",
    "KEY",
    "STORAGES",
    "Storage",
    "dataset_at",
    "digest",
    "endless_continue_server",
    "impatient",
    "now",
    "plain_file",
    "silent_server",
    "storage_at",
    "tried",
]

KEY = "3c" * 32
STORAGES = ["S3", "S3 over presigned URLs", "Azure", "Azure over SAS URLs"]
CONTAINER = "clinic"
ENDPOINTS = {
    "S3": ("s3://clinic/name", {"access_key_id": "AK", "secret_access_key": "SK"}, "endpoint_url"),
    "presigned URL": ("{}/clinic/name", {"query_string": "c2ln"}, None),
    "Azure": ("az://clinic/name", {"account_name": "clinic", "account_key": "c2VjcmV0"}, "endpoint_url"),
    "Google Cloud Storage": ("gs://clinic/name", {"token": "ya29.token"}, "endpoint_url"),
}
"""Datasets of every HTTP backend: a location, credentials, and the member of them that holds the server's URL."""


@dataclass(frozen=True)
class Storage:
    """Access to the objects of one server.

    Attributes:
        name: its name in docs/attacks.md.
        proxy: the proxy in front of it.
        locate: returns the location and credentials of an object, for reading or for writing.
    """

    name: str
    proxy: Proxy
    locate: Callable[[str, bool], tuple[str, dict[str, Any]]]

    def dataset(self, name: str, *, write: bool = False, **encryption: Any) -> connectors.Dataset:
        """Return the dataset of a named object."""
        location, credentials = self.locate(name, write)
        return connectors.Dataset(location, {**credentials, "encryption": {"key": KEY, **encryption}})

    def write(self, name: str, data: bytes, **encryption: Any) -> connectors.Dataset:
        """Write an object; return its dataset, for reading."""
        self.dataset(name, write=True, **encryption).write_bytes(data)
        return self.dataset(name, **encryption)


def storage_at(name: str, request: pytest.FixtureRequest) -> Storage:
    """Return one of `STORAGES`, from the fixtures of its server and its proxy."""
    server = name.split(maxsplit=1)[0].lower()
    proxy = request.getfixturevalue(f"{server}_proxy")
    behind = request.getfixturevalue(server)
    if server == "s3":
        behind = replace(behind, endpoint=proxy.endpoint)
        return Storage(name, proxy, functools.partial(_s3_url if "URL" in name else _s3, behind))
    behind = replace(behind, endpoint=f"{proxy.endpoint}/{behind.account}")
    with BlobServiceClient(behind.endpoint, {"account_name": behind.account, "account_key": behind.key}) as client:
        with suppress(ResourceExistsError):
            client.create_container(CONTAINER)
    return Storage(name, proxy, functools.partial(_azure_url if "URL" in name else _azure, behind))


def _s3(server: S3Server, name: str, write: bool) -> tuple[str, dict[str, Any]]:
    account = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    return f"s3://clinic/{name}", {**account, "endpoint_url": server.endpoint, "region": server.region}


def _s3_url(server: S3Server, name: str, write: bool) -> tuple[str, dict[str, Any]]:
    return _signed(server.presign("PUT" if write else "GET", "clinic", name))


def _azure(server: AzureServer, name: str, write: bool) -> tuple[str, dict[str, Any]]:
    account = {"account_name": server.account, "account_key": server.key, "endpoint_url": server.endpoint}
    return f"az://{CONTAINER}/{name}", account


def _azure_url(server: AzureServer, name: str, write: bool) -> tuple[str, dict[str, Any]]:
    query = generate_blob_sas(
        server.account,
        CONTAINER,
        name,
        account_key=server.key,
        permission=BlobSasPermissions(read=not write, create=write, write=write),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return _signed(f"{server.endpoint}/{CONTAINER}/{name}?{query}")


def _signed(url: str) -> tuple[str, dict[str, Any]]:
    location, _, query = url.partition("?")
    return location, {"query_string": base64.b64encode(query.encode()).decode()}


def impatient(monkeypatch: pytest.MonkeyPatch, *, silence: float = 10.0, longest_wait: float = 60.0) -> None:
    """Shorten all timeouts and backoffs, but do not change how often a request is retried.

    Args:
        monkeypatch: restores the values.
        silence: the stall timeout: seconds without a byte until a connection counts as broken.
        longest_wait: seconds in which there must be progress.
    """
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.001)
    monkeypatch.setattr(RetryPolicy, "longest_pause", 0.01)
    monkeypatch.setattr(RetryPolicy, "longest_wait", longest_wait)
    monkeypatch.setattr(HttpClient, "limits", Limits(silence, silence))


def plain_file(path: Path, size: int) -> str:
    """Write `size` bytes to a file, always the same ones; return their digest."""
    generator, hashed = random.Random(size), hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            piece = generator.randbytes(min(1 << 20, size - start))
            hashed.update(piece)
            file.write(piece)
    return hashed.hexdigest()


def digest(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tried(attempt: Callable[[], object]) -> bool:
    """Return whether an attempt succeeds. It may fail only with one of our errors."""
    try:
        attempt()
    except ConnectorError:
        return False
    return True


def dataset_at(kind: str, url: str) -> connectors.Dataset:
    """Return a dataset of one of `ENDPOINTS`, on another server."""
    location, credentials, member = ENDPOINTS[kind]
    credentials = {**credentials, "allow_http": True, "encryption": None, **({member: url} if member else {})}
    return connectors.Dataset(location.format(url), credentials)


def now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


@contextmanager
def silent_server() -> Iterator[str]:
    """Accept connections on loopback, but read nothing and send nothing; yield the URL."""
    accepted = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        thread = threading.Thread(target=lambda: _accept(listener, accepted))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in accepted:
                connection.close()


@contextmanager
def endless_continue_server() -> Iterator[str]:
    """Send endless 100 Continue responses to clients on loopback, and nothing else; yield the URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        thread = threading.Thread(target=lambda: _send_continue(listener))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _send_continue(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the listener is closed
            return
        with connection, suppress(OSError):
            connection.settimeout(10)
            connection.recv(1 << 16)
            while True:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def _accept(listener: socket.socket, accepted: list[socket.socket]) -> None:
    with suppress(OSError):
        while True:
            accepted.append(listener.accept()[0])


def signature(query_string: str) -> str:
    """Return the signature in the query of a signed URL, as it is encoded there."""
    query = base64.b64decode(query_string).decode()
    return next(part for part in query.split("&") if part.startswith(("X-Amz-Signature=", "sig=")))
