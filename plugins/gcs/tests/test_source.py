from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hostile import Answer, Request, hostile_server

from connectors.errors import (
    AccessDenied,
    CredentialsExpired,
    NotAnObject,
    ObjectChanged,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import RangedSource, RetryPolicy
from connectors.streams import Source
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs

DATA = bytes(range(256)) * 40
Ranged = Callable[..., Answer]


@pytest.fixture
def source(fs: Gcs, path: str) -> RangedSource:
    fs.pipe_file(path, DATA)
    return fs.open_source(path)


@pytest.fixture
def ranged() -> Ranged:
    """Respond as Google does."""

    def ranged(request: Request, data: bytes = DATA, generation: int = 7, **headers: str) -> Answer:
        start, stop = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        body = data[start : stop + 1]
        span = f"bytes {start}-{start + len(body) - 1}/{len(data)}"
        return Answer(206, {"x-goog-generation": str(generation), "Content-Range": span, **headers}, body)

    return ranged


def against(url: str) -> RangedSource:
    document = {"token": "ya29.the-token", "endpoint_url": url, "encryption": None}
    return Gcs(GcsCredentials.model_validate(document)).open_source("clinic/key")


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


def test_opening_sends_no_request_and_the_first_range_gives_the_size(
    fs: Gcs, source: RangedSource, calls: list[str]
) -> None:
    again = fs.open_source(source.path)
    assert calls == []
    again.read_range(0, 1 << 16)
    assert again.size == len(DATA)
    assert calls == ["GET media"]


def test_empty_object_has_no_bytes(fs: Gcs, path: str) -> None:
    fs.pipe_file(path, b"")
    source = fs.open_source(path)
    assert source.read_range(0, 100) == b""
    assert source.size == 0
    assert source.read_range(0, 100) == b""
    assert fs.open_source(path).size == 0
    assert fs.open_source(path).read_range(5, 9) == b""


def test_object_replaced_between_two_reads_is_detected(fs: Gcs, source: RangedSource) -> None:
    assert source.read_range(0, 10) == DATA[:10]
    fs.pipe_file(source.path, DATA)  # the same bytes, but another generation
    with pytest.raises(ObjectChanged, match="was replaced while it was being read"):
        source.read_range(10, 20)
    assert fs.open_source(source.path).read_range(0, 10) == DATA[:10]


def test_every_read_requests_the_generation_of_the_first(strict: Gcs, google: Any) -> None:
    strict.pipe_file("clinic/key", DATA)
    source = strict.open_source("clinic/key")
    assert source.read_range(0, 10) == DATA[:10]
    strict.pipe_file("clinic/key", DATA)
    with pytest.raises(ObjectChanged, match=r"was replaced while it was being read; open it again \(412"):
        source.read_range(10, 20)
    assert [
        request.target.partition("ifGenerationMatch=")[2] for request in google.seen if "media" in request.target
    ] == [
        "",
        "1700000000000000",
    ]


def test_object_removed_between_two_reads_is_not_found(fs: Gcs, source: RangedSource) -> None:
    assert source.read_range(0, 10) == DATA[:10]
    fs.rm_file(source.path)
    with pytest.raises(ObjectNotFound):
        source.read_range(10, 20)


def test_missing_object_is_not_found(fs: Gcs) -> None:
    with pytest.raises(ObjectNotFound, match="nothing is stored at gs://clinic/none") as caught:
        fs.open_source("clinic/none").read_range(0, 10)
    assert caught.value.__context__ is None
    with pytest.raises(ObjectNotFound, match="gs://no-such-bucket/none"):
        _ = fs.open_source("no-such-bucket/none").size


def test_missing_bucket_is_reported_if_the_storage_reports_it() -> None:
    page = b'{"error": {"code": 404, "message": "The specified bucket does not exist.", "errors": []}}'
    with hostile_server(lambda _: Answer(404, {}, page)) as (url, _):
        with pytest.raises(ObjectNotFound, match="there is no such bucket: gs://clinic/key"):
            against(url).read_range(0, 10)


def test_bucket_is_not_an_object(fs: Gcs) -> None:
    with pytest.raises(NotAnObject, match="gs://clinic is a bucket"):
        fs.open_source("clinic")


def test_many_threads_read_one_source(fs: Gcs, path: str) -> None:
    data = os.urandom(1 << 20)
    fs.pipe_file(path, data)
    source = fs.open_source(path)
    with ThreadPoolExecutor(8) as pool:
        pieces = pool.map(lambda start: source.read_range(start, start + 10_000), range(0, 1 << 20, 10_000))
    assert b"".join(pieces) == data


def test_refused_connection_is_storage_unavailable() -> None:
    with pytest.raises(
        StorageUnavailable, match="no connection to 127.0.0.1:9: refused or unreachable; gs://clinic/key"
    ) as caught:
        against("http://127.0.0.1:9").read_range(0, 10)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"Content-Range": "bytes 0-9/5"}, "another range"),
        ({"Content-Range": "bytes 1-10/10240"}, "another range"),
        ({"Content-Range": "bytes 0-10/10240"}, "another range"),
        ({"Content-Range": "bytes 0-8/10240"}, "another range"),
        ({"Content-Range": "bytes 0-9/*"}, "a part without saying which"),
        ({"Content-Range": "nonsense"}, "a part without saying which"),
        ({"Content-Range": "bytes 0-9/" + "9" * 40}, "a part without saying which"),
        ({"x-goog-generation": ""}, "no version"),
        ({"x-goog-generation": "7&alt=json"}, "no version"),
        ({"Content-Encoding": "gzip"}, "content encoding that was not requested"),
        ({"x-goog-stored-content-encoding": "gzip"}, "content encoding that was not requested"),
    ],
)
def test_response_that_does_not_fit_the_request_is_refused(
    headers: dict[str, str], problem: str, ranged: Ranged
) -> None:
    with hostile_server(lambda request: ranged(request, **headers)) as (url, _):
        with pytest.raises(StorageUnavailable, match=problem):
            against(url).read_range(0, 10)


