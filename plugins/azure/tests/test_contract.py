"""The contract tests of `connectors.testing`, run against Azurite."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import servers
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from connectors.testing import BackendContract, Connection, FolderContract, PresignContract, Store

CONTAINER = "contract"
OTHER_KEY = "bm90IHRoZSBrZXkgb2YgdGhhdCBhY2NvdW50"


class AzureStore(Store):
    """A container of its own, accessed with Microsoft's client."""

    def __init__(self, server: servers.AzureServer, service: BlobServiceClient) -> None:
        self._server = server
        self._container = service.get_container_client(CONTAINER)
        if not self._container.exists():
            self._container.create_container()

    def document(self, **changes: Any) -> dict[str, Any]:
        account = {"type": "azure", "account_name": self._server.account, "endpoint_url": self._server.endpoint}
        return {**account, **(changes or {"account_key": self._server.key})}

    def connection(self, name: str, *, write: bool = False) -> Connection:
        return Connection(f"az://{CONTAINER}/{name}", self.document())

    def folder(self, name: str) -> Connection:
        return Connection(f"az://{CONTAINER}/{name}/", self.document())

    def get(self, name: str) -> bytes | None:
        try:
            data: bytes = self._container.download_blob(name).readall()
        except ResourceNotFoundError:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        self._container.upload_blob(name, data, overwrite=True)

    def denied(self, name: str) -> Connection:
        return Connection(f"az://{CONTAINER}/{name}", self.document(account_key=OTHER_KEY))

    def expired(self, name: str, *, write: bool = False) -> Connection:
        return Connection(f"az://{CONTAINER}/{name}", self.document(sas_token=self._sas(hours=-1)), expires=True)

    def _sas(self, hours: int) -> str:
        now = datetime.now(UTC)
        sas: str = generate_container_sas(
            self._server.account,
            CONTAINER,
            account_key=self._server.key,
            permission=ContainerSasPermissions(read=True, write=True, create=True, delete=True, list=True),
            start=now - timedelta(hours=2),
            expiry=now + timedelta(hours=hours),
        )
        return sas


class SasStore(AzureStore):
    """The same container, accessed with a SAS."""

    def connection(self, name: str, *, write: bool = False) -> Connection:
        return replace(super().connection(name, write=write), expires=True)

    def document(self, **changes: Any) -> dict[str, Any]:
        return super().document(**(changes or {"sas_token": self._sas(hours=1)}))

    def denied(self, name: str) -> Connection:
        query = self._sas(hours=1)
        return Connection(f"az://{CONTAINER}/{name}", self.document(sas_token=f"{query[:-5]}00%3D"))


class TestAzure(BackendContract, FolderContract, PresignContract):
    @pytest.fixture
    def store(self, azure: servers.AzureServer, service: BlobServiceClient) -> Store:
        return AzureStore(azure, service)


class TestAzureWithSas(BackendContract, FolderContract):
    @pytest.fixture
    def store(self, azure: servers.AzureServer, service: BlobServiceClient) -> Store:
        return SasStore(azure, service)
