from __future__ import annotations

import copy
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec.config
import pytest
import servers
from botocore.session import Session
from hostile import Answer, Request, hostile_server

import connectors
from connectors.credentials.model import validate
from connectors.errors import AccessDenied, CredentialsExpired, ObjectNotFound
from connectors.storage import Origin
from connectors_s3 import S3Backend, S3Credentials
from connectors_s3.filesystem import S3
from connectors_s3.sessions import open_session

TOKEN = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"


@pytest.fixture
def hostile_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with other credentials, endpoints and options in every place where the libraries look."""
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = mars-north-1\nendpoint_url = http://127.0.0.1:9\nca_bundle = /nonexistent\n"
        "use_fips_endpoint = true\nmax_attempts = 77\ns3 =\n  addressing_style = virtual\n"
        "  use_accelerate_endpoint = true\n[profile other]\nregion = mars-south-1\n"
    )
    shared = tmp_path / "credentials"
    shared.write_text("[default]\naws_access_key_id = AKSTRANGER\naws_secret_access_key = stranger\n")
    home = tmp_path / "home"
    model = home / ".aws" / "models" / "s3" / "2006-03-01"
    model.mkdir(parents=True)
    (model / "service-2.json").write_text("{}")
    for name, value in {
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(shared),
        "AWS_ACCESS_KEY_ID": "AKSTRANGER",
        "AWS_SECRET_ACCESS_KEY": "stranger",
        "AWS_SESSION_TOKEN": "stranger",
        "AWS_SECURITY_TOKEN": "stranger",
        "AWS_PROFILE": "nonsense",
        "AWS_DEFAULT_PROFILE": "nonsense",
        "AWS_REGION": "mars-east-1",
        "AWS_DEFAULT_REGION": "mars-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_CA_BUNDLE": "/nonexistent",
        "AWS_DATA_PATH": str(home / ".aws" / "models"),
        "AWS_DEFAULTS_MODE": "auto",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_MAX_ATTEMPTS": "many",
        "AWS_RETRY_MODE": "nonsense",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "nonsense",
        "AWS_CSM_ENABLED": "true",
        "AWS_CSM_PORT": "nonsense",
    }.items():
        monkeypatch.setenv(name, value)
    for protocol in ("s3", "s3a", "abstract"):
        monkeypatch.setitem(
            fsspec.config.conf,
            protocol,
            {"key": "AKSTRANGER", "secret": "stranger", "endpoint_url": "http://127.0.0.1:9", "anon": True},
        )


@pytest.mark.usefixtures("hostile_machine")
def test_machine_s_configuration_is_ignored(credentials: S3Credentials, path: str) -> None:
    fs, path = S3Backend().connect(f"s3://{path}", credentials)
    fs.pipe_file(path, b"mine")
    assert fs.open_source(path).read_range(0, 10) == b"mine"
    request = fs.store.read_request(path, None, None)
    assert f"{request.origin.scheme}://{request.origin.authority}" == credentials.endpoint_url
    signed = fs.store.signer.sign(request).headers
    assert f"Credential={credentials.access_key_id}/" in signed["Authorization"]
    assert f"/{credentials.region}/s3/" in signed["Authorization"]
    assert "X-Amz-Security-Token" not in signed


@pytest.mark.usefixtures("hostile_machine")
@pytest.mark.parametrize("scheme", ["anonymous", "keyed"])
def test_requests_to_aws_ignore_the_machine_s_configuration(scheme: str) -> None:
    members = {"access_key_id": "AKMINE", "secret_access_key": "mine"} if scheme == "keyed" else {"anonymous": True}
    fs = S3(validate(S3Credentials, {**members, "region": "eu-west-1", "encryption": None}))
    for path, host, target in (
        ("clinic/key", "clinic.s3.eu-west-1.amazonaws.com", "/key"),
        ("my.clinic/key", "s3.eu-west-1.amazonaws.com", "/my.clinic/key"),
    ):
        request = fs.store.read_request(path, None, None)
        assert request.origin == Origin("https", host, 443)
        assert request.target.reveal() == target
        signed = fs.store.signer.sign(request).headers
        if scheme == "keyed":
            assert "Credential=AKMINE/" in signed["Authorization"]
            assert "/eu-west-1/s3/aws4_request" in signed["Authorization"]
            assert "X-Amz-Security-Token" not in signed
        else:
            assert signed == {}


@pytest.mark.usefixtures("hostile_machine")
def test_presigned_url_ignores_the_machine_s_configuration() -> None:
    credentials = validate(
        S3Credentials,
        {"access_key_id": "AKMINE", "secret_access_key": "mine", "region": "eu-west-1", "encryption": None},
    )
    url = S3Backend().presign("s3://clinic/key", credentials, "GET", 60)
    assert url.startswith("https://clinic.s3.eu-west-1.amazonaws.com/key?")
    assert "AKMINE%2F" in url
    assert "X-Amz-Security-Token" not in url


@pytest.mark.usefixtures("hostile_machine")
def test_session_variables_have_only_their_defaults(credentials: S3Credentials) -> None:
    session: Any = open_session(credentials)
    for name, (_, _, default, _) in Session.SESSION_VARIABLES.items():
        expected = os.devnull if name in ("config_file", "credentials_file") else default
        assert session.get_config_variable(name) == expected, name
    assert session.full_config == {"profiles": {}}
    assert session.get_scoped_config() == {}


def test_ambient_credentials_are_used_if_requested(
    s3: servers.S3Server, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    shared = tmp_path / "credentials"
    shared.write_text(
        f"[clinic]\naws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\nregion = eu-west-1\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    document = {"ambient": True, "endpoint_url": s3.endpoint, "encryption": None}
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AccessDenied, match="ambient, but this machine provides none"):
        S3(validate(S3Credentials, document)).open_source(path).read_range(0, 1)
    by_profile = S3(validate(S3Credentials, {**document, "profile": "clinic"}))
    by_profile.pipe_file(path, b"profile")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    by_variables = S3(validate(S3Credentials, document))
    assert by_variables.open_source(path).read_range(0, 10) == b"profile"
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", s3.region)
    by_endpoint = validate(S3Credentials, {"ambient": True, "allow_http": True, "encryption": None})
    assert S3(by_endpoint).open_source(path).read_range(0, 10) == b"profile"
    assert S3Backend().presign(f"s3://{path}", by_endpoint, "GET", 60).startswith(f"{s3.endpoint}/{path}?")


def test_missing_profile_is_an_error_that_does_not_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    credentials = S3Credentials(ambient=True, profile="staging", region="eu-west-1", encryption=None)
    with pytest.raises(AccessDenied, match="does not exist on this machine") as caught:
        S3Backend().presign("s3://clinic/key", credentials, "GET", 60)
    assert caught.value.__context__ is None
    fs, path = S3Backend().connect("s3://clinic/key", credentials)
    with pytest.raises(AccessDenied, match="does not exist on this machine"):
        fs.open_source(path).read_range(0, 1)


def test_two_accounts_do_not_share_credentials(document: dict[str, Any], path: str) -> None:
    mine = S3(validate(S3Credentials, document))
    other = S3(validate(S3Credentials, {**document, "secret_access_key": "not-the-secret"}))
    mine.pipe_file(path, b"mine")
    for _ in range(2):
        assert mine.open_source(path).read_range(0, 10) == b"mine"
        with pytest.raises(AccessDenied):
            other.open_source(path).read_range(0, 10)
        with pytest.raises(AccessDenied):
            other.info(path)


def test_instance_equals_only_itself(credentials: S3Credentials) -> None:
    one, two = S3(credentials), S3(credentials)
    assert one is not two
    assert one != two
    assert one == one  # noqa: PLR0124
    assert hash(one) != hash(two)
    assert one._fs_token != two._fs_token
    assert S3._cache == {}


def test_filesystem_is_not_pickled_or_copied(fs: S3) -> None:
    for convert in (pickle.dumps, copy.copy, copy.deepcopy, S3.to_json, S3.to_dict):
        with pytest.raises(TypeError, match="holds secrets and does not pickle"):
            convert(fs)  # type: ignore[operator]
    with pytest.raises(TypeError):
        json.dumps(fs.__dict__)


def test_fsspec_stores_and_prints_no_secret(s3: servers.S3Server, document: dict[str, Any]) -> None:
    fs = S3(validate(S3Credentials, {**document, "session_token": TOKEN}))
    with pytest.raises(AccessDenied):
        fs.exists("clinic")  # so that the session is open
    shown = " ".join(map(str, (repr(fs), str(fs), fs.storage_options, fs.storage_args, fs._fs_token, vars(fs))))
    assert s3.secret_key not in shown
    assert TOKEN not in shown
    assert fs.storage_options == {}
    assert fs.storage_args == ()
    assert repr(fs) == f"<S3 at {s3.endpoint}>"


def test_debug_logs_contain_no_secret_and_no_signature(
    s3: servers.S3Server, document: dict[str, Any], caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(0)
    backend = S3Backend()
    credentials = validate(S3Credentials, document)
    fs, _ = backend.connect(f"s3://{path}", credentials)
    fs.pipe_file(path, b"sealed")
    fs.open_source(path).read_range(0, 10)
    url = backend.presign(f"s3://{path}", credentials, "GET", 60)
    assert f"PUT {s3.endpoint.partition('://')[2]}/{path}: 200" in caplog.text
    for text in (
        s3.secret_key,
        "Authorization",
        "Signature:",
        "AWS4-HMAC-SHA256 Credential",
        url.split("Signature=")[1],
    ):
        assert text not in caplog.text


def test_token_in_a_response_reaches_neither_error_nor_log(
    document: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)

    def expired(_: Request) -> Answer:
        # Like the response of AWS, which contains the token.
        page = f"<Error><Code>ExpiredToken</Code><Message>expired</Message><Token-0>{TOKEN}</Token-0></Error>"
        return Answer(400, {"Content-Type": "application/xml"}, page.encode())

    with hostile_server(expired) as (url, seen):
        fs = S3(validate(S3Credentials, {**document, "endpoint_url": url, "session_token": TOKEN}))
        with pytest.raises(CredentialsExpired, match="have expired") as caught:
            fs.open_source("clinic/key").read_range(0, 10)
    assert seen[0].headers["x-amz-security-token"] == TOKEN
    assert TOKEN not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "key",
    ["with spaces", "ü/病/𝄞", "100%", "%41", "what?", "a?versionId=7", "a#b", "a+b&c=d", "a//b", "s3:x", "*[a]", "~"],
)
def test_names_are_literal(fs: S3, s3: servers.S3Server, stored: Callable[[str], bytes | None], key: str) -> None:
    path = f"clinic/names/{key}"
    sink = fs.open_sink(path)
    sink.write(memoryview(key.encode()))
    sink.commit()
    assert stored(path) == key.encode()
    assert fs.open_source(path).read_range(0, 100) == key.encode()
    assert fs.info(path)["size"] == len(key.encode())


def test_listing_has_literal_names_and_is_never_stale(fs: S3) -> None:
    for name in ("a b", "ü?", "100%25#1"):
        fs.pipe_file(f"clinic/listed/{name}", name.encode())
    assert fs.ls("clinic/listed", detail=False) == sorted(f"clinic/listed/{name}" for name in ("a b", "ü?", "100%25#1"))
    fs.rm_file("clinic/listed/a b")
    assert len(fs.ls("s3://clinic/listed")) == 2
    fs.pipe_file("clinic/listed/ü?", b"longer than before")
    assert fs.info("clinic/listed/ü?")["size"] == 18


def test_filesystem_raises_our_errors(fs: S3) -> None:
    for fail in (
        lambda: fs.info("clinic/none"),
        lambda: fs.ls("clinic/none"),
        lambda: fs.cat_file("clinic/none"),
        lambda: fs.info("no-such-bucket/none"),
        lambda: fs.cp_file("clinic/none", "clinic/other"),
    ):
        with pytest.raises(ObjectNotFound, match="none") as caught:
            fail()
        assert caught.value.__context__ is None
    assert not fs.exists("clinic/none")


def test_dataset_is_read_back_as_written(document: dict[str, Any], path: str, s3: servers.S3Server) -> None:
    dataset = connectors.Dataset(f"s3://{path}", document)
    data = os.urandom(300_000)
    dataset.write_bytes(data)
    assert dataset.read_bytes() == data
    with dataset.open() as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == data[-10:]
    bucket, _, key = path.partition("/")
    assert s3.client().head_object(Bucket=bucket, Key=key)["ContentLength"] > len(data)
