from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hostile import Answer, Request, hostile_server

from connectors.credentials.model import validate
from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    NotAnObject,
    NotSupported,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import Action
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3

SECRET = "X-Amz-Signature=5ec2e7"


def page(code: str, status: int = 400) -> Answer:
    return Answer(status, {}, f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode())


def against(url: str, **members: Any) -> S3:
    keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI"}
    fs = S3(validate(S3Credentials, {**keys, "endpoint_url": url, "encryption": None, **members}))
    fs.store.attempts, fs.store.first_pause = 2, 0.001
    return fs


def read(fs: S3) -> None:
    fs.open_source("clinic/key").read_range(0, 10)


def write(fs: S3) -> None:
    sink = fs.open_sink("clinic/key")
    sink.write(memoryview(b"37.2"))
    sink.commit()


CODES = [
    ("NoSuchKey", 404, "read", ObjectNotFound),
    ("NoSuchBucket", 404, "write", ObjectNotFound),
    ("", 404, "read", ObjectNotFound),
    ("AccessDenied", 403, "read", AccessDenied),
    ("SignatureDoesNotMatch", 403, "read", AccessDenied),
    ("InvalidAccessKeyId", 403, "write", AccessDenied),
    ("", 403, "read", AccessDenied),
    ("", 401, "read", AccessDenied),
    ("RequestTimeTooSkewed", 403, "read", AccessDenied),
    ("ExpiredToken", 400, "read", CredentialsExpired),
    ("RequestExpired", 400, "write", CredentialsExpired),
    ("PreconditionFailed", 412, "read", ObjectChanged),
    ("", 412, "read", ObjectChanged),
    ("PreconditionFailed", 412, "write", ObjectExists),
    ("ConditionalRequestConflict", 409, "write", ObjectExists),
    ("SlowDown", 503, "write", StorageUnavailable),
    ("InternalError", 500, "read", StorageUnavailable),
    ("", 503, "read", StorageUnavailable),
    ("", 429, "write", StorageUnavailable),
    ("PermanentRedirect", 301, "read", StorageError),
    ("", 307, "read", StorageError),
    ("InvalidObjectState", 403, "read", StorageError),
    ("SomethingNew", 400, "read", StorageError),
]


@pytest.mark.parametrize(("code", "status", "action", "kind"), CODES)
def test_code_means_one_kind_of_error(code: str, status: int, action: Action, kind: type[ConnectorError]) -> None:
    failure = against("http://127.0.0.1:9").store.refusal(status, code, "clinic/key", action)
    assert type(failure.error) is kind
    assert failure.transient == (kind is StorageUnavailable or code == "ConditionalRequestConflict")
    assert "s3://clinic/key" in str(failure.error)
    assert f"{status} {code}".strip() in str(failure.error) or code == "NoSuchBucket" or kind is ObjectNotFound


@pytest.mark.parametrize(
    ("code", "status", "action", "kind"), [one for one in CODES if one[0] != "ConditionalRequestConflict"]
)
def test_response_raises_the_same_error(code: str, status: int, action: Action, kind: type[ConnectorError]) -> None:
    with hostile_server(lambda _: page(code, status)) as (url, _):
        with pytest.raises(kind) as caught:
            read(against(url)) if action == "read" else write(against(url))
    assert type(caught.value) is kind
    assert "s3://clinic/key" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_conflict_of_two_writers_is_tried_again() -> None:
    def respond(request: Request) -> Answer:
        if request.method == "HEAD":
            return Answer(404)
        return page("ConditionalRequestConflict", 409) if request.number == 1 else Answer(200, {"ETag": '"1"'})

    with hostile_server(respond) as (url, seen):
        sink = against(url).open_sink("clinic/key", exclusive=True)
        sink.write(memoryview(b"37.2"))
        sink.commit()
    assert [(one.method, one.headers.get("if-none-match")) for one in seen] == [
        ("HEAD", None),
        ("PUT", "*"),
        ("PUT", "*"),
    ]


@pytest.mark.parametrize("code", ["a\nb", "&lt;b&gt;", "\x1b[2J", "x" * 65, SECRET, "ü", "1e5"])
@pytest.mark.parametrize("act", [read, write])
def test_invalid_code_is_not_shown(code: str, act: Callable[[S3], None]) -> None:
    with hostile_server(lambda _: page(code)) as (url, _):
        with pytest.raises(StorageError) as caught:
            act(against(url))
    assert str(caught.value).endswith("s3://clinic/key (400)")


