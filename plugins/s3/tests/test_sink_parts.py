"""The parts of an upload: their sizes, their order, how many are sent at once, and their memory."""

from __future__ import annotations

import os
import re
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from patience import PATIENCE

from connectors.credentials.model import validate
from connectors.errors import ConfigError, ConnectorError, InvalidCredentials, StorageUnavailable
from connectors.storage import Failure, PartSizes
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import MAX_PART_SIZE, MAX_PARTS, MAX_SIZE, MIN_PART_SIZE, PART_SIZE, S3

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
Uploads = Callable[[str], list[Any]]


SIZES = PartSizes(PART_SIZE, MIN_PART_SIZE, MAX_PART_SIZE, MAX_PARTS, MAX_SIZE)


def watching(fs: S3, monkeypatch: pytest.MonkeyPatch, send_part: Callable[[int, Callable[[], Any]], Any]) -> list[str]:
    """Make `send_part` send the parts, given their number; return a log of requests and responses, in order."""
    real, log = fs.store.client.send, []

    def send(request: Any, *busy: Any) -> Any:
        query = request.target.reveal().partition("?")[2]
        part = re.match(r"partNumber=(\d+)&", query)
        name = f"part {part[1]}" if part else f"{request.method} {query.partition('=')[0]}"
        log.append(name)
        response = send_part(int(part[1]), lambda: real(request, *busy)) if part else real(request, *busy)
        log.append(f"{name} done")
        return response

    monkeypatch.setattr(fs.store.client, "send", send)
    return log


