from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hostile import Answer, Request, hostile_server

from connectors.credentials.model import validate
from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    NotAnObject,
    ObjectChanged,
    ObjectNotFound,
    StorageUnavailable,
)
from connectors.storage import RangedSource
from connectors.storage.retry import RetryPolicy
from connectors.streams import Source
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3

DATA = bytes(range(256)) * 40


@pytest.fixture
def source(fs: S3, path: str) -> RangedSource:
    fs.pipe_file(path, DATA)
    return fs.open_source(path)


def test_source_implements_the_protocol(source: RangedSource) -> None:
    assert isinstance(source, Source)


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (0, 100), (5, 7), (10_000, 10_240), (10_239, 10_240), (0, 10_240), (0, 99_999), (10_000, 99_999)],
)
def test_range_returns_the_stored_bytes(source: RangedSource, start: int, stop: int) -> None:
    assert source.read_range(start, stop) == DATA[start:stop]
    assert source.read_range(0, 10) == DATA[:10]
    assert source.read_range(start, stop) == DATA[start:stop]
    assert source.size == len(DATA)


@pytest.mark.parametrize(("start", "stop"), [(10_240, 10_241), (99_999, 100_000), (7, 7), (8, 7)])
def test_range_without_bytes_is_empty(source: RangedSource, start: int, stop: int) -> None:
    assert source.read_range(start, stop) == b""
    assert source.read_range(start, stop) == b""
    assert source.size == len(DATA)


def test_opening_sends_no_request_and_reading_no_head_request(fs: S3, source: RangedSource, calls: list[str]) -> None:
    again = fs.open_source(source.path)
    assert calls == []
    again.read_range(0, 1 << 16)
    assert again.size == len(DATA)
    assert calls == ["GET"]


def test_empty_object_has_no_bytes(fs: S3, path: str) -> None:
    fs.pipe_file(path, b"")
    source = fs.open_source(path)
    assert source.read_range(0, 100) == b""
    assert source.size == 0
    assert source.read_range(0, 100) == b""
    assert fs.open_source(path).size == 0
    assert fs.open_source(path).read_range(5, 9) == b""


def test_object_replaced_between_two_reads_is_detected(fs: S3, source: RangedSource) -> None:
    assert source.read_range(0, 10) == DATA[:10]
    fs.pipe_file(source.path, DATA[::-1])
    with pytest.raises(ObjectChanged, match="was replaced while it was being read"):
        source.read_range(10, 20)
    assert fs.open_source(source.path).read_range(0, 10) == DATA[::-1][:10]


def test_object_removed_between_two_reads_is_not_found(fs: S3, source: RangedSource) -> None:
    assert source.read_range(0, 10) == DATA[:10]
    fs.rm_file(source.path)
    with pytest.raises((ObjectNotFound, ObjectChanged)):
        source.read_range(10, 20)


def test_missing_object_and_missing_bucket_are_different_errors(fs: S3) -> None:
    with pytest.raises(ObjectNotFound, match="nothing is stored at s3://clinic/none") as caught:
        fs.open_source("clinic/none").read_range(0, 10)
    assert caught.value.__context__ is None
    with pytest.raises(ObjectNotFound, match="there is no such bucket: s3://no-such-bucket/none"):
        _ = fs.open_source("no-such-bucket/none").size


def test_wrong_secret_unknown_key_and_no_key_are_denied(document: dict[str, Any], source: RangedSource) -> None:
    anonymous = {"anonymous": True, "endpoint_url": document["endpoint_url"], "encryption": None}
    for members in (
        {**document, "secret_access_key": "not-the-secret"},
        {**document, "access_key_id": "AKNOBODY"},
        anonymous,
    ):
        stranger = S3(validate(S3Credentials, members))
        with pytest.raises(AccessDenied, match="does not let these credentials read") as caught:
            stranger.open_source(source.path).read_range(0, 10)
        assert caught.value.__context__ is None


def test_bucket_is_not_an_object(fs: S3) -> None:
    with pytest.raises(NotAnObject, match="s3://clinic is a bucket"):
        fs.open_source("clinic")


def test_many_threads_read_one_source(fs: S3, path: str) -> None:
    data = os.urandom(1 << 20)
    fs.pipe_file(path, data)
    source = fs.open_source(path)
    with ThreadPoolExecutor(8) as pool:
        pieces = pool.map(lambda start: source.read_range(start, start + 10_000), range(0, 1 << 20, 10_000))
    assert b"".join(pieces) == data


def test_refused_connection_is_storage_unavailable() -> None:
    members = {"anonymous": True, "endpoint_url": "http://127.0.0.1:9", "encryption": None}
    with pytest.raises(
        StorageUnavailable, match="no connection to 127.0.0.1:9: refused or unreachable; s3://clinic/key"
    ):
        S3(validate(S3Credentials, members)).open_source("clinic/key").read_range(0, 10)


def ranged(request: Request, data: bytes = DATA, etag: str = '"1"', **headers: str) -> Answer:
    """Respond as S3 does."""
    start, stop = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
    body = data[start : stop + 1]
    span = f"bytes {start}-{start + len(body) - 1}/{len(data)}"
    return Answer(206, {"ETag": etag, "Content-Range": span, **headers}, body)


