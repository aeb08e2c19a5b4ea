"""Reading from correct servers, and from faulty ones."""

from __future__ import annotations

import os
import threading

import pytest

from connectors.errors import (
    AccessDenied,
    InvalidLocation,
    NotSupported,
    ObjectChanged,
    ObjectNotFound,
    StorageUnavailable,
)
from connectors_https.client import Limits

DATA = os.urandom(300_000)


def source_of(origin, query=None):
    fs = origin.fs(query)
    return fs.open_source(fs.path)


def test_a_range_returns_the_requested_bytes(origin):
    origin.serve(DATA)
    source = source_of(origin)
    assert source.read_range(1000, 70_000) == DATA[1000:70_000]
    assert origin.ranges == ["bytes=1000-69999"]


def test_the_first_range_gives_the_size(origin):
    origin.serve(DATA)
    source = source_of(origin)
    source.read_range(0, 10)
    assert source.size == len(DATA)
    assert len(origin.requests) == 1


def test_the_size_alone_costs_one_byte(origin):
    origin.serve(DATA)
    assert source_of(origin).size == len(DATA)
    assert origin.ranges == ["bytes=0-0"]


def test_reads_beyond_the_end_are_short_and_send_no_request(origin):
    origin.serve(DATA)
    source = source_of(origin)
    assert source.read_range(len(DATA) - 5, len(DATA) + 100) == DATA[-5:]
    asked = len(origin.requests)
    assert source.read_range(len(DATA), len(DATA) + 10) == b""
    assert source.read_range(7, 7) == b""
    assert len(origin.requests) == asked


def test_a_first_read_beyond_the_end_learns_the_version(origin):
    origin.serve(DATA)
    source = source_of(origin)
    assert source.read_range(len(DATA) + 5, len(DATA) + 10) == b""
    assert source.size == len(DATA)
    assert source.read_range(0, 10) == DATA[:10]


def test_connections_are_reused(origin):
    origin.serve(DATA)
    source = source_of(origin)
    for start in range(0, 10_000, 1000):
        source.read_range(start, start + 1000)
    assert origin.connections == 1


def test_head_is_never_used(origin):
    origin.serve(DATA)
    fs = origin.fs()
    fs.info(fs.path)
    fs.exists(fs.path)
    fs.size(fs.path)
    assert {request.method for request in origin.requests} == {"GET"}


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 416, "headers": {"Content-Range": "bytes */0"}},
        {"status": 416, "body": b"<Error><Code>InvalidRange</Code><ActualObjectSize>0</ActualObjectSize></Error>"},
        {"status": 200},
        {"status": 200, "headers": {"ETag": '"empty"'}},
    ],
)
def test_an_empty_object_is_empty(origin, reply, answer):
    origin.answer = lambda _: reply(**answer)
    source = source_of(origin)
    assert source.read_range(0, 100) == b""
    assert source.size == 0
    assert len(origin.requests) == 1


def test_a_416_without_a_size_is_retried_without_a_range(origin, reply):
    origin.answer = lambda request: reply(416) if "range" in request.headers else reply(200)
    assert source_of(origin).size == 0
    assert origin.ranges == ["bytes=0-0", None]


def test_an_empty_part_is_retried_without_a_range(origin, reply):
    nothing = {"Content-Range": "bytes 0--1/0"}
    origin.answer = lambda request: reply(206, headers=nothing) if "range" in request.headers else reply(200)
    assert source_of(origin).size == 0
    assert origin.ranges == ["bytes=0-0", None]


def test_an_empty_part_of_an_object_with_bytes_is_refused(origin, reply):
    origin.serve(DATA)
    source = source_of(origin)
    source.read_range(0, 10)
    origin.answer = lambda _: reply(206, headers={"Content-Range": "bytes 10-9/300000"})
    with pytest.raises(StorageUnavailable, match="another part"):
        source.read_range(10, 20)