def sent(fs: S3, path: str, total: int, *, told: bool, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Write `total` bytes to a store that only counts; return the sizes of the parts."""
    sizes: dict[int, int] = {}

    def send_part(_path: str, _upload: str, number: int, data: memoryview, *, last: bool) -> str:
        sizes[number] = len(data)
        return "etag"

    monkeypatch.setattr(fs.store, "start_upload", lambda *_, **__: "1")
    monkeypatch.setattr(fs.store, "send_part", send_part)
    monkeypatch.setattr(fs.store, "complete_upload", lambda *_, **__: None)
    sink = fs.open_sink(path)
    if told:
        sink.expect(total)
    sink.write(memoryview(bytes(total)))
    sink.commit()
    return [sizes[number] for number in sorted(sizes)]


def test_parts_grow_so_that_ten_thousand_hold_the_largest_object() -> None:
    sizes = [SIZES.at(before) for before in range(MAX_PARTS)]
    assert sum(sizes) >= MAX_SIZE
    assert sizes[-1] == MAX_PART_SIZE <= 5 << 30
    assert sizes == sorted(sizes)


def test_parts_are_equal_up_to_a_fifth_of_their_number() -> None:
    assert {SIZES.at(before) for before in range(MAX_PARTS // 5)} == {PART_SIZE}
    assert SIZES.at(MAX_PARTS // 5) == 2 * PART_SIZE


@pytest.mark.parametrize("size", [1, PART_SIZE * MAX_PARTS, PART_SIZE * MAX_PARTS + 1, 100 << 30, MAX_SIZE])
def test_parts_of_an_object_of_known_size_are_all_equal(size: int) -> None:
    chosen = SIZES.for_object(size)
    assert {chosen.at(before) for before in (0, 1, 5_000, 9_999)} == {chosen.first}
    assert PART_SIZE <= chosen.first <= MAX_PART_SIZE
    assert size <= chosen.first * MAX_PARTS
    assert size > PART_SIZE * MAX_PARTS or chosen.first == PART_SIZE


def test_the_size_of_the_parts_is_chosen_once(
    credentials: S3Credentials, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = S3(credentials)
    assert sent(fs, path, 20 * MIB, told=False, monkeypatch=monkeypatch) == [8 * MIB, 8 * MIB, 4 * MIB]
    assert sent(fs, path, 20 * MIB, told=True, monkeypatch=monkeypatch) == [8 * MIB, 8 * MIB, 4 * MIB]
    monkeypatch.setattr("connectors_s3.filesystem.PART_SIZE", 5 * MIB)
    monkeypatch.setattr("connectors_s3.filesystem.MAX_PARTS", 4)
    fs = S3(credentials)
    assert sent(fs, path, 30 * MIB, told=True, monkeypatch=monkeypatch) == [8 * MIB, 8 * MIB, 8 * MIB, 6 * MIB]
    sink = fs.open_sink(path)
    sink.expect(30 * MIB)
    sink.expect(1)
    sink.write(memoryview(bytes(20 * MIB)))
    sink.commit()
    assert sink._sizes.first == 8 * MIB


def test_part_size_makes_all_parts_equal(
    credentials: S3Credentials, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = S3(credentials.model_copy(update={"part_size": 6 * MIB}))
    for told in (False, True):
        sizes = sent(fs, path, 20 * MIB, told=told, monkeypatch=monkeypatch)
        assert sizes == [6 * MIB, 6 * MIB, 6 * MIB, 2 * MIB]


@pytest.mark.parametrize("size", [(5 << 20) - 1, (5 << 30) + 1, 0, "8388608"])
def test_part_size_outside_the_limits_is_refused(document: dict[str, Any], size: Any) -> None:
    with pytest.raises(InvalidCredentials, match="credentials.part_size"):
        validate(S3Credentials, {**document, "part_size": size})


def test_object_larger_than_s3_takes_is_refused_before_it_is_sent(fs: S3, path: str, calls: list[str]) -> None:
    with pytest.raises(ConnectorError, match=f"s3://{path} is too large: an object has at most 5497558138880 bytes"):
        fs.open_sink(path).expect(MAX_SIZE + 1)
    assert calls == []


def test_more_parts_than_s3_allows_are_not_sent(
    fs: S3, credentials: S3Credentials, path: str, calls: list[str], uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors_s3.filesystem.MAX_PARTS", 2)
    two = S3(credentials, part_size=5 << 20)
    monkeypatch.setattr(two, "store", fs.store)
    sink = two.open_sink(path)
    with pytest.raises(ConnectorError, match="too large to be written in 2 parts of this size; nothing was written"):
        sink.write(memoryview(bytes(10 * MIB + 1)))
    assert calls.count("PUT partNumber") == 1
    assert uploads(path) == []
    sink = two.open_sink(path)
    sink.write(memoryview(bytes(10 * MIB)))
    sink.commit()
    assert fs.info(path)["size"] == 10 * MIB


def test_parts_below_the_minimum_size_are_refused(credentials: S3Credentials) -> None:
    with pytest.raises(ConfigError, match="5242880 to 5368709120 bytes, not 1048576"):
        S3(credentials, part_size=1 << 20)


def test_parts_sent_out_of_order_are_stored_in_order(
    fs: S3, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [threading.Event() for _ in range(6)]
    sent[5].set()

    def send_part(number: int, send: Callable[[], Any]) -> Any:
        assert sent[number + 1].wait(PATIENCE)  # the last part is sent first
        response = send()
        sent[number].set()
        return response

    log = watching(fs, monkeypatch, send_part)
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

    def send_part(number: int, send: Callable[[], Any]) -> Any:
        in_flight.add(number)
        started.wait(PATIENCE)
        most.append(len(in_flight))
        response = send()
        in_flight.remove(number)
        return response

    watching(fs, monkeypatch, send_part)
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

    def send_part(number: int, send: Callable[[], Any]) -> Any:
        if number == 2:
            failed.set()
            return Failure(StorageUnavailable("the connection broke"))
        assert failed.wait(PATIENCE)
        return send()

    log = watching(fs, monkeypatch, send_part)
    sink = fs.open_sink(path)
    with pytest.raises(StorageUnavailable, match="the connection broke") as caught:
        sink.write(memoryview(os.urandom(80 * MIB)))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert set(log) <= {
        "POST uploads",
        "POST uploads done",
        *(f"part {number}{done}" for number in range(1, 6) for done in ("", " done")),
        "DELETE uploadId",
        "DELETE uploadId done",
    }
    assert log[-2:] == ["DELETE uploadId", "DELETE uploadId done"]
    assert stored(path) is None
    assert uploads(path) == []


def test_upload_is_aborted_only_after_its_parts_have_been_sent(
    fs: S3, path: str, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, aborted = threading.Barrier(4), threading.Event()

    def send_part(_: int, send: Callable[[], Any]) -> Any:
        started.wait(PATIENCE)
        aborted.wait(0.5)  # a part that the abort does not wait for arrives after it
        return send()

    log = watching(fs, monkeypatch, send_part)
    real = fs.store.client.send

    def send(request: Any, *busy: Any) -> Any:
        response = real(request, *busy)
        if request.method == "DELETE":
            aborted.set()
        return response

    monkeypatch.setattr(fs.store.client, "send", send)
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(16 * MIB)))
    waiting = threading.Thread(target=started.wait, args=[30])
    waiting.start()
    waiting.join()
    sink.discard()
    done = [log.index(f"part {number} done") for number in (1, 2, 3)]
    assert max(done) < log.index("DELETE uploadId")
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
