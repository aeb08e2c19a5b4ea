"""Places of objects on each kind of storage, for tests that kill, starve or race writers."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import connectors

if TYPE_CHECKING:
    from servers import AzureServer, S3Server

__all__ = ["KEY", "KINDS", "SOME", "Place", "azure_place", "local_place", "place_on", "presigned_place", "s3_place"]

KEY = "5e" * 32
KINDS = ("local file", "S3", "presigned PUT", "Azure")
SOME = ("local file", "S3", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("presigned PUT", "Azure")))
"""The same, but the other remote storages run only with the slow tests."""


@dataclass(frozen=True)
class Place:
    """The place of one object.

    Attributes:
        location: its URL, to write it.
        document: the credentials that write it.
        reads: URL and credentials that read it.
        left: returns what unfinished writes have left there; it changes nothing.
        tidy: removes what they have left.
    """

    location: str
    document: dict[str, Any]
    reads: tuple[str, dict[str, Any]]
    left: Callable[[], list[str]]
    tidy: Callable[[], None]

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, where nothing happens after a process is dead."""
        return self.location.startswith("file://")

    def writer(self) -> connectors.Dataset:
        """Return the dataset, for writing."""
        return connectors.Dataset(self.location, self.document)

    def reader(self) -> connectors.Dataset:
        """Return the dataset, for reading."""
        return connectors.Dataset(*self.reads)


def _nothing() -> list[str]:
    return []


def place_on(kind: str, fixture: Callable[[str], Any], name: str) -> Place:
    """Return a place on the storage called `kind`; `fixture` returns the server, given the name of its fixture."""
    if kind == "local file":
        return local_place(fixture("tmp_path") / name)
    if kind == "S3":
        return s3_place(fixture("s3"), name)
    if kind == "presigned PUT":
        return presigned_place(fixture("s3"), name)
    return azure_place(fixture("azure"), name)


def local_place(path: Path) -> Place:
    """Return the place of a local file."""

    def left() -> list[str]:
        return [one.name for one in path.parent.iterdir() if one.name.endswith(".part")]

    def tidy() -> None:
        for one in left():
            (path.parent / one).unlink()

    document = {"encryption": {"key": KEY}}
    return Place(path.as_uri(), document, (path.as_uri(), document), left, tidy)


def s3_place(server: S3Server, name: str) -> Place:
    """Return a place in the bucket of the session's S3 server."""
    client = server.client()

    def uploads() -> list[str]:
        found = client.list_multipart_uploads(Bucket="clinic").get("Uploads", [])
        return [one["UploadId"] for one in found if one["Key"] == name]

    def tidy() -> None:
        for upload in uploads():
            client.abort_multipart_upload(Bucket="clinic", Key=name, UploadId=upload)

    document = {
        "type": "s3",
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "region": server.region,
        "endpoint_url": server.endpoint,
        "encryption": {"key": KEY},
    }
    location = f"s3://clinic/{name}"
    return Place(location, document, (location, document), uploads, tidy)


def presigned_place(server: S3Server, name: str) -> Place:
    """Return a place in the S3 bucket that is accessed with presigned URLs."""

    def behind(method: Any) -> tuple[str, dict[str, Any]]:
        location, _, query = server.presign(method, "clinic", name).partition("?")
        signed = base64.b64encode(query.encode()).decode()
        return location, {"query_string": signed, "encryption": {"key": KEY}}

    return Place(*behind("PUT"), behind("GET"), _nothing, lambda: None)


def azure_place(server: AzureServer, name: str) -> Place:
    """Return a place in a container of the session's Azure server."""
    blob = _container(server).get_blob_client(name)

    def left() -> list[str]:
        if not blob.exists():
            return []  # a blob with blocks but without a block list is not reported
        _, uncommitted = blob.get_block_list("all")
        return [block.id for block in uncommitted]

    document = {
        "type": "azure",
        "account_name": server.account,
        "account_key": server.key,
        "endpoint_url": server.endpoint,
        "encryption": {"key": KEY},
    }
    location = f"az://dying/{name}"
    # No request deletes uncommitted blocks: the next commit does.
    return Place(location, document, (location, document), left, lambda: None)


@functools.cache
def _container(server: AzureServer) -> Any:
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - not every test uses Azure

    account = {"account_name": server.account, "account_key": server.key}
    container = BlobServiceClient(server.endpoint, account).get_container_client("dying")
    if not container.exists():
        container.create_container()
    return container