def test_object_stored_as_gzip_is_read_without_decompression(ranged: Ranged) -> None:
    encoding = {"Content-Encoding": "gzip", "x-goog-stored-content-encoding": "gzip"}
    with hostile_server(lambda request: ranged(request, **encoding)) as (url, seen):
        assert against(url).read_range(100, 200) == DATA[100:200]
    assert seen[0].headers["accept-encoding"] == "gzip"


def test_server_without_ranges_is_read_sequentially() -> None:
    with hostile_server(lambda _: Answer(200, {"x-goog-generation": "7"}, DATA)) as (url, seen):
        source = against(url)
        assert source.read_range(0, 10) == DATA[:10]
        assert source.read_range(10, 1 << 16) == DATA[10:]
        assert len(seen) == 1


def test_endless_response_is_not_read_to_its_end() -> None:
    with hostile_server(lambda _: Answer(206, {}, bytes(1 << 20))) as (url, seen):
        with pytest.raises(StorageUnavailable, match="sent a part without saying which"):
            against(url).read_range(0, 10)
    assert len(seen) == 1


@pytest.mark.parametrize("later", [{"generation": 8}, {"data": DATA + b"x"}])
def test_replaced_object_is_detected_if_the_server_ignores_conditions(later: dict[str, Any], ranged: Ranged) -> None:
    with hostile_server(lambda request: ranged(request, **(later if request.number else {}))) as (url, _):
        source = against(url)
        assert source.read_range(0, 10) == DATA[:10]
        with pytest.raises(ObjectChanged, match="was replaced"):
            source.read_range(10, 20)


@pytest.mark.parametrize("size", [0, 5, 100])
def test_object_that_became_shorter_is_detected(size: int, ranged: Ranged) -> None:
    def respond(request: Request) -> Answer:
        return Answer(416, {"Content-Range": f"bytes */{size}"}) if request.number else ranged(request)

    with hostile_server(respond) as (url, _):
        source = against(url)
        assert source.read_range(0, 10) == DATA[:10]
        with pytest.raises(ObjectChanged, match="became shorter"):
            source.read_range(10, 20)


def broken_off(whole: Answer) -> Answer:
    return Answer(206, {**whole.headers, "Content-Length": str(len(whole.body))}, whole.body[: len(whole.body) // 2])


def test_incomplete_response_is_kept_and_the_rest_requested(ranged: Ranged) -> None:
    def respond(request: Request) -> Answer:
        return ranged(request) if request.number >= 2 else broken_off(ranged(request))

    with hostile_server(respond) as (url, seen):
        assert against(url).read_range(100, 200) == DATA[100:200]
    assert [request.headers["range"] for request in seen] == ["bytes=100-199", "bytes=150-199", "bytes=175-199"]
    assert ["ifGenerationMatch=7" in request.target for request in seen] == [False, True, True]


def test_responses_without_progress_are_an_error(ranged: Ranged) -> None:
    def respond(request: Request) -> Answer:
        return Answer(206, {**ranged(request).headers, "Content-Length": "100"}, b"")

    with hostile_server(respond) as (url, seen):
        with pytest.raises(StorageUnavailable, match="sent an incomplete response"):
            against(url).read_range(100, 200)
    assert len(seen) == RetryPolicy.attempts


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (401, "authError", CredentialsExpired),
        (403, "forbidden", AccessDenied),
        (403, "accountDisabled", AccessDenied),
        (400, "userProjectMissing", StorageError),
        (301, "", StorageError),
        (302, "", StorageError),
        (307, "", StorageError),
    ],
)
def test_refusals_are_final(status: int, reason: str, kind: type[StorageError]) -> None:
    page = b'{"error": {"errors": [{"reason": "%s"}]}}' % reason.encode()
    place = {"Location": "http://127.0.0.1:9/"}
    with (
        hostile_server(lambda _: Answer(status, place, page)) as (url, seen),
        pytest.raises(kind, match=reason or "redirects are not followed"),
    ):
        against(url).read_range(0, 10)
    assert len(seen) == 1


@pytest.mark.parametrize(("status", "reason"), [(503, ""), (429, "rateLimitExceeded"), (403, "rateLimitExceeded")])
def test_overloaded_storage_is_retried(status: int, reason: str, ranged: Ranged) -> None:
    page = b'{"error": {"errors": [{"reason": "%s"}]}}' % reason.encode()

    def respond(request: Request) -> Answer:
        return Answer(status, {}, page) if request.number < 2 else ranged(request)

    with hostile_server(respond) as (url, seen):
        assert against(url).read_range(0, 10) == DATA[:10]
    assert len(seen) == 3
