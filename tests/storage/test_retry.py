"""How long a storage is waited for, whatever it is."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time

import pytest

from connectors.errors import StorageUnavailable
from connectors.storage import retry
from connectors.storage.http.incoming import Incoming, IncomingResponse, StallTimeoutFile
from connectors.storage.retry import MIN_PROGRESS, RetryPolicy

BROKEN = StorageUnavailable("the answer broke off")


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that were made, each as long as it may be."""
    made = []
    monkeypatch.setattr(retry.random, "uniform", lambda _, longest: longest)
    monkeypatch.setattr(retry.time, "sleep", made.append)
    return made


def test_tries_that_bring_nothing_are_few_and_their_pauses_grow(pauses):
    one = RetryPolicy()
    for _ in range(4):
        one.wait(BROKEN)
    with pytest.raises(StorageUnavailable, match="the answer broke off .gave up after 5 requests in a row"):
        one.wait(BROKEN)
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_progress_lets_the_count_begin_anew_and_is_not_paused_after(pauses):
    one = RetryPolicy(attempts=2)
    for _ in range(20):
        one.received(MIN_PROGRESS)
        one.wait(BROKEN)
        one.wait(BROKEN)
        one.received(1)
        one.wait(BROKEN)
    assert pauses == [0, 0.5, 0.5] * 20


def test_a_little_now_and_then_is_no_progress(pauses, monkeypatch):
    moments = iter(range(0, 10_000, 100))
    monkeypatch.setattr(retry.time, "monotonic", lambda: next(moments))
    one = RetryPolicy()
    for _ in range(3):
        one.received(1)
        one.wait(BROKEN)
    one.received(1)
    with pytest.raises(StorageUnavailable, match="only 4 bytes arrived in 300 s"):
        one.wait(BROKEN)


@pytest.mark.parametrize(("asked", "paused"), [(7.0, 7.0), (0.0, 0.5), (1e9, 30.0), (None, 0.5)])
def test_the_pause_that_a_storage_asks_for_is_bounded(pauses, asked, paused):
    RetryPolicy().wait(BROKEN, asked)
    assert pauses == [paused]


@pytest.fixture
def line():
    """Two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_bytes_that_drip_are_given_up(line):
    ours, theirs = line
    ours.settimeout(0.2)
    over = threading.Event()

    def drip():
        while not over.wait(0.05):
            theirs.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with io.BufferedReader(StallTimeoutFile(ours)) as file, pytest.raises(TimeoutError):
            file.read(MIN_PROGRESS)
    finally:
        over.set()
        thread.join()


def test_time_in_which_nobody_reads_does_not_count(line):
    ours, theirs = line
    ours.settimeout(0.05)
    with io.BufferedReader(StallTimeoutFile(ours)) as file:
        for byte in (b"a", b"b", b"c"):
            theirs.send(byte)
            time.sleep(0.06)
            assert file.read(1) == byte


def test_a_head_that_is_cut_is_no_head(line):
    ours, theirs = line
    theirs.send(b"HTTP/1.1 206 Partial Content\r\nContent-Length: 40")
    theirs.close()
    answer = IncomingResponse(Incoming(ours))
    with pytest.raises(http.client.RemoteDisconnected):
        answer.begin()
    answer.close()
