"""Read-ahead: side by side for who reads on, nothing for who jumps about, and no thread in the way of a fork or a close."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import pytest
from patience import PATIENCE
from sealing import CASES, COBBLESTONE, Recorded, plain_bytes

from connectors.errors import IntegrityError
from connectors.formats import Plain
from connectors.streams import SealedReader
from connectors.streams import depth as depth_module
from connectors.streams import reader as reader_module
from connectors.streams.depth import AT_ONCE, MAX_AT_ONCE
from connectors.streams.fetch import came_from_memory
from connectors.streams.object import MAX_RUN

MIB = 1 << 20
SIZE = 24 * MIB
PLAIN_CODEC = Plain()


class Slow(Recorded):
    """A source that counts how many ranges are asked for at once, and can be held up."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.go = threading.Event()
        self.go.set()
        self.at_once = self.most = 0
        self._lock = threading.Lock()

    def read_range(self, start: int, stop: int) -> bytes:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.go.wait(PATIENCE)
        try:
            return super().read_range(start, stop)
        finally:
            with self._lock:
                self.at_once -= 1


class Waited:
    """A source of zeros, of which each range takes a while."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.most = self._at_once = 0
        self._lock = threading.Lock()

    def read_range(self, start: int, stop: int) -> bytes:
        with self._lock:
            self._at_once += 1
            self.most = max(self.most, self._at_once)
        time.sleep(0.01)
        with self._lock:
            self._at_once -= 1
        return bytes(min(stop, self.size) - start)

    def close(self) -> None:
        pass


def reader(source: Recorded) -> SealedReader:
    return SealedReader(source, COBBLESTONE.codec())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_byte_comes_in_order(case):
    plain = plain_bytes(3 * MIB + 77)
    with case.open(case.seal(plain)) as file:
        pieces = []
        while piece := file.read(100_001):
            pieces.append(piece)
    assert b"".join(pieces) == plain


def test_who_reads_on_has_several_runs_on_their_way_and_no_more_than_that():
    source = Slow(COBBLESTONE.seal(plain_bytes(SIZE)))
    with reader(source) as file:
        file.read(2 * MIB)
        file.read(MIB)
        source.go.clear()
        before = len(source.ranges)
        held = threading.Timer(0.2, source.go.set)
        held.start()
        while file.read(MIB):
            assert source.at_once <= MAX_AT_ONCE + 1
        held.join()
        assert source.most > 1
        assert len(source.ranges) - before <= SIZE // MAX_RUN + AT_ONCE


@pytest.mark.parametrize(
    ("rate", "becomes"),
    [
        (lambda at_once: at_once, MAX_AT_ONCE),  # a long way: what is on it at a time arrives in that time
        (lambda _: 1, AT_ONCE),  # a narrow one: it brings what it brings
        (lambda at_once: min(at_once, 2 * AT_ONCE), 2 * AT_ONCE),
        (lambda at_once: 1 + at_once / 100, AT_ONCE),
    ],
    ids=["far", "narrow", "both", "hardly"],
)
def test_as_much_is_fetched_at_once_as_makes_it_come_faster(rate, becomes, monkeypatch):
    clock = 0.0
    monkeypatch.setattr(depth_module, "time", SimpleNamespace(monotonic=lambda: clock))
    depth = depth_module.Depth(AT_ONCE, MAX_AT_ONCE)
    for _ in range(200):
        depth.took(MIB, waited=True)
        clock += 1 / rate(depth.now)
    assert depth.now == becomes


def test_who_never_waits_gets_no_more_at_once():
    depth = depth_module.Depth(AT_ONCE, MAX_AT_ONCE)
    for _ in range(200):
        depth.took(MIB, waited=False)
    assert depth.now == AT_ONCE


def test_no_more_is_fetched_at_once_than_the_most():
    source = Waited(PLAIN_CODEC.layout.sealed_size(200 * MIB))
    with SealedReader(source, PLAIN_CODEC) as file:
        while file.read(4 * MIB):
            pass
    assert 1 < source.most <= MAX_AT_ONCE


def test_what_is_in_memory_is_told_by_how_quickly_it_comes():
    assert came_from_memory(4 * MIB, 50e-6)
    assert not came_from_memory(4 * MIB, 500e-6)


def test_what_is_in_memory_is_not_fetched_ahead(monkeypatch):
    monkeypatch.setattr(reader_module, "time", SimpleNamespace(perf_counter=lambda: 0.0))

    class Memory(Recorded):
        def read_range(self, start: int, stop: int) -> memoryview:
            self.ranges.append((start, stop))
            return memoryview(self.data)[start:stop]

    source = Memory(COBBLESTONE.seal(plain_bytes(SIZE)))
    with reader(source) as file:
        buffer = bytearray(4 * MIB)
        came = bytearray()
        while size := file.readinto(buffer):
            came += buffer[:size]
        assert file._prefetcher._plan._threads is None
    assert came == plain_bytes(SIZE)


def test_large_read_is_fetched_in_parallel_and_not_beyond_its_end():
    source = Recorded(COBBLESTONE.seal(plain_bytes(SIZE)))
    with reader(source) as file:
        before = len(source.ranges)
        file.seek(8 * MIB + 5)
        buffer = bytearray(10 * MIB)
        done = 0
        while done < len(buffer):
            done += file.readinto(memoryview(buffer)[done:])
        assert buffer == plain_bytes(SIZE)[8 * MIB + 5 :][: 10 * MIB]
        asked = source.ranges[before:]
    assert sum(stop - start for start, stop in asked) <= 10.1 * MIB
    assert len(asked) <= 5


def test_who_jumps_about_is_read_nothing_ahead():
    source = Recorded(COBBLESTONE.seal(plain_bytes(SIZE)))
    with reader(source) as file:
        for offset in range(0, SIZE, 3 * MIB):
            file.seek(offset)
            file.read(100)
        small = [stop - start for start, stop in source.ranges[2:]]
    assert max(small) <= 16400
    assert len(small) <= 8


def test_jumping_away_and_back_gives_the_right_bytes():
    plain = plain_bytes(SIZE)
    with COBBLESTONE.open(COBBLESTONE.seal(plain)) as file:
        for offset in (0, 10 * MIB, 2 * MIB, 20 * MIB, 5):
            file.seek(offset)
            assert file.read(5 * MIB) == plain[offset : offset + 5 * MIB]


def test_changed_prefetched_run_is_an_error_only_when_it_is_reached():
    plain = plain_bytes(SIZE)
    sealed = bytearray(COBBLESTONE.seal(plain))
    sealed[12 * MIB] ^= 1
    with reader(Recorded(bytes(sealed))) as file:
        came = bytearray()
        with pytest.raises(IntegrityError, match="chunk 767 does not verify"):
            while piece := file.read(MIB):
                came += piece
        assert plain.startswith(bytes(came))
        assert len(came) > 8 * MIB
        with pytest.raises(IntegrityError, match="chunk 767"):
            file.readall()


def test_a_reader_is_closed_while_runs_are_on_their_way():
    source = Slow(COBBLESTONE.seal(plain_bytes(SIZE)))
    file = reader(source)
    file.read(2 * MIB)
    file.read(2 * MIB)
    source.go.clear()
    file.close()
    assert source.closed
    source.go.set()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_a_forked_child_reads_on():
    plain = plain_bytes(SIZE)
    with reader(Recorded(COBBLESTONE.seal(plain))) as file:
        start = file.read(2 * MIB) + file.read(2 * MIB)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if file.readall() == plain[len(start) :] else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert start + file.readall() == plain