def test_416_to_every_request_is_an_error(origin, reply):
    origin.answer = lambda _: reply(416)
    with pytest.raises(StorageUnavailable, match="refuses a range although none was requested"):
        source_of(origin).read_range(0, 1)


def test_a_server_that_ignores_ranges_is_read_sequentially(origin, reply):
    origin.answer = lambda _: reply(200, DATA)
    source = source_of(origin)
    assert source.size == len(DATA)
    assert source.read_range(0, 1000) == DATA[:1000]
    assert source.read_range(1000, 5000) == DATA[1000:5000]
    assert source.read_range(290_000, 400_000) == DATA[290_000:]
    assert len(origin.requests) == 1
    assert source.read_range(10, 20) == DATA[10:20]
    assert len(origin.requests) == 2
    source.close()


def test_a_server_that_ignores_ranges_must_send_the_size(origin, reply):
    origin.answer = lambda _: reply(200, DATA, {"Content-Length": None}, cut=len(DATA))
    with pytest.raises(StorageUnavailable, match="neither supports ranges nor sends the object's size"):
        source_of(origin).read_range(0, 10)


def test_an_incomplete_body_is_resumed_where_it_ended(origin, reply):
    origin.serve(DATA)
    origin.then(
        reply(206, DATA, {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}", "ETag": '"v1"'}, cut=1234),
    )
    assert source_of(origin).read_range(0, len(DATA)) == DATA
    assert origin.ranges == ["bytes=0-299999", "bytes=1234-299999"]
    assert origin.requests[1].headers["if-match"] == '"v1"'


def test_an_incomplete_body_of_a_server_without_ranges_is_resumed(origin, reply):
    origin.answer = lambda _: reply(200, DATA)
    origin.then(reply(200, DATA, cut=5000), reply(200, DATA, cut=4000), reply(200, DATA, cut=6000))
    assert source_of(origin).read_range(10, 100_000) == DATA[10:100_000]


def test_every_response_with_progress_resets_the_attempts(origin, reply):
    def answer(request):
        start, stop = request.span(len(DATA))
        content_range = f"bytes {start}-{stop - 1}/{len(DATA)}"
        return reply(206, DATA[start:stop], {"Content-Range": content_range, "ETag": '"v1"'}, cut=10_000)

    origin.answer = answer
    assert source_of(origin).read_range(0, 100_000) == DATA[:100_000]
    assert len(origin.requests) == 10


def test_endless_tiny_progress_is_an_error(origin, reply, monkeypatch):
    monkeypatch.setattr("connectors.storage.retry.RetryPolicy.longest_wait", 0.05)

    def answer(request):
        start, _ = request.span(len(DATA))
        return reply(206, DATA[start : start + 1], {"Content-Range": f"bytes {start}-{start}/{len(DATA)}"})

    origin.answer = answer
    with pytest.raises(StorageUnavailable, match="gave up: only [0-9]+ bytes arrived"):
        source_of(origin).read_range(0, len(DATA))


def test_a_body_that_never_arrives_is_an_error(origin, reply):
    origin.answer = lambda _: reply(206, DATA[:10], {"Content-Range": f"bytes 0-9/{len(DATA)}"}, cut=0)
    with pytest.raises(StorageUnavailable, match=r"sent an incomplete response.*gave up after 4 requests in a row"):
        source_of(origin).read_range(0, 10)
    assert len(origin.requests) == 4


def test_a_chunked_body_that_ends_early_is_an_error(origin, reply):
    headers = {"Content-Range": "bytes 0-9/10", "Content-Length": None, "Transfer-Encoding": "chunked"}
    origin.answer = lambda _: reply(206, b"0\r\n\r\n", headers)
    with pytest.raises(StorageUnavailable, match="sent an incomplete response"):
        source_of(origin).read_range(0, 10)


def test_a_body_is_not_read_beyond_its_content_length(origin, reply):
    headers = {"Content-Range": "bytes 0-9/10", "Content-Length": None, "Transfer-Encoding": "chunked"}
    origin.answer = lambda _: reply(206, b"14\r\n" + DATA[:20] + b"\r\n0\r\n\r\n", headers)
    assert source_of(origin).read_range(0, 50) == DATA[:10]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_retried(origin, reply, status):
    origin.serve(DATA)
    origin.then(reply(status, b"busy"), reply(status, b"busy", {"Retry-After": "0"}))
    assert source_of(origin).read_range(0, 10) == DATA[:10]
    assert len(origin.requests) == 3


def test_a_broken_connection_is_replaced(origin, reply):
    origin.serve(DATA)
    origin.then(reply(hang_up=True), reply(hang_up=True))
    assert source_of(origin).read_range(0, 10) == DATA[:10]


@pytest.mark.parametrize(
    ("asked", "paused"),
    [
        ("2", 2.0),
        ("3600", 7.0),
        ("Fri, 02 Jan 2037 03:04:05 GMT", 7.0),
        ("soon", 0.0),
        ("Thu, 01 Jan 1970 00:00:00", 0.0),
    ],
)
def test_retry_after_is_honoured_up_to_a_limit(origin, reply, monkeypatch, asked, paused):
    pauses = []
    monkeypatch.setattr("connectors_https.client.time.sleep", pauses.append)
    origin.serve(DATA)
    origin.then(reply(503, headers={"Retry-After": asked}))
    fs = origin.fs(limits=Limits(backoff=0.0, longest_pause=7.0))
    assert fs.open_source(fs.path).read_range(0, 1) == DATA[:1]
    assert pauses == [paused]


def test_backoff_grows_up_to_a_limit(origin, reply, monkeypatch):
    pauses, ceilings = [], []

    def highest(low, high):
        ceilings.append(high)
        return high

    monkeypatch.setattr("connectors_https.client.time.sleep", pauses.append)
    monkeypatch.setattr("connectors.storage.retry.random.uniform", highest)
    origin.answer = lambda _: reply(503)
    fs = origin.fs(limits=Limits(attempts=6, backoff=0.5, longest_pause=3.0))
    with pytest.raises(StorageUnavailable, match="503"):
        fs.open_source(fs.path).read_range(0, 1)
    assert pauses == ceilings == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_silent_server_is_an_error(origin, reply):
    release = threading.Event()

    def answer(_):
        release.wait()
        return reply(hang_up=True)

    origin.answer = answer
    fs = origin.fs(limits=Limits(read_timeout=0.05, attempts=2, backoff=0))
    try:
        with pytest.raises(StorageUnavailable, match=r"127.0.0.1 sent nothing for 0.05 s"):
            fs.open_source(fs.path).read_range(0, 1)
    finally:
        release.set()


def test_a_closed_port_is_an_error(origin):
    fs = origin.fs()
    origin.close()
    with pytest.raises(StorageUnavailable, match=r"no connection to 127.0.0.1: refused or unreachable"):
        fs.open_source(fs.path).read_range(0, 1)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 1-10/300000"},  # another start
        {"Content-Range": "bytes 0-10/300000"},  # more than was requested
        {"Content-Range": "bytes 0-9/5"},  # an end beyond the size
        {"Content-Range": "bytes 0-8/300000"},  # not as long as the body
        {"Content-Range": "bytes 0-9/*"},
        {"Content-Range": "pages 0-9/300000"},
        {"Content-Range": "bytes 9-0/300000"},
        {},
    ],
)
def test_a_range_that_was_not_requested_is_refused(origin, reply, headers):
    origin.answer = lambda _: reply(206, DATA[:10], headers)
    with pytest.raises(StorageUnavailable, match=r"a part of the object|another part of the object"):
        source_of(origin).read_range(0, 10)
    assert len(origin.requests) == 1


