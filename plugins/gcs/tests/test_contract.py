"""The backend contract, against an emulator of Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hostile import Answer, hostile_server

from connectors.testing import BackendContract, Connection, FolderContract, PresignContract, Store


class GcsStore(Store):
    """The emulator's bucket, accessed without the backend."""

    def __init__(self, emulator: Any, document: dict[str, Any], refusing: str) -> None:
        self._emulator = emulator
        self._document = {name: value for name, value in document.items() if name != "encryption"}
        self._refusing = refusing

    def connection(self, name: str, *, write: bool = False) -> Connection:
        return Connection(f"gs://clinic/{name}", self._document)

    def folder(self, name: str) -> Connection:
        return Connection(f"gs://clinic/{name}/", self._document)

    def get(self, name: str) -> bytes | None:
        data: bytes | None = self._emulator.get(f"clinic/{name}")
        return data

    def put(self, name: str, data: bytes) -> None:
        self._emulator.put(f"clinic/{name}", data)

    def denied(self, name: str) -> Connection:
        return Connection(f"gs://clinic/{name}", {**self._document, "endpoint_url": f"{self._refusing}"})

    def expired(self, name: str, *, write: bool = False) -> Connection:
        document = {"type": "gcs", "token": "ya29.withdrawn-token", "endpoint_url": self._refusing}
        return Connection(f"gs://clinic/{name}", document)


class TestGcs(BackendContract, FolderContract, PresignContract):
    @pytest.fixture
    def refusing(self) -> Iterator[str]:
        """A server that refuses every token, which the emulator does not."""
        page = b'{"error": {"code": 401, "message": "Invalid Credentials", "errors": [{"reason": "authError"}]}}'
        with hostile_server(lambda _: Answer(401, {"Content-Type": "application/json"}, page)) as (url, _):
            yield url

    @pytest.fixture
    def store(self, emulator: Any, document: dict[str, Any], refusing: str) -> Store:
        return GcsStore(emulator, document, refusing)
