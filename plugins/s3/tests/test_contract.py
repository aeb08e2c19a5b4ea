"""The backend contract, run against a real S3 store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import servers
from hostile import Answer, hostile_server

from connectors.testing import BackendContract, Connection, FolderContract, PresignContract, Store

BUCKET = "contract"


class S3Store(Store):
    """A separate bucket, accessed with boto3."""

    def __init__(self, server: servers.S3Server, refusing: str) -> None:
        self._server = server
        self._refusing = refusing
        self._client = server.client()
        if BUCKET not in [one["Name"] for one in self._client.list_buckets()["Buckets"]]:
            self._client.create_bucket(Bucket=BUCKET)

    def document(self, **changes: Any) -> dict[str, Any]:
        return {
            "type": "s3",
            "access_key_id": self._server.access_key,
            "secret_access_key": self._server.secret_key,
            "region": self._server.region,
            "endpoint_url": self._server.endpoint,
            **changes,
        }

    def connection(self, name: str, *, write: bool = False) -> Connection:
        return Connection(f"s3://{BUCKET}/{name}", self.document())

    def folder(self, name: str) -> Connection:
        return Connection(f"s3://{BUCKET}/{name}/", self.document())

    def get(self, name: str) -> bytes | None:
        try:
            data: bytes = self._client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=name, Body=data)

    def unfinished(self) -> list[str]:
        return [one["Key"] for one in self._client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]

    def tidy(self, name: str) -> None:
        # A process that is killed cannot abort its upload.
        for one in self._client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            if one["Key"].startswith(name):
                self._client.abort_multipart_upload(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"])

    def denied(self, name: str) -> Connection:
        return Connection(
            f"s3://{BUCKET}/{name}",
            self.document(secret_access_key="not the secret of that key"[:24].replace(" ", "-")),
        )

    def expired(self, name: str, *, write: bool = False) -> Connection:
        document = self.document(session_token="expired", endpoint_url=self._refusing)
        return Connection(f"s3://{BUCKET}/{name}", document)


class TestS3(BackendContract, FolderContract, PresignContract):
    @pytest.fixture
    def refusing(self) -> Iterator[str]:
        """A server that reports every session as expired."""
        page = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        with hostile_server(lambda _: Answer(400, {"Content-Type": "application/xml"}, page)) as (url, _):
            yield url

    @pytest.fixture
    def store(self, s3: servers.S3Server, refusing: str) -> Store:
        return S3Store(s3, refusing)
