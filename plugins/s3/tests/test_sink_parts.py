"""The parts of an upload: their sizes, their order, how many are sent at once, and their memory."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from patience import PATIENCE

from connectors.errors import ConfigError, ConnectorError, StorageUnavailable
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3
from connectors_s3.sink import MAX_PART_SIZE, MAX_PARTS, PART_SIZE, size_of_part

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
Uploads = Callable[[str], list[Any]]


def watching(
    fs: S3, monkeypatch: pytest.MonkeyPatch, upload_part: Callable[[int, Callable[[], Any]], Any]
) -> list[str]:
    """Make `upload_part` send the parts, given their number; return a log of requests and responses, in order."""
    real, log = fs.call_s3, []

    def call_s3(method: str, **arguments: Any) -> Any:
        name = f"part {arguments['PartNumber']}" if method == "upload_part" else method
        log.append(name)
        if method == "upload_part":
            response = upload_part(arguments["PartNumber"], lambda: real(method, **arguments))
        else:
            response = real(method, **arguments)
        log.append(f"{name} done")
        return response

    monkeypatch.setattr(fs, "call_s3", call_s3)
    return log


def test_parts_grow_so_that_ten_thousand_hold_the_largest_object() -> None:
    total, at_90_gib = 0, 0
    for before in range(MAX_PARTS):
        size = size_of_part(PART_SIZE, before)
        at_90_gib = size if total <= 90 << 30 else at_90_gib
        total += size
    assert total >= 5 << 40
    assert size == MAX_PART_SIZE <= 5 << 30
    assert at_90_gib == 64 * MIB


def test_more_parts_than_s3_allows_are_not_sent(
    fs: S3, path: str, calls: list[str], uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors_s3.sink.MAX_PARTS", 2)
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(15 * MIB)))
    with pytest.raises(ConnectorError, match="too large to be written in 2 parts; nothing was written"):
        sink.commit()
    assert calls.count("upload_part") == 2
    assert uploads(path) == []


def test_parts_below_the_minimum_size_are_refused(credentials: S3Credentials) -> None:
    with pytest.raises(ConfigError, match="at least 5242880 bytes, not 1048576"):
        S3(credentials, part_size=1 << 20)


def test_parts_sent_out_of_order_are_stored_in_order(
    fs: S3, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [threading.Event() for _ in range(6)]
    sent[5].set()

    def upload_part(number: int, send: Callable[[], Any]) -> Any:
        assert sent[number + 1].wait(PATIENCE)  # the last part is sent first
        response = send()
        sent[number].set()
        return response

    log = watching(fs, monkeypatch, upload_part)
    data = os.urandom(17 * MIB)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    sink.commit()
    assert [one for one in log if one.startswith("part") and one.endswith("done")] == [
        "part 4 done",
        "part 3 done",
        "part 2 done",
        "part 1 done",
    ]
    assert stored(path) == data


def test_at_most_four_parts_are_sent_at_once(
    fs: S3, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, in_flight, most = threading.Barrier(4), set(), []

    def upload_part(number: int, send: Callable[[], Any]) -> Any:
        in_flight.add(number)
        started.wait(PATIENCE)
        most.append(len(in_flight))
        response = send()
        in_flight.remove(number)
        return response

    watching(fs, monkeypatch, upload_part)
    data = os.urandom(40 * MIB)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    sink.commit()
    assert max(most) == 4
    assert stored(path) == data


def test_no_part_is_sent_after_a_failure(
    fs: S3, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def upload_part(number: int, send: Callable[[], Any]) -> Any:
        if number == 2:
            failed.set()
            raise EndpointConnectionError(endpoint_url="https://signed.example/?X-Amz-Signature=5ec2e7")
        assert failed.wait(PATIENCE)
        return send()

    log = watching(fs, monkeypatch, upload_part)
    sink = fs.open_sink(path)
    with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
        sink.write(memoryview(os.urandom(80 * MIB)))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert set(log) <= {
        "create_multipart_upload",
        "create_multipart_upload done",
        *(f"part {number}{done}" for number in range(1, 6) for done in ("", " done")),
        "abort_multipart_upload",
        "abort_multipart_upload done",
    }
    assert log[-2:] == ["abort_multipart_upload", "abort_multipart_upload done"]
    assert stored(path) is None
    assert uploads(path) == []


def test_upload_is_aborted_only_after_its_parts_have_been_sent(
    fs: S3, path: str, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, aborted = threading.Barrier(4), threading.Event()

    def upload_part(_: int, send: Callable[[], Any]) -> Any:
        started.wait(PATIENCE)
        aborted.wait(0.5)  # a part that the abort does not wait for arrives after it
        return send()

    log = watching(fs, monkeypatch, upload_part)
    real = fs.call_s3

    def call_s3(method: str, **arguments: Any) -> Any:
        if method == "abort_multipart_upload":
            real(method, **arguments)
            aborted.set()
            return {}
        return real(method, **arguments)

    monkeypatch.setattr(fs, "call_s3", call_s3)
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(16 * MIB)))
    waiting = threading.Thread(target=started.wait, args=[30])
    waiting.start()
    waiting.join()
    sink.discard()
    done = [log.index(f"part {number} done") for number in (1, 2, 3)]
    assert max(done) < log.index("abort_multipart_upload")
    assert uploads(path) == []


def test_memory_holds_few_parts_and_no_copies(fs: S3, path: str) -> None:
    data = memoryview(bytes(5 * MIB))
    fs.exists(path)  # what the library loads first does not belong to the parts
    tracemalloc.start()
    try:
        sink = fs.open_sink(path)
        for _ in range(20):
            sink.write(data)
        sink.commit()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Four parts being sent, one being filled, and the memory of the requests and their connections.
    assert most < 5 * 5 * MIB + 5 * MIB
