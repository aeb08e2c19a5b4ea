"""The blocks of an upload: their sizes, their order, and how many are sent at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hostile import Answer
from patience import PATIENCE

from connectors.errors import StorageUnavailable
from connectors_azure.filesystem import AzureFileSystem
from connectors_azure.store import PART_SIZES, AzureStore

MIB = 1 << 20
Stored = Callable[[str], bytes | None]


def staging(monkeypatch: pytest.MonkeyPatch, stage: Callable[[int, Callable[[], str]], str]) -> None:
    """Replace the method that sends blocks with `stage`, which gets a block's number and the real method."""
    real = AzureStore.send_part

    def instead(self: AzureStore, path: str, upload: str, number: int, data: memoryview, *, last: bool) -> str:
        return stage(number, lambda: real(self, path, upload, number, data, last=last))

    monkeypatch.setattr(AzureStore, "send_part", instead)


def test_block_size_grows_so_that_all_blocks_hold_tens_of_tebibytes() -> None:
    sizes = [PART_SIZES.at(before) for before in range(50_000)]
    assert {size // MIB for size in sizes[:10_000]} == {8}
    assert [size // MIB for size in sizes[10_000::2_000]] == [16 << step for step in range(8)] + [4000] * 12
    assert sum(sizes) == 104_240_000 * MIB


def test_blocks_are_in_order_even_if_sent_out_of_order(
    fs: AzureFileSystem, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [threading.Event() for _ in range(6)]
    sent[5].set()
    order = []

    def stage(number: int, send: Callable[[], str]) -> str:
        assert sent[number + 1].wait(PATIENCE)  # the last block is sent first
        block = send()
        order.append(number)
        sent[number].set()
        return block

    staging(monkeypatch, stage)
    data = os.urandom(14 * MIB)
    sink = fs.open_sink(path, exclusive=True)
    sink.write(memoryview(data))
    sink.commit()
    assert order == [4, 3, 2, 1]
    assert stored(path) == data


def test_at_most_four_blocks_are_sent_in_parallel(
    proxy: Any, proxied: AzureFileSystem, path: str, stored: Stored
) -> None:
    gathered = threading.Barrier(4)

    def instead(name: str, response: Answer) -> Answer:
        if name == "PUT block":
            gathered.wait(PATIENCE)
        return response

    proxy.instead = instead
    data = os.urandom(32 * MIB)
    sink = proxied.open_sink(path)
    sink.write(memoryview(data))
    sink.commit()
    assert proxy.most == 4
    assert stored(path) == data


def test_no_block_is_sent_after_one_has_failed(
    fs: AzureFileSystem, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, begun = threading.Event(), []

    def stage(number: int, send: Callable[[], str]) -> str:
        begun.append(number)
        if number == 2:
            failed.set()
            raise StorageUnavailable("the second")
        assert failed.wait(PATIENCE)
        return send()

    staging(monkeypatch, stage)
    fs.pipe_file(path, b"previous")
    sink = fs.open_sink(path)
    with pytest.raises(StorageUnavailable, match="^the second$"):
        sink.write(memoryview(bytes(60 * MIB)))
    assert set(begun) <= {1, 2, 3, 4, 5}
    assert stored(path) == b"previous"


def test_no_block_is_in_flight_after_discard(fs: AzureFileSystem, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, completed = threading.Barrier(3), []

    def stage(number: int, send: Callable[[], str]) -> str:
        begun.wait(PATIENCE)
        block = send()
        completed.append(number)
        return block

    staging(monkeypatch, stage)
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(9 * MIB)))
    begun.wait(PATIENCE)
    sink.discard()
    assert sorted(completed) == [1, 2]
