"""Requests that are repeated: bodies that end early, servers that are busy, silent or gone."""

from __future__ import annotations

import os
import threading

import pytest

from connectors.errors import StorageUnavailable
from connectors.storage import Limits, RetryPolicy

DATA = os.urandom(300_000)


def test_a_416_without_a_size_is_retried_without_a_range(origin, reply):
    origin.answer = lambda request: reply(416) if "range" in request.headers else reply(200)
    assert origin.source().size == 0
    assert origin.ranges == ["bytes=0-0", None]


def test_an_empty_part_is_retried_without_a_range(origin, reply):
    nothing = {"Content-Range": "bytes 0--1/0"}
    origin.answer = lambda request: reply(206, headers=nothing) if "range" in request.headers else reply(200)
    assert origin.source().size == 0
    assert origin.ranges == ["bytes=0-0", None]


def test_an_empty_part_of_an_object_with_bytes_is_refused(origin, reply):
    origin.serve(DATA)
    source = origin.source()
    source.read_range(0, 10)
    origin.answer = lambda _: reply(206, headers={"Content-Range": "bytes 10-9/300000"})
    with pytest.raises(StorageUnavailable, match="another range"):
        source.read_range(10, 20)


def test_416_to_every_request_is_an_error(origin, reply):
    origin.answer = lambda _: reply(416)
    with pytest.raises(StorageUnavailable, match="refuses a range although none was requested"):
        origin.source().read_range(0, 1)


def test_an_incomplete_body_is_resumed_where_it_ended(origin, reply):
    origin.serve(DATA)
    origin.then(
        reply(206, DATA, {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}", "ETag": '"v1"'}, cut=1234),
    )
    assert origin.source().read_range(0, len(DATA)) == DATA
    assert origin.ranges == ["bytes=0-299999", "bytes=1234-299999"]
    assert origin.requests[1].headers["if-match"] == '"v1"'


def test_an_incomplete_body_of_a_server_without_ranges_is_resumed(origin, reply):
    origin.answer = lambda _: reply(200, DATA)
    origin.then(reply(200, DATA, cut=5000), reply(200, DATA, cut=4000), reply(200, DATA, cut=6000))
    assert origin.source().read_range(10, 100_000) == DATA[10:100_000]


def test_every_response_with_progress_resets_the_attempts(origin, reply):
    def answer(request):
        start, stop = request.span(len(DATA))
        content_range = f"bytes {start}-{stop - 1}/{len(DATA)}"
        return reply(206, DATA[start:stop], {"Content-Range": content_range, "ETag": '"v1"'}, cut=10_000)

    origin.answer = answer
    assert origin.source().read_range(0, 100_000) == DATA[:100_000]
    assert len(origin.requests) == 10


def test_endless_tiny_progress_is_an_error(origin, reply, monkeypatch):
    monkeypatch.setattr("connectors.storage.retry.RetryPolicy.longest_wait", 0.05)

    def answer(request):
        start, _ = request.span(len(DATA))
        return reply(206, DATA[start : start + 1], {"Content-Range": f"bytes {start}-{start}/{len(DATA)}"})

    origin.answer = answer
    with pytest.raises(StorageUnavailable, match="gave up: only [0-9]+ bytes arrived"):
        origin.source().read_range(0, len(DATA))


def test_a_body_that_never_arrives_is_an_error(origin, reply):
    origin.answer = lambda _: reply(206, DATA[:10], {"Content-Range": f"bytes 0-9/{len(DATA)}"}, cut=0)
    with pytest.raises(StorageUnavailable, match=r"sent an incomplete response.*gave up after 4 requests in a row"):
        origin.source().read_range(0, 10)
    assert len(origin.requests) == 4


def test_a_chunked_body_that_ends_early_is_an_error(origin, reply):
    headers = {"Content-Range": "bytes 0-9/10", "Content-Length": None, "Transfer-Encoding": "chunked"}
    origin.answer = lambda _: reply(206, b"0\r\n\r\n", headers)
    with pytest.raises(StorageUnavailable, match="sent an incomplete response"):
        origin.source().read_range(0, 10)


def test_a_body_is_not_read_beyond_its_content_length(origin, reply):
    headers = {"Content-Range": "bytes 0-9/10", "Content-Length": None, "Transfer-Encoding": "chunked"}
    origin.answer = lambda _: reply(206, b"14\r\n" + DATA[:20] + b"\r\n0\r\n\r\n", headers)
    assert origin.source().read_range(0, 50) == DATA[:10]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_retried(origin, reply, status):
    origin.serve(DATA)
    origin.then(reply(status, b"busy"), reply(status, b"busy", {"Retry-After": "0"}))
    assert origin.source().read_range(0, 10) == DATA[:10]
    assert len(origin.requests) == 3


def test_a_broken_connection_is_replaced(origin, reply):
    origin.serve(DATA)
    origin.then(reply(hang_up=True), reply(hang_up=True))
    assert origin.source().read_range(0, 10) == DATA[:10]


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
def test_retry_after_is_honoured_up_to_a_limit(origin, reply, monkeypatch, pauses, asked, paused):
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.0)
    monkeypatch.setattr(RetryPolicy, "longest_pause", 7.0)
    origin.serve(DATA)
    origin.then(reply(503, headers={"Retry-After": asked}))
    assert origin.source().read_range(0, 1) == DATA[:1]
    assert pauses == [paused]


def test_backoff_grows_up_to_a_limit(origin, reply, monkeypatch, pauses):
    ceilings = []

    def highest(low, high):
        ceilings.append(high)
        return high

    for name, value in {"attempts": 6, "first_pause": 0.5, "longest_pause": 3.0}.items():
        monkeypatch.setattr(RetryPolicy, name, value)
    monkeypatch.setattr("connectors.storage.retry.random.uniform", highest)
    origin.answer = lambda _: reply(503)
    with pytest.raises(StorageUnavailable, match="503"):
        origin.source().read_range(0, 1)
    assert pauses == ceilings == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_silent_server_is_an_error(origin, reply):
    release = threading.Event()

    def answer(_):
        release.wait()
        return reply(hang_up=True)

    origin.answer = answer
    fs = origin.fs(limits=Limits(stall_timeout=0.05))
    try:
        with pytest.raises(StorageUnavailable, match=r"127.0.0.1:[0-9]+ sent nothing for 0.05 s"):
            fs.open_source(fs.path).read_range(0, 1)
    finally:
        release.set()


def test_a_closed_port_is_an_error(origin):
    fs = origin.fs()
    origin.close()
    with pytest.raises(StorageUnavailable, match=r"no connection to 127.0.0.1:[0-9]+: refused or unreachable"):
        fs.open_source(fs.path).read_range(0, 1)
