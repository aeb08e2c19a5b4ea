"""A filesystem uses the credentials of its document alone, and shows none of them."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec.config
import pytest
import servers
from hostile import Answer, Request, hostile_server
from watching import frames_of, texts_of

from connectors.credentials.model import validate
from connectors.errors import AccessDenied, ObjectNotFound, StorageError
from connectors_azure import AzureBackend, AzureCredentials
from connectors_azure.filesystem import AzureFileSystem
from connectors_azure.store import PART_SIZES

OpenFs = Callable[..., AzureFileSystem]


@pytest.fixture
def hostile_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put another account's credentials, endpoints and proxies into all places where a library may look for them."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login stranger password stranger\n")
    netrc.chmod(0o600)
    for name, value in {
        "HOME": str(tmp_path),
        "NETRC": str(netrc),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
        "REQUESTS_CA_BUNDLE": "/nonexistent",
        "AZURE_STORAGE_ACCOUNT": "stranger",
        "AZURE_STORAGE_ACCOUNT_NAME": "stranger",
        "AZURE_STORAGE_ACCOUNT_KEY": "c3RyYW5nZXI=",
        "AZURE_STORAGE_KEY": "c3RyYW5nZXI=",
        "AZURE_STORAGE_SAS_TOKEN": "sig=stranger",
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=stranger;AccountKey=c3RyYW5nZXI=",
        "AZURE_STORAGE_ANON": "true",
        "AZURE_STORAGE_CLIENT_ID": "stranger",
        "AZURE_STORAGE_CLIENT_SECRET": "stranger",
        "AZURE_STORAGE_TENANT_ID": "stranger",
        "AZURE_CLIENT_ID": "stranger",
        "AZURE_CLIENT_SECRET": "stranger",
        "AZURE_TENANT_ID": "stranger",
        "AZURE_HTTP_USER_AGENT": "stranger",
        "AZURE_CLOUD": "AZURE_CHINA_CLOUD",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for protocol in ("az", "abfs", "abfss", "azure", "abstract"):
        stranger = {"account_name": "stranger", "account_key": "c3RyYW5nZXI=", "anon": True, "block_size": 7}
        monkeypatch.setitem(fsspec.config.conf, protocol, stranger)


@pytest.mark.usefixtures("hostile_machine")
def test_configuration_of_the_machine_is_ignored(document: dict[str, Any], fs: AzureFileSystem, path: str) -> None:
    backend = AzureBackend()
    mine, path = backend.connect(f"az://{path}", validate(AzureCredentials, document))
    mine.pipe_file(path, b"mine")
    assert mine.open_source(path).read_range(0, 10) == b"mine"
    assert mine._part_sizes == PART_SIZES
    url = backend.presign(f"az://{path}", validate(AzureCredentials, document), "GET", 60)
    assert url.startswith(document["endpoint_url"])
    assert "stranger" not in url


@pytest.mark.usefixtures("hostile_machine")
def test_anonymous_ignores_the_credentials_of_the_machine(document: dict[str, Any], proxy: Any, path: str) -> None:
    anonymous = {"account_name": document["account_name"], "anonymous": True, "encryption": None}
    seen: list[Request] = []

    def respond(request: Request) -> Answer:
        seen.append(request)
        return proxy.respond(request)

    with hostile_server(respond) as (url, _):
        credentials = validate(AzureCredentials, {**anonymous, "endpoint_url": f"{url}/clinic"})
        fs, _ = AzureBackend().connect(f"az://{path}", credentials)
        with pytest.raises(StorageError):
            fs.cat_file(path)
    assert "authorization" not in seen[0].headers
    assert "sig=" not in seen[0].target
    assert "stranger" not in str(seen)


def test_connection_string_gives_access(azure: servers.AzureServer, fs: AzureFileSystem, path: str) -> None:
    text = f"AccountName={azure.account};AccountKey={azure.key};BlobEndpoint={azure.endpoint};"
    credentials = validate(AzureCredentials, {"connection_string": text, "encryption": None})
    mine, path = AzureBackend().connect(f"az://{path}", credentials)
    mine.pipe_file(path, b"mine")
    assert fs.cat_file(path) == b"mine"


def test_sas_gives_access_to_what_it_allows(
    fs: AzureFileSystem, open_fs: OpenFs, sas: Callable[..., dict[str, Any]], path: str
) -> None:
    full = open_fs(sas(read=True, write=True, create=True, delete=True, list=True))
    full.pipe_file(path, bytes(9 << 20))
    full.cp_file(path, f"{path}-copy")
    assert full.info(f"{path}-copy")["size"] == 9 << 20
    assert f"{path}-copy" in full.ls("ward", detail=False)
    full.rm(f"{path}-copy")
    reader = open_fs(sas(read=True))
    assert reader.cat_file(path, 0, 3) == bytes(3)
    assert not reader.exists(f"{path}-none")
    with pytest.raises(AccessDenied, match="write"):
        reader.pipe_file(path, b"other")
    with pytest.raises(AccessDenied, match="list"):
        reader.find("ward")
    with pytest.raises(AccessDenied, match="remove"):
        reader.rm_file(path)


def test_two_credentials_are_never_mixed_up(
    open_fs: OpenFs, document: dict[str, Any], fs: AzureFileSystem, path: str
) -> None:
    other = open_fs({**document, "account_key": "bm90IHRoZSBrZXk="})
    fs.pipe_file(path, b"mine")
    for _ in range(2):
        assert fs.open_source(path).read_range(0, 10) == b"mine"
        for refused in (other.cat_file, other.info, other.exists, other.isfile, other.ls, other.find):
            with pytest.raises(AccessDenied):
                refused(path)


def test_filesystem_cannot_be_pickled_copied_or_serialized(
    fs: AzureFileSystem, open_fs: OpenFs, document: dict[str, Any]
) -> None:
    for serialize in (pickle.dumps, copy.copy, copy.deepcopy, AzureFileSystem.to_json, AzureFileSystem.to_dict):
        with pytest.raises(TypeError, match="pickle"):
            serialize(fs)  # type: ignore[operator]
    with pytest.raises(TypeError):
        json.dumps(fs.__dict__)
    again = open_fs(document)
    assert fs not in (again, None)
    assert fs._fs_token != again._fs_token
    assert AzureFileSystem._cache == {}


@pytest.mark.parametrize("kind", ["key", "sas", "connection"])
def test_secrets_are_not_kept_printed_or_logged(
    azure: servers.AzureServer,
    open_fs: OpenFs,
    document: dict[str, Any],
    sas: Callable[..., dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
    fs: AzureFileSystem,
    path: str,
    kind: str,
) -> None:
    caplog.set_level(0)
    signed = sas(read=True, write=True, create=True, list=True, delete=True)
    text = f"AccountName={azure.account};AccountKey={azure.key};BlobEndpoint={azure.endpoint}"
    mine = open_fs(
        {"key": document, "sas": signed, "connection": {"connection_string": text, "encryption": None}}[kind]
    )
    mine.pipe_file(path, bytes(9 << 20))
    mine.cat_file(path)
    mine.cp_file(path, f"{path}-copy")
    mine.find("ward")
    with pytest.raises(ObjectNotFound) as missing:
        mine.cat_file("ward/none")
    assert len(caplog.records) >= 9  # each request is logged
    account = mine.store.account
    shown = (repr(mine), str(mine), mine.storage_options, mine.storage_args, mine._fs_token, vars(mine), account)
    secrets = [azure.key, signed["sas_token"].partition("sig=")[2]]
    for one in (*shown, missing.value, missing.getrepr(), caplog.text):
        for secret in secrets:
            assert secret not in str(one)
    assert "SharedKey" not in caplog.text


def test_signature_is_not_logged_if_the_connection_fails(
    open_fs: OpenFs, sas: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture, quick: None
) -> None:
    caplog.set_level(0)
    document = sas(read=True)
    fs = open_fs({**document, "endpoint_url": "http://127.0.0.1:9/clinic"})
    with pytest.raises(StorageError) as caught:
        fs.cat_file("ward/none")
    signature = document["sas_token"].partition("sig=")[2]
    assert signature not in f"{caplog.text} {caught.getrepr()}"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_copy_shows_no_signature_in_its_traceback(
    open_fs: OpenFs, sas: Callable[..., dict[str, Any]], status: int
) -> None:
    document = sas(read=True)
    signature = document["sas_token"].partition("sig=")[2]
    with hostile_server(lambda _: Answer(status)) as (url, seen):
        fs = open_fs({**document, "endpoint_url": f"{url}/clinic"})
        with pytest.raises(AccessDenied) as caught:
            fs.cp_file("ward/one", "ward/two")
    assert signature in seen[0].headers["x-ms-copy-source"]
    assert signature in seen[0].target
    frames = list(frames_of(caught.value))
    assert "connectors_azure/store.py:copy" in dict(frames)
    for text in (*(text for _, text in frames), *texts_of(caught.value)):
        assert signature not in text