def test_an_encoded_body_is_refused(origin):
    origin.serve(DATA, **{"Content-Encoding": "gzip"})
    with pytest.raises(StorageUnavailable, match="content encoding that was not requested"):
        source_of(origin).read_range(0, 10)
    assert origin.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"v1"'}, {"ETag": '"v2"'}),  # If-Match: 412
        ({"ETag": 'W/"v1"'}, {"ETag": 'W/"v2"'}),
        ({"ETag": ""}, {"ETag": "", "Last-Modified": "Fri, 02 Jan 2026 03:04:06 GMT"}),
    ],
)
def test_an_object_that_changes_between_two_reads_is_refused(origin, before, after):
    origin.serve(DATA, **before)
    source = source_of(origin)
    source.read_range(0, 10)
    origin.serve(DATA, **after)
    with pytest.raises(ObjectChanged, match="was replaced while it was being read"):
        source.read_range(10, 20)


def test_a_replaced_object_is_detected_if_the_server_ignores_if_match(origin, reply):
    origin.serve(DATA)
    source = source_of(origin)
    source.read_range(0, 10)
    origin.answer = lambda _: reply(206, DATA[10:20], {"Content-Range": f"bytes 10-19/{len(DATA)}", "ETag": '"v2"'})
    with pytest.raises(ObjectChanged):
        source.read_range(10, 20)


