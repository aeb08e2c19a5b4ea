"""``connectors presign`` against real stores, and what it prints of its secrets, and where."""

from __future__ import annotations

import base64
import json
import re
import stat
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import servers
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from command_line import KEY, connectors
from patience import PATIENCE

import connectors as sdk

pytest.importorskip("connectors_s3")
pytest.importorskip("connectors_https")

LOCATION = "s3://clinic/wards/conditions of ward 7.sealed"


@pytest.fixture(scope="module")
def moto():
    with servers.moto_server() as server:
        server.client().create_bucket(Bucket="clinic")
        yield server


def account(server: servers.S3Server) -> dict[str, object]:
    return {
        "type": "s3",
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "region": server.region,
        "endpoint_url": server.endpoint,
    }


@pytest.fixture
def home(tmp_path, moto) -> Path:
    (tmp_path / "key.hex").write_text(KEY)
    (tmp_path / "owner.json").write_text(json.dumps(account(moto)))
    return tmp_path


def facts(text: str) -> dict[str, str]:
    return dict(re.split(r" +", line, maxsplit=1) for line in text.splitlines())


def status(url: str, method: str = "GET", body: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=PATIENCE) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_location_expiry_and_query_are_printed(home, moto):
    before = datetime.now(UTC).replace(microsecond=0)
    done = connectors("presign", LOCATION, "--expires", "3600", "--credentials", "owner.json", cwd=home)
    assert (done.code, done.err) == (0, "")
    shown = facts(done.text)
    assert list(shown) == ["location", "method", "expires", "query"]
    assert shown["location"] == f"{moto.endpoint}/clinic/wards/conditions%20of%20ward%207.sealed"
    assert shown["method"] == "GET"
    ends = datetime.strptime(shown["expires"].split(" UTC")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert before + timedelta(seconds=3600) <= ends <= datetime.now(UTC) + timedelta(seconds=3600)
    assert "X-Amz-Signature=" in base64.b64decode(shown["query"], validate=True).decode()
    assert moto.secret_key not in done.text


def test_real_store_takes_the_url_for_what_it_was_signed(s3, tmp_path):
    (tmp_path / "owner.json").write_text(json.dumps(account(s3) | {"encryption": None}))
    words = ("presign", "s3://clinic/presign/an object.sealed", "--credentials", "owner.json", "--url")
    upload = connectors(*words, "--method", "upload", cwd=tmp_path).text
    assert upload.count("\n") == 1
    assert status(upload.strip(), "GET") == 403
    assert status(upload.strip(), "PUT", b"sealed") == 200
    download = connectors(*words, "--method", "download", cwd=tmp_path).text.strip()
    assert status(download) == 200
    assert status(download.partition("?")[0]) == 403


def test_document_opens_the_dataset_and_is_private(s3, tmp_path):
    (tmp_path / "key.hex").write_text(KEY)
    (tmp_path / "owner.json").write_text(json.dumps(account(s3)))
    owner = sdk.Dataset("s3://clinic/presign/sealed", account(s3) | {"encryption": {"key": KEY, "context": "ward 7"}})
    owner.write_bytes(b"temperature 37.2\n")
    words = (
        "presign",
        "s3://clinic/presign/sealed",
        "--credentials",
        "owner.json",
        "-K",
        "key.hex",
        "--context",
        "ward 7",
    )
    done = connectors(*words, "--out", "credentials.json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    shown = facts(done.text)
    assert list(shown) == ["location", "method", "expires", "written"]
    assert stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode) == 0o600
    dataset = sdk.Dataset(shown["location"], (tmp_path / "credentials.json").read_bytes())
    assert dataset.read_bytes() == b"temperature 37.2\n"
    checked = connectors(
        "dataset", "check", "credentials.json", "--location", shown["location"], "--online", cwd=tmp_path
    )
    assert (checked.code, checked.err) == (0, "")
    assert "size      17 bytes, plain" in checked.text
    assert "UTC, in 24 hours" in checked.text


def test_document_of_an_upload_writes_the_dataset(s3, tmp_path):
    (tmp_path / "key.hex").write_text(KEY)
    (tmp_path / "owner.json").write_text(json.dumps(account(s3)))
    done = connectors(
        "presign", "s3://clinic/presign/result", "--method", "PUT", "--credentials", "owner.json", "-K", "key.hex",
        "--json", cwd=tmp_path,
    )  # fmt: skip
    signed = json.loads(done.out)
    assert (signed["method"], sorted(signed)) == ("PUT", ["credentials", "expires_at", "location", "method"])
    sdk.Dataset(signed["location"], signed["credentials"]).write_bytes(b"the result")
    read = sdk.Dataset("s3://clinic/presign/result", account(s3) | {"encryption": {"key": KEY}})
    assert read.read_bytes() == b"the result"


def test_document_alone_goes_to_standard_output(home):
    done = connectors("presign", LOCATION, "--credentials", "owner.json", "-K", "key.hex", cwd=home)
    document = json.loads(done.out)
    assert list(document) == ["query_string", "encryption"]
    assert document["encryption"] == {"key": KEY, "format": "cobblestone-256"}
    assert list(facts(done.err)) == ["location", "method", "expires"]
    assert KEY not in done.err
    assert document["query_string"] not in done.err


def test_json_is_pure_and_holds_no_secret_that_went_into_a_file(home):
    words = ("presign", LOCATION, "--credentials", "owner.json", "--json")
    signed = json.loads(connectors(*words, cwd=home).out)
    assert sorted(signed) == ["expires_at", "location", "method", "query_string"]
    assert datetime.fromisoformat(signed["expires_at"]).tzinfo is not None
    signed = json.loads(connectors(*words, "-K", "key.hex", "--out", "c.json", cwd=home).out)
    assert sorted(signed) == ["expires_at", "location", "method", "written_to"]


def test_ambient_credentials_sign_only_when_asked_for(home, moto):
    ambient = {"AWS_ACCESS_KEY_ID": "AKIDAMBIENT", "AWS_SECRET_ACCESS_KEY": "5EC2E7", "AWS_SESSION_TOKEN": "t0ken"}
    words = ("presign", LOCATION, "--endpoint-url", moto.endpoint, "--region", "us-east-1")
    assert "name the credentials to sign with" in connectors(*words, cwd=home, **ambient).error()
    done = connectors(*words, "--ambient", cwd=home, **ambient)
    assert done.code == 0
    assert "signed with temporary credentials" in facts(done.text)["note"]
    assert "AKIDAMBIENT" in base64.b64decode(facts(done.text)["query"]).decode()
    (home / "aws").write_text("[clinic]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = 5EC2E7\n")
    done = connectors(
        *words, "--ambient", "--profile", "clinic", "--url", cwd=home, AWS_SHARED_CREDENTIALS_FILE=str(home / "aws")
    )
    assert "AKIDPROFILE" in done.text


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ((LOCATION, "--method", "DELETE", "--ambient"), "--method must be GET (or download) or PUT (or upload)"),
        ((LOCATION, "--credentials", "owner.json", "--ambient"), "exclude each other"),
        ((LOCATION, "--credentials", "owner.json", "--profile", "x"), "--profile needs --ambient"),
        ((LOCATION, "--credentials", "owner.json", "--out", "x"), "needs the key: -K FILE"),
        ((LOCATION, "--credentials", "owner.json", "--context", "x"), "needs the key: -K FILE"),
        ((LOCATION, "--credentials", "owner.json", "--url", "--json"), "--url cannot be combined with"),
        ((LOCATION, "--credentials", "owner.json", "--force"), "--force needs --out FILE"),
        ((LOCATION, "--credentials", "-", "-K", "-"), "cannot both come from standard input"),
        ((LOCATION, "--credentials", "owner.json", "--expires", "0"), "--expires"),
        ((LOCATION, "--credentials", "owner.json", "--expires", "9999999"), "604800"),
        ((LOCATION, "--credentials", "none.json"), "there is no credentials document 'none.json'"),
        ((LOCATION, "--credentials", "key.hex"), "not JSON"),
        ((LOCATION, "--credentials", "owner.json", "-K", "none.hex"), "there is no key file 'none.hex'"),
        (("clinic/x", "--credentials", "owner.json"), "is not a URL; write it with its scheme"),
        (("ftp://clinic/x", "--ambient"), "no installed backend serves the scheme 'ftp'"),
        (("https://h/x?sig=5EC2E7", "--credentials", "owner.json"), "locations, not https://"),
        (("file:///x", "--credentials", "plain.json"), "the backend file does not presign URLs"),
    ],
    ids=lambda words: " ".join(words).replace(LOCATION, "")[:50],
)
def test_mistake_is_one_line_and_writes_nothing(home, words, rule):
    (home / "plain.json").write_text('{"type": "file", "encryption": null}')
    before = sorted(home.iterdir())
    message = connectors("presign", *words, cwd=home).error()
    assert rule in message
    assert "5EC2E7" not in message
    assert sorted(home.iterdir()) == before


