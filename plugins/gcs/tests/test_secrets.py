"""A filesystem uses the credentials of its document alone, and shows none of them."""

from __future__ import annotations

import copy
import http.client
import json
import pickle
from pathlib import Path
from typing import Any

import fsspec.config
import pytest
from hostile import Answer, hostile_server

from connectors.credentials.model import validate
from connectors.errors import AccessDenied
from connectors.storage import Origin
from connectors_gcs import GcsBackend, GcsCredentials
from connectors_gcs.filesystem import Gcs


@pytest.fixture
def hostile_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with other credentials, endpoints and proxies in every place that libraries read."""
    trap = tmp_path / "unpickled"
    (tmp_path / ".gcs_tokens").write_bytes(b"cposix\nsystem\n(S'touch %s'\ntR." % str(trap).encode())
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login stranger password stranger\n")
    (tmp_path / ".config" / "gcloud").mkdir(parents=True)
    (tmp_path / ".config" / "gcloud" / "application_default_credentials.json").write_text("{")
    for name, value in {
        "HOME": str(tmp_path),
        "CLOUDSDK_CONFIG": str(tmp_path / ".config" / "gcloud"),
        "GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent",
        "GOOGLE_CLOUD_PROJECT": "stranger",
        "GOOGLE_CLOUD_QUOTA_PROJECT": "stranger",
        "GOOGLE_CLOUD_UNIVERSE_DOMAIN": "attacker.example",
        "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true",
        "GOOGLE_API_USE_MTLS_ENDPOINT": "nonsense",
        "GOOGLE_API_CERTIFICATE_CONFIG": "/nonexistent",
        "GCE_METADATA_HOST": "127.0.0.1:9",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "GCSFS_DEFAULT_PROJECT": "stranger",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "SSLKEYLOGFILE": str(tmp_path / "keylog"),
        "NETRC": str(tmp_path / ".netrc"),
        "FSSPEC_GS_TOKEN": "stranger",
        "FSSPEC_GCS_TOKEN": "stranger",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for protocol in ("gs", "gcs", "abstract"):
        monkeypatch.setitem(fsspec.config.conf, protocol, {"token": "stranger", "endpoint_url": "http://127.0.0.1:9"})
    return tmp_path


def test_configuration_of_the_machine_is_ignored(credentials: GcsCredentials, path: str, hostile_machine: Path) -> None:
    fs, path = GcsBackend().connect(f"gs://{path}", credentials)
    fs.pipe_file(path, b"mine")
    assert fs.open_source(path).read_range(0, 10) == b"mine"
    assert GcsBackend().presign(f"gs://{path}", credentials, "GET", 60).startswith(f"{fs.store.endpoint}/{path}?")
    assert not (hostile_machine / "unpickled").exists()
    assert not (hostile_machine / "keylog").exists()


@pytest.mark.usefixtures("hostile_machine")
@pytest.mark.parametrize("who", [{"anonymous": True}, {"token": "ya29.token"}])
def test_real_google_is_reached_as_the_document_says(who: dict[str, Any]) -> None:
    fs = Gcs(validate(GcsCredentials, {**who, "encryption": None}))
    assert fs.store.read_request("clinic/key", None, None).origin == Origin("https", "storage.googleapis.com", 443)


@pytest.mark.usefixtures("hostile_machine")
def test_machine_s_netrc_is_not_sent(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    assert fs.cat_file("clinic/key") == b"sealed"
    assert {request.headers.get("authorization") for request in google.seen} == {None}


def test_two_accounts_never_mix(document: dict[str, Any], path: str) -> None:
    mine = Gcs(validate(GcsCredentials, document))
    mine.pipe_file(path, b"mine")
    with hostile_server(lambda _: Answer(403)) as (url, _):
        other = Gcs(validate(GcsCredentials, {**document, "endpoint_url": url}))
        for _ in range(2):
            assert mine.open_source(path).read_range(0, 10) == b"mine"
            for ask in (lambda: other.open_source(path).read_range(0, 10), lambda: other.info(path)):
                with pytest.raises(AccessDenied):
                    ask()


def test_instances_are_equal_only_to_themselves(credentials: GcsCredentials) -> None:
    one, two = Gcs(credentials), Gcs(credentials)
    assert one is not two
    assert one != two
    assert one == one  # noqa: PLR0124
    assert hash(one) != hash(two)
    assert one._fs_token != two._fs_token
    assert Gcs._cache == {}


def test_filesystem_is_not_pickled_or_dumped_as_json(fs: Gcs) -> None:
    for travel in (pickle.dumps, copy.copy, copy.deepcopy, Gcs.to_json, Gcs.to_dict):
        with pytest.raises(TypeError, match="take it from a dataset of an app config"):
            travel(fs)  # type: ignore[operator]
    with pytest.raises(TypeError):
        json.dumps(fs.__dict__)


def test_fsspec_neither_keeps_nor_prints_a_secret(fs: Gcs, pem: str, tokens: Any, path: str) -> None:
    fs.pipe_file(path, b"sealed")
    shown = " ".join(map(str, (repr(fs), str(fs), fs.storage_options, fs.storage_args, fs._fs_token, vars(fs))))
    shown += " ".join(
        map(
            str,
            (vars(fs.store), vars(fs.store.signer), vars(fs.store.client), fs.open_source(path), fs.open_sink(path)),
        )
    )
    assert tokens.given[0] not in shown
    assert not any(line in shown for line in pem.splitlines() if line)
    assert fs.storage_options == {}
    assert fs.storage_args == ()
    assert repr(fs) == f"<Gcs at {fs.store.endpoint}>"


def test_debug_logs_hold_no_secret_and_no_upload_url(
    document: dict[str, Any], google: Any, pem: str, tokens: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    members = {**document, "endpoint_url": google.url}
    fs = Gcs(validate(GcsCredentials, members), chunk_size=1 << 18)
    fs.pipe_file("clinic/key", bytes(300_000))
    sink = fs.open_sink("clinic/key")
    sink.write(memoryview(bytes(300_000)))
    sink.discard()
    assert fs.open_source("clinic/key").read_range(0, 10) == bytes(10)
    assert (
        len([one for one in caplog.records if one.name == "connectors.storage.http.client"]) > 3
    )  # the engine does log at this level
    logged = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for text in ("session-0", "session-1", tokens.given[0], "Bearer", "assertion=", *pem.splitlines()):
        assert text not in logged


def test_http_client_s_debugging_prints_no_token(
    google: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    google.objects["key"] = (7, b"sealed")
    document = {"token": "ya29.the-token", "endpoint_url": google.url, "encryption": None}
    assert Gcs(validate(GcsCredentials, document)).cat_file("clinic/key") == b"sealed"
    assert "ya29" not in "".join(capfd.readouterr())