@pytest.mark.parametrize("code", ["a\nb", "x" * 65, SECRET, "ü", "²"])
def test_invalid_code_in_a_successful_response_is_not_shown(code: str) -> None:
    with hostile_server(lambda _: Answer(200, {}, page(code).body)) as (url, _):
        with pytest.raises(StorageError) as caught:
            against(url).store.complete_upload("clinic/key", "1", ["e"], exclusive=False)
    assert str(caught.value).endswith("s3://clinic/key (200)")


def test_broken_connection_is_tried_again_and_names_the_object() -> None:
    for act in (read, write):
        with pytest.raises(StorageUnavailable, match="127.0.0.1:9: refused or unreachable; s3://clinic/key") as caught:
            act(against("http://127.0.0.1:9"))
        assert "gave up after 2 requests" in str(caught.value)
        assert caught.value.__context__ is None


def test_machine_without_credentials_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    document = {"ambient": True, "endpoint_url": "http://127.0.0.1:9", "encryption": None}
    for act in (read, write):
        with pytest.raises(AccessDenied, match="ambient, but this machine provides none") as caught:
            act(S3(validate(S3Credentials, document)))
        assert caught.value.__context__ is None


@pytest.mark.parametrize("path", ["clinic", "clinic/folder/"])
def test_bucket_or_folder_is_named_without_a_request(path: str) -> None:
    with hostile_server(lambda _: page("AccessDenied")) as (url, seen), pytest.raises(NotAnObject, match="name an"):
        against(url).open_sink(path)
    assert seen == []


def test_bugs_pass_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        message = "a bug"
        raise KeyError(message)

    fs = against("http://127.0.0.1:9")
    monkeypatch.setattr(fs.store.client, "send", bug)
    for act in (read, write):
        with pytest.raises(KeyError, match="a bug"):
            act(fs)


def test_answer_to_head_without_a_version_describes_no_object() -> None:
    with hostile_server(lambda _: Answer(200, {"Content-Type": "text/html"}, b"<html>log in</html>")) as (url, _):
        fs = against(url)
        for call in (fs.info, fs.exists, fs.size):
            with pytest.raises(StorageUnavailable, match="S3 sent no size, no version, .* s3://clinic/key"):
                call("clinic/key")


@pytest.mark.parametrize("server", ["Garage", "SeaweedFS 8000GB 4.48", "nginx/1.27", ""])
def test_exclusive_creation_needs_a_server_that_decides_it_or_lets_look(server: str) -> None:
    seen_by_reader = iter([Answer(404, {"Server": server}), Answer(200, {"ETag": '"1"', "Server": server})])
    with hostile_server(lambda _: Answer(403, {"Server": server})) as (url, seen):
        with pytest.raises(
            NotSupported, match="mode 'xb' is not supported for s3://clinic/key: the credentials cannot"
        ):
            against(url).open_sink("clinic/key", exclusive=True)
    assert [one.method for one in seen] == ["HEAD"]
    with hostile_server(lambda _: next(seen_by_reader)) as (url, seen):
        sink = against(url).open_sink("clinic/key", exclusive=True)
        sink.commit()
    assert [(one.method, one.headers.get("if-none-match")) for one in seen] == [("HEAD", None), ("PUT", "*")]


@pytest.mark.parametrize("server", ["AmazonS3", "MinIO"])
def test_exclusive_creation_is_left_to_a_server_that_decides_it(server: str) -> None:
    answers = iter([Answer(403, {"Server": server}), Answer(412, {"Server": server})])
    with hostile_server(lambda _: next(answers)) as (url, seen):
        sink = against(url).open_sink("clinic/key", exclusive=True)
        with pytest.raises(ObjectExists):
            sink.commit()
    assert [one.headers.get("if-none-match") for one in seen] == [None, "*"]


@pytest.mark.parametrize(
    ("endpoint", "decides"),
    [
        (None, True),
        ("https://0123456789abcdef0123456789abcdef.eu.r2.cloudflarestorage.com", True),
        ("https://r2.cloudflarestorage.com.example.org", False),
        ("https://s3.example.org", False),
    ],
)
def test_servers_are_known_to_decide_by_their_host(endpoint: Any, decides: bool) -> None:
    members = {"region": "eu-west-1"} if endpoint is None else {}
    assert against(endpoint, **members).store.creates_exclusively is decides
