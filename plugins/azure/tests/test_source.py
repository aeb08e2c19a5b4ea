from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient, ContentSettings
from hostile import Answer, Request, hostile_server

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    NotAnObject,
    ObjectChanged,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import RangedSource, RetryPolicy
from connectors.streams import Source
from connectors_azure.filesystem import AzureFileSystem

DATA = bytes(range(256)) * 40
OpenFs = Callable[..., AzureFileSystem]
KEYED = {"account_name": "clinic", "account_key": "c2VjcmV0", "encryption": None}


@pytest.fixture
def source(fs: AzureFileSystem, path: str) -> RangedSource:
    fs.pipe_file(path, DATA)
    return fs.open_source(path)


def test_its_source_is_a_source(source: RangedSource) -> None:
    assert isinstance(source, Source)


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 1), (0, 100), (5, 7), (10_000, 10_240), (10_239, 10_240), (0, 10_240), (0, 99_999), (10_000, 99_999)],
)
def test_range_holds_the_stored_bytes(source: RangedSource, start: int, stop: int) -> None:
    assert source.read_range(start, stop) == DATA[start:stop]
    assert source.read_range(0, 10) == DATA[:10]
    assert source.read_range(start, stop) == DATA[start:stop]
    assert source.size == len(DATA)


@pytest.mark.parametrize(("start", "stop"), [(10_240, 10_241), (99_999, 100_000), (7, 7), (8, 7)])
def test_range_without_bytes_is_empty(source: RangedSource, start: int, stop: int) -> None:
    assert source.read_range(start, stop) == b""
    assert source.read_range(start, stop) == b""
    assert source.size == len(DATA)


def test_opening_sends_no_request_and_reading_no_head(
    proxy: Any, open_fs: OpenFs, document: dict[str, Any], source: RangedSource
) -> None:
    del proxy.seen[:]
    again = open_fs(document).open_source(source.path)
    assert proxy.seen == []
    again.read_range(0, 1 << 16)
    assert again.size == len(DATA)
    assert proxy.seen == ["GET"]


def test_large_range_is_one_request(proxy: Any, open_fs: OpenFs, document: dict[str, Any], path: str) -> None:
    data = os.urandom(40 << 20)
    fs = open_fs(document, 64 << 20)
    fs.pipe_file(path, data)
    del proxy.seen[:]
    assert fs.open_source(path).read_range(0, len(data)) == data
    assert proxy.seen == ["GET"]


def test_empty_object_has_no_bytes(fs: AzureFileSystem, path: str) -> None:
    fs.pipe_file(path, b"")
    source = fs.open_source(path)
    assert source.read_range(0, 100) == b""
    assert source.size == 0
    assert source.read_range(0, 100) == b""
    assert fs.open_source(path).size == 0
    assert fs.open_source(path).read_range(5, 9) == b""


def test_object_replaced_between_two_reads_is_detected(fs: AzureFileSystem, source: RangedSource) -> None:
    assert source.read_range(0, 10) == DATA[:10]
    fs.pipe_file(source.path, DATA[::-1])
    with pytest.raises(ObjectChanged, match="was replaced while it was being read; open it again"):
        source.read_range(10, 20)
    assert fs.open_source(source.path).read_range(0, 10) == DATA[::-1][:10]


def test_object_removed_between_two_reads_is_not_found(fs: AzureFileSystem, source: RangedSource) -> None:
    assert source.read_range(0, 10) == DATA[:10]
    fs.rm_file(source.path)
    with pytest.raises((ObjectNotFound, ObjectChanged)):
        source.read_range(10, 20)


def test_missing_object_and_container_are_distinguished(fs: AzureFileSystem) -> None:
    with pytest.raises(ObjectNotFound, match="nothing is stored at az://ward/none") as caught:
        fs.open_source("ward/none").read_range(0, 10)
    assert caught.value.__context__ is None
    with pytest.raises(ObjectNotFound, match="there is no such container: az://no-such-container/none"):
        _ = fs.open_source("no-such-container/none").size


