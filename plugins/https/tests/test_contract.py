"""The backend contract, through URLs that real stores verify: S3's and Azure's."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
import servers

from connectors.testing import BackendContract, Connection, Store


def behind(url: str) -> Connection:
    """Return the connection that a credentials document with a signed URL makes."""
    location, _, query = url.partition("?")
    return Connection(location, {"query_string": base64.b64encode(query.encode()).decode()}, expires=True)


class S3UrlStore(Store):
    """URLs signed by boto3, one for each use."""

    def __init__(self, server: servers.S3Server) -> None:
        self._server = server
        self._client = server.client()

    def connection(self, name: str, *, write: bool = False) -> Connection:
        return behind(self._server.presign("PUT" if write else "GET", "clinic", name))

    def get(self, name: str) -> bytes | None:
        try:
            data: bytes = self._client.get_object(Bucket="clinic", Key=name)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        self._client.put_object(Bucket="clinic", Key=name, Body=data)

    def denied(self, name: str) -> Connection:
        connection = self.connection(f"{name}-another")
        return Connection(connection.location.removesuffix("-another"), connection.document)

    def expired(self, name: str, *, write: bool = False) -> Connection:
        query = (
            "X-Amz-Date=20260102T030405Z&X-Amz-Expires=3600&X-Amz-Signature=0123456789abcdef&X-Amz-SignedHeaders=host"
        )
        return behind(f"{self.connection(name, write=write).location}?{query}")


class TestS3Urls(BackendContract):
    @pytest.fixture
    def store(self, s3: servers.S3Server) -> Store:
        return S3UrlStore(s3)


class AzureUrlStore(Store):
    """SAS URLs signed by azure-storage-blob, one for each use."""

    def __init__(self, server: servers.AzureServer) -> None:
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - not every test asks for Azure
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415

        self._server = server
        client = BlobServiceClient(server.endpoint, {"account_name": server.account, "account_key": server.key})
        self._container = client.get_container_client("contract")
        try:
            self._container.create_container()
        except ResourceExistsError:
            return

    def connection(self, name: str, *, write: bool = False, hours: int = 1) -> Connection:
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415

        query = generate_blob_sas(
            self._server.account,
            "contract",
            name,
            account_key=self._server.key,
            permission=BlobSasPermissions(read=not write, create=write, write=write),
            start=datetime.now(UTC) - timedelta(days=1),
            expiry=datetime.now(UTC) + timedelta(hours=hours),
        )
        return behind(f"{self._server.endpoint}/contract/{quote(name)}?{query}")

    def get(self, name: str) -> bytes | None:
        blob = self._container.get_blob_client(name)
        return bytes(blob.download_blob().readall()) if blob.exists() else None

    def put(self, name: str, data: bytes) -> None:
        self._container.get_blob_client(name).upload_blob(data, overwrite=True)

    def denied(self, name: str) -> Connection:
        return Connection(self.connection(name).location, self.connection(f"{name}-another").document)

    def expired(self, name: str, *, write: bool = False) -> Connection:
        return self.connection(name, write=write, hours=-1)


class TestAzureUrls(BackendContract):
    @pytest.fixture
    def store(self, azure: servers.AzureServer) -> Store:
        return AzureUrlStore(azure)