def test_an_object_that_gets_longer_or_shorter_is_refused(origin):
    origin.serve(DATA)
    longer, shorter, gone = (source_of(origin) for _ in range(3))
    for source in (longer, shorter, gone):
        source.read_range(0, 10)
    origin.serve(DATA + b"x")
    with pytest.raises(ObjectChanged):
        longer.read_range(10, 20)
    origin.serve(DATA[:-1])
    with pytest.raises(ObjectChanged):
        shorter.read_range(10, 20)
    origin.serve(DATA[:5])
    with pytest.raises(ObjectChanged, match="shorter"):
        gone.read_range(10, 20)


def test_a_weak_etag_is_not_sent_back(origin):
    origin.serve(DATA, ETag='W/"v1"')
    source = source_of(origin)
    source.read_range(0, 10)
    source.read_range(10, 20)
    assert "if-match" not in origin.requests[1].headers


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((404, b""), ObjectNotFound, r"nothing is stored at http://.*/clinic/conditions \(404\)"),
        ((410, b""), ObjectNotFound, "nothing is stored"),
        ((404, b"<Error><Code>NoSuchBucket</Code></Error>"), ObjectNotFound, "bucket or container"),
        ((404, b"", {"x-ms-error-code": "ContainerNotFound"}), ObjectNotFound, "bucket or container"),
        ((403, b"<Error><Code>SignatureDoesNotMatch</Code>"), AccessDenied, r"\(403 SignatureDoesNotMatch\); a URL"),
        ((401, b""), AccessDenied, "signed for PUT cannot be read"),
        ((403, b"<Code>no <b>code</b></Code>"), AccessDenied, r"\(403\)"),
        ((403, b"x" * 70_000 + b"<Code>TooFar</Code>"), AccessDenied, r"\(403\)"),
        ((418, b"short and stout"), StorageUnavailable, "answered 418 to a GET"),
        ((400, b"<Code>InvalidArgument</Code>"), StorageUnavailable, "answered 400 InvalidArgument"),
    ],
)
def test_error_responses_have_their_own_errors(origin, reply, answer, error, said):
    origin.answer = lambda _: reply(*answer)
    with pytest.raises(error, match=said) as caught:
        source_of(origin).read_range(0, 10)
    assert type(caught.value) is error
    assert "short and stout" not in str(caught.value)
    assert len(origin.requests) == 1


