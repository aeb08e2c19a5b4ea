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
from connectors.streams.depth import AT_ONCE, MAX_AT_ONCE
from connectors.streams.prefetch import MAX_HELD, RUN

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


class Link:
    """A link with a clock of its own, whose rate depends on the number of streams that are read at once.

    Args:
        monkeypatch: replaces the clock.
        rate: returns the bytes per second that the reader gets, given the number of streams.
        latency: seconds that a request takes.
        each: bytes per second of each stream, as its thread measures it.
    """

    def __init__(self, monkeypatch, rate, *, latency=0.0, each=0.0):
        self.now = 0.0
        self.most = 0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(depth_module, "time", clock)
        monkeypatch.setattr(prefetch_module, "time", clock)
        monkeypatch.setattr(lanes.Lane, "is_ready", False)
        first_run = property(lambda _: latency and latency + RUN / 80e6, lambda *_: None)
        monkeypatch.setattr(lanes.StreamLane, "first_run", first_run, raising=False)
        monkeypatch.setattr(lanes.StreamLane, "rate", each)
        taken = lanes.Lane.take

        def take(lane):
            run = taken(lane)
            # In a trial, what the first of the streams brings arrives while the reader is served by another.
            streams = AT_ONCE if self.prefetcher._plan._trial else len(self.prefetcher._lanes)
            self.most = max(self.most, streams)
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
        assert {stream.stop - stream.start for stream in late[:-1]} == {MAX_HELD // (2 * AT_ONCE)}

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
        monkeypatch.setattr(lanes.Lane, "is_ready", True)
        link.read(Zeros(GIB))
        assert link.most <= 2  # at the end of a stream, the next one is opened

    @pytest.mark.parametrize(("each", "most"), [(80e6, MAX_AT_ONCE), (30e6, AT_ONCE)], ids=["limited", "shared"])
    def test_far_storage_is_judged_by_streams_that_have_started(self, each, most, monkeypatch):
        def rate(streams):
            """Return a rate that new connections do not raise before the trial is over."""
            return 80e6 if link.prefetcher._plan._depth is None else each * streams

        link = Link(monkeypatch, rate, latency=0.1, each=each)
        link.read(Zeros(GIB))
        assert link.most == most

    @pytest.mark.parametrize("case", [COBBLESTONE, TINK_1M], ids=str)
    def test_bytes_of_several_streams_come_in_order(self, case, monkeypatch):
        plain = plain_bytes(96 * MIB)
        source = Streamed(case.seal(plain), piece=300_000)
        link = Link(monkeypatch, lambda streams: 80e6 * streams)
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
