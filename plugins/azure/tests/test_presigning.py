from __future__ import annotations

import base64
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import servers
from azure.storage.blob import generate_blob_sas
from patience import PATIENCE

import connectors
from connectors.credentials.model import validate
from connectors.errors import AccessDenied, ConfigError, InvalidLocation, NotSupported, ObjectExists
from connectors.secrets import SecretText
from connectors_azure import AzureBackend, AzureCredentials
from connectors_azure.account import Account
from connectors_azure.filesystem import AzureFileSystem
from connectors_azure.presigning import service_sas

KEYED = {"account_name": "clinic", "account_key": "c2VjcmV0", "encryption": None}
KEY = "0f" * 32


def request(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    headers = {"x-ms-blob-type": "BlockBlob"} if method == "PUT" else {}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, body, headers, method=method), timeout=PATIENCE
        ) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def presign(location: str, method: str = "GET", expires: int = 60, **members: Any) -> str:
    return AzureBackend().presign(location, validate(AzureCredentials, {**KEYED, **members}), method, expires)


def dataset_at(url: str) -> connectors.Dataset:
    location, _, query = url.partition("?")
    encoded = base64.b64encode(query.encode()).decode()
    return connectors.Dataset(location, {"query_string": encoded, "encryption": {"key": KEY}})


@pytest.mark.parametrize("name", ["plain.csv", "a folder/with ü 病", "50%25 of?versionid=1&x=#part", "a+b=c@d;e,f'g~"])
def test_urls_work_with_any_http_client(
    fs: AzureFileSystem, credentials: AzureCredentials, stored: Callable[[str], bytes | None], name: str
) -> None:
    backend, location = AzureBackend(), f"az://ward/presigned/{name}"
    assert request(backend.presign(location, credentials, "PUT", 60), "PUT", b"sealed")[0] == 201
    assert stored(f"ward/presigned/{name}") == b"sealed"
    assert request(backend.presign(location, credentials, "get", 60)) == (200, b"sealed")


@pytest.mark.parametrize("size", [0, 100, 5 << 20])
def test_urls_work_as_datasets_of_the_https_backend(
    fs: AzureFileSystem, credentials: AzureCredentials, document: dict[str, Any], path: str, size: int
) -> None:
    backend, data = AzureBackend(), os.urandom(size)
    output = dataset_at(backend.presign(f"az://{path}", credentials, "PUT", 600))
    source = dataset_at(backend.presign(f"az://{path}", credentials, "GET", 600))
    output.write_bytes(data)
    assert source.read_bytes() == connectors.Dataset(f"az://{path}", document).read_bytes() == data
    with pytest.raises(ObjectExists), output.open("xb") as file:
        file.write(b"other")
    with pytest.raises(AccessDenied):
        source.write_bytes(b"other")
    with pytest.raises(AccessDenied):
        output.read_bytes()
    connectors.Dataset(f"az://{path}", document).write_bytes(data[::-1])
    assert source.read_bytes() == data[::-1]


@pytest.mark.parametrize("name", ["plain.csv", "a folder/with ü 病", "50%25 of?x=#part", "a+b=c@d;e,f'g~"])
@pytest.mark.parametrize("permissions", ["r", "cw"])
@pytest.mark.parametrize("endpoint", ["https://clinic.blob.core.windows.net", "http://127.0.0.1:10000/clinic"])
def test_query_is_that_of_microsofts_client(name: str, permissions: str, endpoint: str) -> None:
    theirs = generate_blob_sas(
        "clinic",
        "ward",
        name,
        account_key="c2VjcmV0",
        permission=permissions,
        expiry="2026-01-02T03:04:05Z",
        protocol="https" if endpoint.startswith("https") else None,
    )
    version = dict(parse_qsl(theirs))["sv"]
    account, key = Account("clinic", endpoint), SecretText("c2VjcmV0")
    assert service_sas(account, f"ward/{name}", permissions, "2026-01-02T03:04:05Z", key, version=version) == theirs


def test_connection_string_signs_with_its_key(azure: servers.AzureServer, fs: AzureFileSystem, path: str) -> None:
    fs.pipe_file(path, b"sealed")
    text = f"AccountName={azure.account};AccountKey={azure.key};BlobEndpoint={azure.endpoint}"
    credentials = validate(AzureCredentials, {"connection_string": text, "encryption": None})
    assert request(AzureBackend().presign(f"az://{path}", credentials, "GET", 60)) == (200, b"sealed")


def test_url_is_valid_only_for_its_object_and_method(
    fs: AzureFileSystem, credentials: AzureCredentials, path: str
) -> None:
    fs.pipe_file(path, b"sealed")
    fs.pipe_file(f"{path}-other", b"other")
    url = AzureBackend().presign(f"az://{path}", credentials, "GET", 60)
    assert request(url, "PUT", b"other")[0] == 403
    assert request(url.replace("?", "-other?"))[0] == 403
    assert fs.cat_file(path) == b"sealed"


def test_url_contains_permissions_and_expiry() -> None:
    for method, permissions in (("GET", "r"), ("PUT", "cw")):
        url = presign("abfss://ward@clinic.dfs.core.windows.net/a key", method, 3600)
        assert url.startswith("https://clinic.blob.core.windows.net/ward/a%20key?")
        query = parse_qs(urlsplit(url).query)
        assert (query["sp"], query["sr"], query["spr"]) == ([permissions], ["b"], ["https"])
        left = datetime.fromisoformat(query["se"][0]) - datetime.now(UTC)
        assert 3500 < left.total_seconds() <= 3600
        assert "c2VjcmV0" not in url


@pytest.mark.parametrize("expires", [0, -1, 604_801, True, 1.5])
def test_validity_outside_the_limits_is_refused(expires: Any) -> None:
    with pytest.raises(ConfigError, match="is valid for 1 to 604800 seconds, not for"):
        presign("az://ward/name", expires=expires)


def test_longest_validity_is_allowed() -> None:
    assert "sig=" in presign("az://ward/name", expires=604_800)


@pytest.mark.parametrize("location", ["az://ward/", "az://ward/folder/"])
def test_folder_is_not_presigned(location: str) -> None:
    with pytest.raises(InvalidLocation, match="is a folder"):
        presign(location)


def test_other_methods_and_credentials_are_refused() -> None:
    with pytest.raises(NotSupported, match="URLs for Azure are presigned for GET or PUT, not for DELETE"):
        presign("az://ward/name", "DELETE")
    anonymous = AzureCredentials(anonymous=True, account_name="clinic", encryption=None)
    with pytest.raises(NotSupported, match="anonymous credentials cannot sign URLs"):
        AzureBackend().presign("az://ward/name", anonymous, "GET", 60)
    for members in (
        {"account_name": "clinic", "sas_token": "sv=1&sig=0"},
        {
            "connection_string": "BlobEndpoint=https://clinic.blob.core.windows.net;SharedAccessSignature=sv=1&sig=0",
        },
    ):
        signed = validate(AzureCredentials, {**members, "encryption": None})
        with pytest.raises(NotSupported, match="a SAS cannot sign another one"):
            AzureBackend().presign("az://ward/name", signed, "GET", 60)
