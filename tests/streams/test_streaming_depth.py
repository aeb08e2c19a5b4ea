"""How many streams are read at once, on links of which the test knows what they bring: few, and more if they help."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import pytest
from patience import until
from sealing import COBBLESTONE, TINK_1M, plain_bytes, reading
from streamed import Streamed, Zeros, read_by

from connectors.formats import Plain
from connectors.streams import SealedReader, lanes
from connectors.streams import depth as depth_module
from connectors.streams import prefetch as prefetch_module
from connectors.streams.depth import AT_ONCE, FAR_AT_ONCE, FAR_MOST, MAX_AT_ONCE
from connectors.streams.prefetch import MAX_HELD, PART
from connectors.streams.stored import StoredObject

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


class Link:
    """A link with a clock of its own, whose rate depends on the number of streams that are read at once.

    Args:
        monkeypatch: replaces the clock.
        rate: returns the bytes per second that the reader gets, given the number of streams.
        far: whether a request takes long.
    """

    def __init__(self, monkeypatch, rate, *, far=False):
        self.now = 0.0
        self.most = self.at_the_end = 0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(depth_module, "time", clock)
        monkeypatch.setattr(prefetch_module, "time", clock)
        monkeypatch.setattr(lanes.StreamLane, "is_ready", False)
        monkeypatch.setattr(StoredObject, "latency", property(lambda _: 0.1 * far, lambda *_: None), raising=False)
        taken = lanes.Lane.take

        def take(lane):
            run = taken(lane)
            # In a trial, what the first of the streams brings arrives while the reader is served by another.
            streams = AT_ONCE if self.prefetcher._plan._trial else len(self.prefetcher._lanes)
            self.most = max(self.most, streams)
            self.at_the_end = self.prefetcher._plan._depth.now if self.prefetcher._plan._depth else 1
            self.now += len(run.sealed) / rate(streams)
            return run

        monkeypatch.setattr(lanes.Lane, "take", take)

    def read(self, source, size=4 * MIB):
        """Read all of it, but keep none of it."""
        with SealedReader(source, Plain()) as file:
            self.prefetcher = file._prefetcher
            buffer, done = memoryview(bytearray(size)), 0
            while came := file.readinto(buffer):
                done += came
        assert done == source.size


class TestDepth:
    @pytest.mark.parametrize("size", [4 * KIB, 4 * MIB], ids=lambda size: f"by {size >> 10} KiB")
    @pytest.mark.parametrize("speed", [2e9, 5e8, 1e8, 1e6], ids=lambda speed: f"{speed:.0e} B/s")
    def test_a_gibibyte_takes_at_most_eight_requests(self, size, speed, monkeypatch):
        source = Zeros(GIB)
        Link(monkeypatch, lambda _: speed).read(source, size)
        assert len(source.requests) + 1 <= 8  # and one for the end, which only a sealed object has

    def test_a_link_that_limits_each_connection_gets_several_streams(self, monkeypatch):
        link = Link(monkeypatch, lambda streams: 80e6 * streams)
        link.read(Zeros(GIB))
        assert link.most == MAX_AT_ONCE

    def test_no_more_streams_than_bring_more(self, monkeypatch):
        link = Link(monkeypatch, lambda streams: 80e6 * min(streams, 2 * AT_ONCE))
        source = Zeros(4 * GIB)
        link.read(source)
        late = [stream for stream in source.streams if stream.start > 2 * GIB]
        assert {stream.stop - stream.start for stream in late[:-1]} == {PART}

    def test_a_shared_link_gets_one_stream(self, monkeypatch):
        link = Link(monkeypatch, lambda _: 80e6)
        source = Zeros(GIB)
        link.read(source)
        assert link.most == AT_ONCE  # the trial
        assert len(source.streams) <= 5

    def test_a_trial_that_was_lucky_is_taken_back(self, monkeypatch):
        rates = iter([80e6] * 6 + [240e6] * 12)
        link = Link(monkeypatch, lambda _: next(rates, 80e6))
        source = Zeros(GIB)
        link.read(source)
        assert max(stream.stop - stream.start for stream in source.streams) > GIB // 2

    def test_a_fast_stream_is_not_doubted(self, monkeypatch):
        link = Link(monkeypatch, lambda streams: 2e9 * streams)
        link.read(Zeros(GIB))
        assert link.most <= 2  # at the end of a stream, the next one is opened

    def test_a_reader_that_never_waits_gets_one_stream(self, monkeypatch):
        link = Link(monkeypatch, lambda streams: 80e6 * streams)
        monkeypatch.setattr(lanes.StreamLane, "is_ready", True)
        link.read(Zeros(GIB))
        assert link.most <= 2  # at the end of a stream, the next one is opened

    @pytest.mark.parametrize(
        ("rate", "most", "last"),
        [
            (lambda streams: 80e6 * streams, FAR_MOST, FAR_MOST),
            (lambda streams: 80e6 * min(streams, FAR_AT_ONCE), FAR_MOST, FAR_AT_ONCE),
            (lambda _: 30e6, FAR_MOST, AT_ONCE),
        ],
        ids=["limited", "narrow", "shared"],
    )
    def test_far_storage_gets_several_streams_at_once(self, rate, most, last, monkeypatch):
        link = Link(monkeypatch, rate, far=True)
        source = Zeros(3 * GIB)
        link.read(source)
        assert link.most == most
        assert link.at_the_end == last

    def test_far_storage_that_is_faster_than_its_reader_gets_few_streams(self, monkeypatch):
        link = Link(monkeypatch, lambda streams: 80e6 * streams, far=True)
        monkeypatch.setattr(lanes.StreamLane, "is_ready", True)
        link.read(Zeros(GIB))
        assert link.most == FAR_AT_ONCE
        assert link.at_the_end == AT_ONCE

    def test_after_a_jump_little_is_read_ahead_and_then_more(self, monkeypatch):
        source = Streamed(plain_bytes(8 * MIB) * 64)
        link = Link(monkeypatch, lambda streams: 80e6 * streams, far=True)
        with SealedReader(source, Plain()) as file:
            link.prefetcher = file._prefetcher
            buffer = bytearray(MIB)
            for _ in range(300):
                file.readinto(buffer)
            source.streams.clear()
            for place in range(8):
                file.seek(place * 50 * MIB)
                file.readinto(buffer)
                file.readinto(buffer)
            asked = sum(one.stop - one.start for one in source.streams)
            assert asked < 8 * 16 * MIB
            for _ in range(100):
                file.readinto(buffer)
        assert len(source.streams) > MAX_AT_ONCE

    @pytest.mark.parametrize("case", [COBBLESTONE, TINK_1M], ids=str)
    def test_bytes_of_several_streams_come_in_order(self, case, monkeypatch):
        plain = plain_bytes(96 * MIB)
        source = Streamed(case.seal(plain), piece=300_000)
        link = Link(monkeypatch, lambda streams: 80e6 * streams, far=True)
        with reading(case, source) as file:
            link.prefetcher = file._prefetcher
            assert read_by(file, 3_000_000) == plain
        assert link.most > AT_ONCE
        assert not source.wrong
        until(lambda: not source.unclosed, "every stream is closed")

    @pytest.mark.parametrize("rate", [lambda streams: 80e6 * streams, lambda _: 80e6], ids=["far", "narrow"])
    def test_held_memory_is_bounded(self, rate, monkeypatch):
        link = Link(monkeypatch, rate)
        source = Zeros(GIB // 2)
        tracemalloc.start()
        try:
            link.read(source)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 4 * MIB < most < MAX_HELD + 24 * MIB