def against(url: str, **members: Any) -> RangedSource:
    keys = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI"}
    document = {**keys, "endpoint_url": url, "encryption": None, **members}
    return S3(validate(S3Credentials, document)).open_source("clinic/key")


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"Content-Range": "bytes 0-9/5"}, "sent another range than was requested"),
        ({"Content-Range": "bytes 1-10/10240"}, "sent another range than was requested"),
        ({"Content-Range": "bytes 0-10/10240"}, "sent another range than was requested"),
        ({"Content-Range": "bytes 0-8/10240"}, "sent another range than was requested"),
        ({"Content-Range": "bytes 0-9/*"}, "sent a part without saying which"),
        ({"Content-Range": "nonsense"}, "sent a part without saying which"),
        ({"Content-Range": "bytes 0-9/" + "9" * 40}, "sent a part without saying which"),
        ({"ETag": ""}, "sent no version"),
    ],
)
def test_response_that_does_not_fit_the_request_is_refused(headers: dict[str, str], problem: str) -> None:
    with hostile_server(lambda request: ranged(request, **headers)) as (url, _):
        with pytest.raises(StorageUnavailable, match=f"{problem} for s3://clinic/key"):
            against(url).read_range(0, 10)


def test_server_without_ranges_is_read_from_the_start() -> None:
    with hostile_server(lambda _: Answer(200, {"ETag": '"1"'}, DATA)) as (url, _):
        assert against(url).read_range(0, 1 << 16) == DATA
        source = against(url)
        assert source.read_range(0, 10) == DATA[:10]
        assert source.read_range(10, 1 << 16) == DATA[10:]
        assert source.read_range(5, 7) == DATA[5:7]


def test_response_without_a_version_is_refused_from_a_server_without_ranges() -> None:
    with hostile_server(lambda _: Answer(200, {}, DATA)) as (url, _):
        with pytest.raises(StorageUnavailable, match="sent no version for s3://clinic/key"):
            against(url).read_range(0, 10)


def test_every_read_requests_the_version_of_the_first() -> None:
    with hostile_server(ranged) as (url, seen):
        source = against(url)
        source.read_range(0, 10)
        source.read_range(10, 20)
    assert [request.headers.get("if-match") for request in seen] == [None, '"1"']


@pytest.mark.parametrize("later", [{"etag": '"2"'}, {"data": DATA + b"x"}])
def test_replaced_object_is_detected_if_the_server_ignores_conditions(later: dict[str, Any]) -> None:
    with hostile_server(lambda request: ranged(request, **(later if request.number else {}))) as (url, _):
        source = against(url)
        assert source.read_range(0, 10) == DATA[:10]
        with pytest.raises(ObjectChanged, match="was replaced"):
            source.read_range(10, 20)


def incomplete(request: Request) -> Answer:
    whole = ranged(request)
    return Answer(206, {**whole.headers, "Content-Length": str(len(whole.body))}, whole.body[:-1])


def test_incomplete_response_is_kept_and_the_rest_requested() -> None:
    with hostile_server(lambda request: incomplete(request) if request.number < 2 else ranged(request)) as (url, seen):
        assert against(url).read_range(100, 200) == DATA[100:200]
    assert [request.headers["range"] for request in seen] == ["bytes=100-199", "bytes=199-199", "bytes=199-199"]
    assert [request.headers.get("if-match") for request in seen] == [None, '"1"', '"1"']


def test_responses_without_progress_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.001)
    with hostile_server(incomplete) as (url, seen):
        with pytest.raises(
            StorageUnavailable, match="sent an incomplete response for s3://clinic/key .gave up after 5"
        ):
            against(url).read_range(100, 200)
    assert len(seen) == 1 + RetryPolicy.attempts


def test_object_of_which_no_range_can_be_read_is_requested_as_a_whole() -> None:
    body = b"<Error><Code>InvalidRange</Code></Error>"
    refusal = Answer(416, {"Content-Range": "bytes */10240"}, body)
    for stored in (b"", DATA):

        def respond(request: Request, stored: bytes = stored) -> Answer:
            return refusal if "range" in request.headers else Answer(200, {"ETag": '"1"'}, stored)

        with hostile_server(respond) as (url, _):
            assert against(url).read_range(0, 10) == stored[:10]
            assert against(url).read_range(10, 20) == stored[10:20]
    with hostile_server(lambda _: refusal) as (url, _):
        with pytest.raises(StorageUnavailable, match="refuses a range although none was requested"):
            against(url).read_range(0, 10)


def error_page(code: str, status: int, extra: str = "") -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message>{extra}</Error>"
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ExpiredToken", 400, CredentialsExpired),
        ("RequestTimeTooSkewed", 403, AccessDenied),
        ("InvalidObjectState", 403, ConnectorError),
        ("PermanentRedirect", 301, ConnectorError),
    ],
)
def test_refusals_are_final_and_show_the_code(code: str, status: int, kind: type[ConnectorError]) -> None:
    with hostile_server(lambda _: error_page(code, status)) as (url, _), pytest.raises(kind, match=code):
        against(url).read_range(0, 10)


def test_overloaded_store_is_retried() -> None:
    def respond(request: Request) -> Answer:
        return error_page("SlowDown", 503) if request.number < 2 else ranged(request)

    with hostile_server(respond) as (url, seen):
        assert against(url).read_range(0, 10) == DATA[:10]
    assert len(seen) == 3


@pytest.mark.parametrize("page", [b"<html>it works</html>", b"\x00\xff", b"<Error><Code>\x1b[2J</Code></Error>"])
def test_invalid_error_page_raises_our_error(page: bytes) -> None:
    with hostile_server(lambda _: Answer(400, {}, page)) as (url, _), pytest.raises(ConnectorError) as caught:
        against(url).read_range(0, 10)
    assert str(caught.value).isprintable()