def test_wrong_key_and_no_key_are_denied(open_fs: OpenFs, document: dict[str, Any], source: RangedSource) -> None:
    with pytest.raises(AccessDenied, match="does not let these credentials read") as caught:
        open_fs({**document, "account_key": "bm90IHRoZSBrZXk="}).open_source(source.path).read_range(0, 10)
    assert caught.value.__context__ is None
    anonymous = {"account_name": document["account_name"], "anonymous": True, "encryption": None}
    stranger = open_fs({**anonymous, "endpoint_url": document["endpoint_url"]})
    with pytest.raises(StorageError):  # access denied, or the container reported as missing
        stranger.open_source(source.path).read_range(0, 10)


def test_public_object_needs_no_key(
    service: BlobServiceClient, open_fs: OpenFs, document: dict[str, Any], fs: AzureFileSystem
) -> None:
    service.create_container("public", public_access="blob")
    fs.pipe_file("public/open", DATA)
    anonymous = {"account_name": document["account_name"], "anonymous": True, "encryption": None}
    reader = open_fs({**anonymous, "endpoint_url": document["endpoint_url"]})
    assert reader.open_source("public/open").read_range(5, 50) == DATA[5:50]


def test_container_is_no_object(fs: AzureFileSystem) -> None:
    with pytest.raises(NotAnObject, match="az://ward is a container"):
        fs.open_source("ward")


def test_content_encoding_is_ignored(service: BlobServiceClient, fs: AzureFileSystem, path: str) -> None:
    settings = ContentSettings(content_encoding="gzip", content_type="text/html")
    service.get_blob_client("ward", path.partition("/")[2]).upload_blob(DATA, content_settings=settings)
    assert fs.open_source(path).read_range(3, 300) == DATA[3:300]
    assert fs.cat_file(path) == DATA


def test_many_threads_read_one_source(fs: AzureFileSystem, path: str) -> None:
    data = os.urandom(1 << 20)
    fs.pipe_file(path, data)
    source = fs.open_source(path)
    with ThreadPoolExecutor(8) as pool:
        pieces = pool.map(lambda start: source.read_range(start, start + 10_000), range(0, 1 << 20, 10_000))
    assert b"".join(pieces) == data


@pytest.mark.usefixtures("quick")
def test_refused_connection_is_unavailable(open_fs: OpenFs) -> None:
    with pytest.raises(
        StorageUnavailable, match="no connection to 127.0.0.1:9: refused or unreachable; az://ward/name"
    ):
        open_fs({**KEYED, "endpoint_url": "http://127.0.0.1:9"}).open_source("ward/name").read_range(0, 10)


def ranged(request: Request, data: bytes = DATA, etag: str = '"1"', **headers: str) -> Answer:
    """Respond as Azure does."""
    start, stop = map(int, request.headers.get("x-ms-range", request.headers.get("range", "")).split("=")[1].split("-"))
    body = data[start : stop + 1]
    span = f"bytes {start}-{start + len(body) - 1}/{len(data)}"
    return Answer(206, {"ETag": etag, "Content-Range": span, **headers}, body)


@pytest.fixture
def against(open_fs: OpenFs, quick: None) -> Callable[[str], RangedSource]:
    """Return a function that opens an object on another server."""
    return lambda url: open_fs({**KEYED, "endpoint_url": url}).open_source("ward/name")


Against = Callable[[str], RangedSource]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 0-9/5"},
        {"Content-Range": "bytes 1-10/10240"},
        {"Content-Range": "bytes 0-10/10240"},
        {"Content-Range": "bytes 0-8/10240"},
        {"Content-Range": "bytes 0-9/*"},
        {"Content-Range": "nonsense"},
        {"Content-Range": ""},
        {"Content-Range": "bytes 0-9/" + "9" * 40},
        {"ETag": ""},
    ],
)
def test_response_that_does_not_match_the_request_is_refused(against: Against, headers: dict[str, str]) -> None:
    with hostile_server(lambda request: ranged(request, **headers)) as (url, _):
        with pytest.raises(StorageUnavailable) as caught:
            against(url).read_range(0, 10)
    assert caught.value.__context__ is None


def test_server_without_ranges_is_read_from_the_start(against: Against) -> None:
    with hostile_server(lambda _: Answer(200, {"ETag": '"1"'}, DATA)) as (url, seen):
        source = against(url)
        assert source.read_range(0, 10) == DATA[:10]
        assert source.read_range(9_000, 9_010) == DATA[9_000:9_010]
    assert len(seen) == 1


