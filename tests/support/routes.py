"""Routes to sealed objects through a lying proxy, with access to the same objects without the code under test."""

from __future__ import annotations

import base64
import io
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import connectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxies import Proxy
    from servers import AzureServer, S3Server

__all__ = ["FORMATS", "KEY", "Route", "azure_routes", "s3_routes", "seal"]

KEY = "5a" * 32
FORMATS: dict[str, dict[str, Any]] = {
    "cobblestone-256": {"format": "cobblestone-256"},
    "tink-gcm-hkdf": {"format": "tink-gcm-hkdf", "segment_size": 16_384},
    "gcm": {"format": "gcm"},
}
"""The formats, with segments small enough that objects have several."""
BUCKET = "clinic"


def seal(plain: bytes, format: str, context: str = "") -> bytes:
    """Return the sealed bytes of `plain`."""
    sealed = io.BytesIO()
    connectors.encrypt(io.BytesIO(plain), sealed, KEY, context=context.encode(), **FORMATS[format])
    return sealed.getvalue()


@dataclass(frozen=True)
class Route:
    """One way to access objects.

    Attributes:
        name: its name in docs/attacks.md.
        proxy: the lying proxy on the route.
        locate: location and credentials document of a named object, for reading ("GET") or writing ("PUT").
        put: stores an object, without the proxy.
        get: returns the stored bytes, or None; without the proxy.
        remove: removes an object if it exists, without the proxy.
    """

    name: str
    proxy: Proxy
    locate: Callable[[str, str], tuple[str, dict[str, Any]]]
    put: Callable[[str, bytes], object]
    get: Callable[[str], bytes | None]
    remove: Callable[[str], object]

    def dataset(self, name: str, method: str = "GET", **encryption: Any) -> connectors.Dataset:
        """Return a new dataset."""
        location, document = self.locate(name, method)
        return connectors.Dataset(location, {**document, "encryption": {"key": KEY, **encryption}})

    def __str__(self) -> str:
        return self.name


def _signed(dataset: connectors.Dataset, method: str) -> tuple[str, dict[str, Any]]:
    presign: Any = dataset.backend
    location, _, query = presign.presign(dataset.location, dataset.credentials, method, 3600).partition("?")
    return location, {"query_string": base64.b64encode(query.encode()).decode()}


def s3_routes(server: S3Server, proxy: Proxy) -> list[Route]:
    """Return the routes to a bucket of S3: with access keys, and with presigned URLs."""
    client = server.client()

    def put(name: str, data: bytes) -> None:
        client.put_object(Bucket=BUCKET, Key=name, Body=data)

    def get(name: str) -> bytes | None:
        try:
            data: bytes = client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return data

    def remove(name: str) -> None:
        client.delete_object(Bucket=BUCKET, Key=name)

    def locate(name: str, _: str) -> tuple[str, dict[str, Any]]:
        keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key, "region": server.region}
        return f"s3://{BUCKET}/{name}", {**keys, "endpoint_url": proxy.endpoint}

    def presigned(name: str, method: str) -> tuple[str, dict[str, Any]]:
        location, document = locate(name, method)
        return _signed(connectors.Dataset(location, {**document, "encryption": None}), method)

    return [
        Route("S3", proxy, locate, put, get, remove),
        Route("S3, presigned URL", proxy, presigned, put, get, remove),
    ]


def azure_routes(server: AzureServer, proxy: Proxy) -> list[Route]:
    """Return the routes to a container of Azure: with the shared key, and with SAS URLs."""
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError  # noqa: PLC0415 - slow to import
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415

    account = {"account_name": server.account, "account_key": server.key}
    service = BlobServiceClient(server.endpoint, credential=account, retry_total=0)
    with suppress(ResourceExistsError):
        service.create_container(BUCKET)

    def put(name: str, data: bytes) -> None:
        service.get_blob_client(BUCKET, name).upload_blob(data, overwrite=True)

    def get(name: str) -> bytes | None:
        try:
            return service.get_blob_client(BUCKET, name).download_blob().readall()
        except ResourceNotFoundError:
            return None

    def remove(name: str) -> None:
        with suppress(ResourceNotFoundError):
            service.get_blob_client(BUCKET, name).delete_blob()

    def locate(name: str, _: str) -> tuple[str, dict[str, Any]]:
        return f"az://{BUCKET}/{name}", {**account, "endpoint_url": f"{proxy.endpoint}/{server.account}"}

    def signed(name: str, method: str) -> tuple[str, dict[str, Any]]:
        location, document = locate(name, method)
        return _signed(connectors.Dataset(location, {**document, "encryption": None}), method)

    return [Route("Azure", proxy, locate, put, get, remove), Route("Azure, SAS URL", proxy, signed, put, get, remove)]