def test_document_that_is_there_stays_unless_forced(home):
    words = ("presign", LOCATION, "--credentials", "owner.json", "-K", "key.hex", "-out", "c.json")
    assert connectors(*words, cwd=home).code == 0
    first = (home / "c.json").read_bytes()
    assert "already exists and was not changed" in connectors(*words, cwd=home).error()
    assert (home / "c.json").read_bytes() == first
    assert connectors(*words, "--expires", "60", "--force", cwd=home).code == 0
    assert (home / "c.json").read_bytes() != first


def test_azure_account_signs_documents_to_write_and_to_read(azure, tmp_path):
    account = {"account_name": azure.account, "account_key": azure.key, "endpoint_url": azure.endpoint}
    service = BlobServiceClient(azure.endpoint, {"account_name": azure.account, "account_key": azure.key})
    with suppress(ResourceExistsError):
        service.create_container("presigning")
    (tmp_path / "key.hex").write_text(KEY)
    (tmp_path / "owner.json").write_text(json.dumps({"type": "azure", **account}))
    datasets = []
    for method in ("upload", "download"):
        words = ("presign", "az://presigning/ward 7/sealed", "--credentials", "owner.json", "--method", method)
        done = connectors(*words, "-K", "key.hex", "--out", f"{method}.json", cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        assert azure.key not in done.text
        datasets.append(sdk.Dataset(facts(done.text)["location"], (tmp_path / f"{method}.json").read_bytes()))
    datasets[0].write_bytes(b"temperature 37.2\n")
    assert datasets[1].read_bytes() == b"temperature 37.2\n"
    service.close()


def test_reference_of_a_key_file_is_written_and_not_the_key(home, s3):
    (home / "kek.hex").write_text("77" * 32)
    place = ["--wrap", "wrapped", "by.source=file", f"by.path={home}/kek.hex"]
    assert connectors("keygen", "key.json", "--from", "key.hex", *place, cwd=home).code == 0
    (home / "owner.json").write_text(json.dumps(account(s3)))
    words = ["presign", "s3://clinic/presign/sealed", "--credentials", "owner.json", "-K", "key.json"]
    document = json.loads(connectors(*words, cwd=home).out)
    assert document["encryption"] == {"key": json.loads((home / "key.json").read_text()), "format": "cobblestone-256"}


def test_format_auto_gives_the_short_form(home, s3):
    (home / "owner.json").write_text(json.dumps(account(s3)))
    words = [
        "presign",
        "s3://clinic/presign/sealed",
        "--credentials",
        "owner.json",
        "-K",
        "key.hex",
        "--format",
        "auto",
    ]
    assert json.loads(connectors(*words, cwd=home).out)["encryption"] == {"key": KEY}