def test_later_reads_require_the_etag_of_the_first_response(against: Against) -> None:
    with hostile_server(ranged) as (url, seen):
        source = against(url)
        source.read_range(0, 10)
        source.read_range(10, 20)
    assert [request.headers.get("if-match") for request in seen] == [None, '"1"']


@pytest.mark.parametrize("later", [{"etag": '"2"'}, {"data": DATA + b"x"}])
def test_replaced_object_is_detected_even_if_conditions_are_ignored(against: Against, later: dict[str, Any]) -> None:
    with hostile_server(lambda request: ranged(request, **(later if request.number else {}))) as (url, _):
        source = against(url)
        assert source.read_range(0, 10) == DATA[:10]
        with pytest.raises(ObjectChanged, match="was replaced"):
            source.read_range(10, 20)


def incomplete(request: Request) -> Answer:
    complete = ranged(request)
    return Answer(206, {**complete.headers, "Content-Length": str(len(complete.body))}, complete.body[:-1])


def test_incomplete_response_is_retried(against: Against) -> None:
    with hostile_server(lambda request: incomplete(request) if request.number < 2 else ranged(request)) as (url, seen):
        assert against(url).read_range(100, 200) == DATA[100:200]
    assert len(seen) == 3


def test_repeated_incomplete_responses_are_an_error(against: Against) -> None:
    with hostile_server(incomplete) as (url, seen):
        with pytest.raises(StorageUnavailable, match="Azure sent an incomplete response for az://ward/name"):
            against(url).read_range(100, 200)
    assert 1 < len(seen) < 10


def test_object_replaced_between_two_attempts_of_a_read_is_detected(against: Against) -> None:
    def respond(request: Request) -> Answer:
        return ranged(request, etag='"2"') if request.number else incomplete(request)

    with hostile_server(respond) as (url, _), pytest.raises(ObjectChanged):
        against(url).read_range(100, 200)


def error_page(code: str, status: int, headers: dict[str, str] | None = None) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>"
    return Answer(status, {"Content-Type": "application/xml", **(headers or {})}, body.encode())


def test_busy_server_is_retried(against: Against) -> None:
    def respond(request: Request) -> Answer:
        return error_page("ServerBusy", 503) if request.number < 2 else ranged(request)

    with hostile_server(respond) as (url, seen):
        assert against(url).read_range(0, 10) == DATA[:10]
    assert len(seen) == 3


def test_server_that_stays_busy_is_unavailable(against: Against) -> None:
    with hostile_server(lambda _: error_page("ServerBusy", 503)) as (url, seen):
        with pytest.raises(StorageUnavailable, match="ServerBusy"):
            against(url).read_range(0, 10)
    assert len(seen) == RetryPolicy.attempts


def test_redirect_is_not_followed(against: Against) -> None:
    with hostile_server(ranged) as (other, followed):
        moved = error_page("Moved", 307, {"Location": f"{other}/ward/name"})
        with hostile_server(lambda _: moved) as (url, _), pytest.raises(StorageError):
            against(url).read_range(0, 10)
    assert followed == []


@pytest.mark.parametrize("code", ["", "a b", "<b>", "\x1b[2J", "x" * 65, "1abc"])
@pytest.mark.parametrize(("status", "kind"), [(404, ObjectNotFound), (403, AccessDenied), (418, StorageError)])
def test_status_counts_if_the_error_code_is_invalid(
    against: Against, status: int, kind: type[ConnectorError], code: str
) -> None:
    with hostile_server(lambda _: Answer(status, {"x-ms-error-code": code})) as (url, _):
        with pytest.raises(ConnectorError) as caught:
            against(url).read_range(0, 10)
    assert type(caught.value) is kind
    assert str(caught.value).endswith(f"({status})")


@pytest.mark.parametrize("page", [b"<html>it works</html>", b"\x00\xff", b"<Error><Code>\x1b[2J</Code></Error>", b""])
@pytest.mark.parametrize("status", [400, 404, 409, 501])
@pytest.mark.parametrize("kind", ["application/xml", "application/json", "text/html"])
def test_invalid_error_page_is_an_error_of_connectors(against: Against, page: bytes, status: int, kind: str) -> None:
    response = Answer(status, {"Content-Type": kind}, page)
    with hostile_server(lambda _: response) as (url, _), pytest.raises(ConnectorError) as caught:
        against(url).read_range(0, 10)
    assert str(caught.value).isprintable()
    assert caught.value.__context__ is None
