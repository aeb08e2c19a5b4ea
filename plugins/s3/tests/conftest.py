from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import servers
from amazon_client import AmazonClient, amazon_client
from kms_server import KmsAccount, kms_account
from object_keys import Objects

from connectors.credentials.model import validate
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3

KEY = "0f" * 32
Intercept = Callable[[Callable[[str, Callable[[], Any]], Any]], None]
_names = itertools.count()


def call_of(request: Any) -> str:
    """Return a request's method, and what it is about, such as ``PUT partNumber``."""
    query = request.target.reveal().partition("?")[2]
    return f"{request.method} {query.partition('=')[0]}".strip()


@pytest.fixture
def document(s3: servers.S3Server) -> dict[str, Any]:
    """A credentials document for the store."""
    return {
        "type": "s3",
        "access_key_id": s3.access_key,
        "secret_access_key": s3.secret_key,
        "region": s3.region,
        "endpoint_url": s3.endpoint,
        "encryption": {"key": KEY},
    }


@pytest.fixture
def credentials(document: dict[str, Any]) -> S3Credentials:
    return validate(S3Credentials, document)


@pytest.fixture
def fs(credentials: S3Credentials) -> S3:
    """The store's filesystem, with the smallest parts that are allowed."""
    return S3(credentials, part_size=5 << 20)


@pytest.fixture
def path() -> str:
    """The path of an object that no other test uses."""
    return f"clinic/object-{next(_names)}"


@pytest.fixture
def stored(s3: servers.S3Server) -> Callable[[str], bytes | None]:
    """Return the object at a path, read from the store without the code under test."""

    def stored(path: str) -> bytes | None:
        bucket, _, key = path.partition("/")
        client = s3.client()
        try:
            data: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return data

    return stored


@pytest.fixture
def uploads(s3: servers.S3Server) -> Callable[[str], list[Any]]:
    """Return the unfinished multipart uploads of a path, listed without the code under test."""

    def uploads(path: str) -> list[Any]:
        bucket, _, key = path.partition("/")
        found = s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [one for one in found if one["Key"] == key]

    return uploads


@pytest.fixture
def calls(fs: S3, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that `fs` sends, in order: the method, and what it is about, such as ``PUT partNumber``."""
    made: list[str] = []
    real = fs.store.client.send

    def send(request: Any, *busy: Any) -> Any:
        made.append(call_of(request))
        return real(request, *busy)

    monkeypatch.setattr(fs.store.client, "send", send)
    return made


@pytest.fixture
def intercept(fs: S3, monkeypatch: pytest.MonkeyPatch) -> Intercept:
    """Let a function answer the requests of `fs`, given what they are, and a function that really sends them."""

    def intercept(answer: Callable[[str, Callable[[], Any]], Any]) -> None:
        real = fs.store.client.send
        monkeypatch.setattr(fs.store, "first_pause", 0.001)
        monkeypatch.setattr(
            fs.store.client, "send", lambda request, *busy: answer(call_of(request), lambda: real(request, *busy))
        )

    return intercept


@pytest.fixture(scope="module")
def account() -> Iterator[KmsAccount]:
    """An account with KMS keys, for the tests of a module."""
    with kms_account() as account:
        account.allow("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")
        yield account


@pytest.fixture(scope="module")
def objects(s3: servers.S3Server, account: KmsAccount) -> Objects:
    """The store's objects, under a KMS key."""
    return Objects(s3, account, account.create_key())


@pytest.fixture(scope="module")
def amazon(objects: Objects, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AmazonClient]:
    """Amazon's own client, for the same objects."""
    folder = tmp_path_factory.mktemp("amazon")
    with amazon_client(folder, objects.store, objects.account, objects.key_id) as client:
        yield client
