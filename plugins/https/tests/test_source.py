"""Reading: ranges, sizes, servers without ranges, threads and forks."""

from __future__ import annotations

import os
import threading

import pytest

from connectors.errors import StorageUnavailable
from connectors.storage import Response

DATA = os.urandom(300_000)


def test_a_range_returns_the_requested_bytes(origin):
    origin.serve(DATA)
    source = origin.source()
    assert source.read_range(1000, 70_000) == DATA[1000:70_000]
    assert origin.ranges == ["bytes=1000-69999"]


def test_the_first_range_gives_the_size(origin):
    origin.serve(DATA)
    source = origin.source()
    source.read_range(0, 10)
    assert source.size == len(DATA)
    assert len(origin.requests) == 1


def test_the_size_alone_costs_one_byte(origin):
    origin.serve(DATA)
    assert origin.source().size == len(DATA)
    assert origin.ranges == ["bytes=0-0"]


def test_reads_beyond_the_end_are_short_and_send_no_request(origin):
    origin.serve(DATA)
    source = origin.source()
    assert source.read_range(len(DATA) - 5, len(DATA) + 100) == DATA[-5:]
    asked = len(origin.requests)
    assert source.read_range(len(DATA), len(DATA) + 10) == b""
    assert source.read_range(7, 7) == b""
    assert len(origin.requests) == asked


def test_a_first_read_beyond_the_end_learns_the_version(origin):
    origin.serve(DATA)
    source = origin.source()
    assert source.read_range(len(DATA) + 5, len(DATA) + 10) == b""
    assert source.size == len(DATA)
    assert source.read_range(0, 10) == DATA[:10]


def test_connections_are_reused(origin):
    origin.serve(DATA)
    source = origin.source()
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
    origin.answer = lambda request: reply(**answer) if "range" in request.headers else reply(200)
    source = origin.source()
    assert source.read_range(0, 100) == b""
    assert source.size == 0
    assert len(origin.requests) == (2 if answer["status"] == 416 else 1)


def test_a_server_that_ignores_ranges_is_read_sequentially(origin, reply):
    origin.answer = lambda _: reply(200, DATA)
    source = origin.source()
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
    with pytest.raises(StorageUnavailable, match="neither supports ranges nor sends the size"):
        origin.source().read_range(0, 10)


def test_threads_read_in_parallel(origin):
    origin.serve(DATA)
    source = origin.source()
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
    source = origin.source()
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
    read = Response.readinto

    def interrupted(response, buffer):
        read(response, buffer)
        raise KeyboardInterrupt

    monkeypatch.setattr(Response, "readinto", interrupted)
    with pytest.raises(KeyboardInterrupt):
        source.read_range(1000, 2000)
    monkeypatch.undo()
    assert source.read_range(1000, 2000) == DATA[1000:2000]
    assert len(origin.requests) == 2
    source.close()


def test_a_closed_source_cannot_be_read(origin, reply):
    origin.answer = lambda _: reply(200, DATA)
    source = origin.source()
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
    source = origin.source()
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