def test_the_code_in_an_incomplete_error_body_is_read(origin, reply):
    origin.answer = lambda _: reply(403, b"<Code>InvalidAccessKeyId</Code>" + b" " * 100, cut=50)
    with pytest.raises(AccessDenied, match="InvalidAccessKeyId"):
        source_of(origin).read_range(0, 10)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("https://other.example/clinic?X-Amz-Signature=sesame", "redirects to https://other.example "),
        ("https://user:sesame@other.example:444/sesame", "redirects to https://other.example:444 "),
        ("//other.example/", "a redirect without a valid target"),
        ("http://[sesame", "a redirect without a valid target"),
        ("https://sesame<script>/", "a redirect without a valid target"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(origin, reply, target, said, status):
    origin.answer = lambda _: reply(status, headers={"Location": target})
    with pytest.raises(InvalidLocation, match=said) as caught:
        source_of(origin, "sig=sesame").read_range(0, 10)
    assert "sesame" not in str(caught.value)
    assert "region" in str(caught.value)
    assert len(origin.requests) == 1


def test_signed_headers_with_unknown_values_are_named_in_the_error(origin):
    query = "X-Amz-SignedHeaders=host%3Bx-amz-acl%3Brange&X-Amz-Signature=0a"
    with pytest.raises(NotSupported, match="headers range, x-amz-acl, whose values"):
        source_of(origin, query)
    assert origin.requests == []


def test_signed_headers_with_known_values_are_sent(origin):
    origin.serve(DATA)
    query = "X-Amz-SignedHeaders=accept-encoding%3Bhost%3Bx-amz-content-sha256&X-Amz-Signature=0a"
    source_of(origin, query).read_range(0, 10)
    assert origin.requests[0].headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert origin.requests[0].headers["accept-encoding"] == "identity"


def test_threads_read_in_parallel(origin):
    origin.serve(DATA)
    source = source_of(origin)
    wrong = []

    def read(first):
        starts = range(first, len(DATA), 40_000)
        wrong.extend(start for start in starts if source.read_range(start, start + 5000) != DATA[start : start + 5000])

    threads = [threading.Thread(target=read, args=[first]) for first in range(0, 40_000, 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_read_in_parallel_from_a_server_without_ranges(origin, reply):
    origin.answer = lambda _: reply(200, DATA)
    source = source_of(origin)
    wrong = []

    def read(first):
        starts = range(first, len(DATA), 80_000)
        wrong.extend(start for start in starts if source.read_range(start, start + 5000) != DATA[start : start + 5000])

    threads = [threading.Thread(target=read, args=[first]) for first in range(0, 40_000, 10_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source.close()
    assert wrong == []


def test_an_interrupted_read_keeps_no_stream(origin, reply, monkeypatch):
    origin.answer = lambda _: reply(200, DATA)
    fs = origin.fs()
    source = fs.open_source(fs.path)
    assert source.read_range(0, 1000) == DATA[:1000]
    read = fs._client.read_into

    def interrupted(response, buffer):
        read(response, buffer)
        raise KeyboardInterrupt

    monkeypatch.setattr(fs._client, "read_into", interrupted)
    with pytest.raises(KeyboardInterrupt):
        source.read_range(1000, 2000)
    monkeypatch.undo()
    assert source.read_range(1000, 2000) == DATA[1000:2000]
    assert len(origin.requests) == 2
    source.close()


def test_a_closed_source_cannot_be_read(origin, reply):
    origin.answer = lambda _: reply(200, DATA)
    source = source_of(origin)
    source.read_range(0, 10)
    source.close()
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.read_range(10, 20)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_opens_its_own_connections(origin, reply, ranges):
    if ranges:
        origin.serve(DATA)
    else:
        origin.answer = lambda _: reply(200, DATA)
    source = source_of(origin)
    assert source.read_range(0, 1000) == DATA[:1000]
    before = origin.connections
    child = os.fork()
    if child == 0:
        try:
            same = source.read_range(1000, 2000) == DATA[1000:2000]
            source.close()
            os._exit(0 if same else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert origin.connections == before + 1
    assert source.read_range(1000, 2000) == DATA[1000:2000]
    assert origin.connections == before + 1
    source.close()
