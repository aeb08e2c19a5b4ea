"""Sequential reads of a source that streams: few long requests, in order, bounded, and cancelled when they end."""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import os
import sys
import threading

import pytest
from interrupts import interrupted
from patience import until
from sealing import CASES, COBBLESTONE, GCM, TINK_1M, Case, plain_bytes, reading
from streamed import Streamed, Zeros, read_by

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    IntegrityError,
    NotAnObject,
    ObjectChanged,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
    TruncatedObject,
)
from connectors.streams import SealedReader, StreamsRanges
from connectors.streams import prefetch as prefetch_module
from connectors.streams.lanes import StreamLane
from connectors.streams.object import HELD_SIZE, MAX_RUN
from connectors.streams.prefetch import FIRST_SPAN, RUN, RUNS

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZE = 24 * MIB


pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def one_stream(monkeypatch):
    """Try no second stream, however slow this machine is at the moment."""
    monkeypatch.setattr(prefetch_module, "TRIALS", 0)
    monkeypatch.setattr(prefetch_module, "NEAR", math.inf)


@pytest.fixture
def source():
    made = Streamed(COBBLESTONE.seal(plain_bytes(SIZE)))
    yield made
    until(lambda: not made.unclosed, "every stream is closed")
    assert not made.wrong


class TestRequests:
    @pytest.mark.usefixtures("one_stream")
    def test_reads_of_every_size_are_streamed(self, source):
        for size in (1000, 100_000, MIB, SIZE):
            source.streams.clear()
            with reading(COBBLESTONE, source) as file:
                assert read_by(file, size) == plain_bytes(SIZE)
            assert 1 <= len(source.streams) <= 3

    @pytest.mark.usefixtures("one_stream")
    def test_no_byte_is_requested_twice_or_left_out(self, source):
        with reading(COBBLESTONE, source) as file:
            read_by(file, 100_000)
        after_head = sorted(source.requests[2:])
        assert all(one[1] == other[0] for one, other in itertools.pairwise(after_head))

    def test_random_access_takes_small_ranges_and_no_stream(self, source):
        with reading(COBBLESTONE, source) as file:
            opened = len(source.ranges)
            for offset in range(0, SIZE, 3 * MIB):
                file.seek(offset + 5)
                file.read(100)
        assert not source.streams
        assert [stop - start for start, stop in source.ranges[opened:]] == [16400] * 7

    @pytest.mark.usefixtures("one_stream")
    def test_a_long_read_anywhere_is_one_stream_that_ends_with_it(self, source):
        with reading(COBBLESTONE, source) as file:
            file.seek(5 * MIB + 5)
            buffer, done = bytearray(7 * MIB), 0
            while done < len(buffer):
                done += file.readinto(memoryview(buffer)[done:])
            assert buffer == plain_bytes(SIZE)[5 * MIB + 5 :][: 7 * MIB]
        [stream] = source.streams
        assert stream.stop - stream.start < 7.1 * MIB
        assert stream.position == stream.stop

    @pytest.mark.usefixtures("one_stream")
    def test_little_is_read_ahead_of_a_reader_that_stops(self, source):
        with reading(COBBLESTONE, source) as file:
            for _ in range(6):
                file.read(MIB)
            until(lambda: source.streams[-1].position >= 6 * MIB, "something is read ahead")
        assert source.streams[-1].position <= (6 + RUNS + 1) * RUN * 1.01

    def test_an_object_that_is_in_memory_is_not_streamed(self):
        for case in CASES:
            source = Streamed(case.seal(plain_bytes(30_000)))
            with reading(case, source) as file:
                assert read_by(file, 20_000) == plain_bytes(30_000)
            assert not source.streams
            assert len(source.ranges) == 1

    @pytest.mark.usefixtures("one_stream")
    def test_verifying_a_large_object_as_a_whole_streams_it(self, monkeypatch):
        monkeypatch.setattr("connectors.streams.object.HELD_SIZE", 0)
        source = Streamed(GCM.seal(plain_bytes(SIZE)), piece=MIB)
        with reading(GCM, source) as file:
            assert len(source.requests) <= 5
            assert read_by(file, MIB) == plain_bytes(SIZE)
        assert len(source.requests) <= 10
        assert not source.wrong
        until(lambda: not source.unclosed, "every stream is closed")
        assert HELD_SIZE > 0


class TestOrder:
    @pytest.mark.parametrize("piece", [1 << 30, 70_000, 1 << 14], ids=str)
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_every_byte_comes_in_order(self, case: Case, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("connectors.streams.object.HELD_SIZE", 0)
        plain = plain_bytes(3 * MIB + 77)
        source = Streamed(case.seal(plain), piece=piece)
        with case.open(source) as file:
            assert read_by(file, 100_001) == plain
            file.seek(MIB)
            assert file.read() == plain[MIB:]
        assert not source.wrong
        until(lambda: not source.unclosed, "every stream is closed")

    def test_jumping_away_and_back_gives_the_right_bytes(self, source):
        with COBBLESTONE.open(source) as file:
            for offset in (0, 10 * MIB, 2 * MIB, 20 * MIB, 5):
                file.seek(offset)
                for size in (MIB, 3 * MIB, 5000):
                    at = file.tell()
                    assert file.read(size) == plain_bytes(SIZE)[at : at + size]

    @pytest.mark.parametrize(
        "error",
        [AccessDenied, CredentialsExpired, ObjectChanged, StorageError, StorageUnavailable, IntegrityError, OSError],
    )
    def test_an_error_comes_after_the_bytes_before_it_and_again(self, source, error):
        border = COBBLESTONE.layout.sealed_start(900)
        source.fails[border] = error("the storage says no")
        with SealedReader(source, COBBLESTONE.codec(), name="input/x") as file:
            came = bytearray()
            for _ in range(2):
                with pytest.raises(error, match="the storage says no") as caught:
                    while piece := file.read(200_000):
                        came += piece
                assert file.tell() == len(came)
                if issubclass(error, ConnectorError):
                    assert str(caught.value) == "input/x: the storage says no"
            assert plain_bytes(SIZE).startswith(came)
            assert len(came) >= 900 * 16384 - RUN - 200_000
            source.fails.clear()
            assert came + file.readall() == plain_bytes(SIZE)

    @pytest.mark.parametrize("error", [ObjectNotFound, NotAnObject])
    def test_an_object_that_is_removed_meanwhile_has_changed(self, source, error):
        source.fails[10 * MIB] = error("it is gone")
        with reading(COBBLESTONE, source) as file, pytest.raises(ObjectChanged, match="was removed"):
            file.readall()

    def test_a_stream_that_ends_early_is_a_truncated_object(self, source):
        data, source.data = source.data, source.data[: 10 * MIB]
        source.data = data
        with reading(COBBLESTONE, source) as file:
            source.data = data[: 10 * MIB]
            with pytest.raises(TruncatedObject, match="shorter than its reported size"):
                file.readall()

    def test_changed_bytes_are_an_error_only_when_they_are_reached(self):
        sealed = bytearray(COBBLESTONE.seal(plain_bytes(SIZE)))
        sealed[12 * MIB] ^= 1
        source = Streamed(bytes(sealed))
        with reading(COBBLESTONE, source) as file:
            came = bytearray()
            with pytest.raises(IntegrityError, match="chunk 767 does not verify"):
                while piece := file.read(MIB):
                    came += piece
            assert plain_bytes(SIZE).startswith(came)
            assert len(came) > 8 * MIB

    @pytest.mark.parametrize("case", [COBBLESTONE, GCM, TINK_1M], ids=str)
    def test_a_stream_of_other_bytes_than_were_verified_is_an_error(self, case, monkeypatch):
        monkeypatch.setattr("connectors.streams.object.HELD_SIZE", 0)
        plain = plain_bytes(6 * MIB)
        one, other = case.seal(plain), case.seal(plain_bytes(6 * MIB, seed=1))
        source = Streamed(one, piece=90_000)
        with reading(case, source) as file:
            source.data = one[: 4 * MIB] + other[4 * MIB :]
            came, buffer = bytearray(), bytearray(b"\xee" * 300_000)
            with pytest.raises(IntegrityError):
                while size := file.readinto(buffer):
                    came += buffer[:size]
                    buffer[:] = b"\xee" * len(buffer)
        assert plain.startswith(came)
        assert len(came) > 2 * MIB
        left = bytes(buffer).rstrip(b"\xee").rstrip(b"\0")
        assert plain[len(came) :].startswith(left)
        assert not source.wrong
        until(lambda: not source.unclosed, "every stream is closed")


class TestEnds:
    @staticmethod
    def waiting_for(source):
        """Return a reader whose stream waits for bytes that do not come."""
        file = reading(COBBLESTONE, source)
        source.blocks_at = 6 * MIB
        while file.tell() < 4 * MIB:
            file.read(MIB)
        until(source.blocked.is_set, "the stream waits")
        return file

    @pytest.fixture
    def waiting(self, source):
        return self.waiting_for(source)

    def test_close_wakes_a_stream_that_waits(self, waiting):
        waiting.close()

    def test_a_read_elsewhere_wakes_a_stream_that_waits(self, waiting, source):
        waiting.seek(20 * MIB)
        assert waiting.read(10)
        until(lambda: not source.unclosed, "the stream is closed")
        waiting.close()

    def test_close_in_another_thread_wakes_a_reader_that_waits(self, waiting, source):
        failed = []

        def read():
            try:
                waiting.readall()
            except (ConnectorError, ValueError) as error:
                failed.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        for stream in source.streams:
            stream.cancel()
        thread.join()
        assert failed
        waiting.close()

    @pytest.mark.parametrize("threaded", [True, False])
    def test_a_reader_that_is_closed_in_another_thread_ends_its_read(self, source, threaded, monkeypatch):
        if not threaded:
            monkeypatch.setattr(StreamLane, "_threaded", property(lambda _: False, lambda *_: None), raising=False)
        file, failed = reading(COBBLESTONE, source), []
        source.blocks_at = 6 * MIB

        def read():
            try:
                file.readall()
            except (ConnectorError, ValueError) as error:
                failed.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        until(source.blocked.is_set, "the stream waits")
        file.close()
        thread.join()
        assert failed

    def test_readers_that_are_closed_at_any_moment_leave_nothing(self, monkeypatch):
        monkeypatch.setattr(prefetch_module, "NEAR", 0)  # several streams
        switch = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for moment in range(60):
                source = Streamed(COBBLESTONE.seal(plain_bytes(SIZE)))
                file, ended = reading(COBBLESTONE, source), []

                def read(file=file, ended=ended):
                    with contextlib.suppress(ConnectorError, ValueError):
                        while file.read(MIB):
                            pass
                    ended.append(True)

                thread = threading.Thread(target=read)
                thread.start()
                until(lambda source=source, least=moment % 12: len(source.streams) >= min(least, 3), "it reads")
                file.close()
                thread.join()
                assert ended
                until(lambda source=source: not source.unclosed, "every stream is closed")
                assert not source.wrong
        finally:
            sys.setswitchinterval(switch)

    def test_a_read_that_is_interrupted_can_be_repeated(self, waiting, source):
        reads, position = threading.Event(), waiting.tell()
        with interrupted(reads.wait):
            reads.set()
            waiting.readall()
        assert waiting.tell() == position
        source.blocks_at = None
        assert waiting.readall() == plain_bytes(SIZE)[position:]
        waiting.close()

    def test_a_reader_that_is_dropped_leaves_nothing(self, source):
        self.waiting_for(source)
        gc.collect()
        until(lambda: not source.unclosed, "the stream of a reader that was dropped is closed")

    def test_readers_in_cycles_leave_nothing(self, source):
        cycle = [self.waiting_for(source)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        until(lambda: not source.unclosed, "the stream of a reader that was collected is closed")

    def test_an_object_read_to_its_end_holds_no_thread(self, source):
        before = set(threading.enumerate())  # those of other tests stay
        with reading(COBBLESTONE, source) as file:
            file.readall()
            until(lambda: not source.unclosed, "the stream is closed at its end")
            until(lambda: before.issuperset(threading.enumerate()), "its thread ends")

    def test_a_forked_child_reads_on(self, source):
        plain = plain_bytes(SIZE)
        with reading(COBBLESTONE, source) as file:
            start = file.read(2 * MIB) + file.read(2 * MIB) + file.read(MIB)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    code = 0 if file.readall() == plain[len(start) :] else 2
                finally:
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
            assert start + file.readall() == plain

    def test_a_forked_child_that_closes_leaves_its_parents_stream(self, source):
        plain = plain_bytes(SIZE)
        with reading(COBBLESTONE, source) as file:
            start = file.read(2 * MIB) + file.read(2 * MIB)
            child = os.fork()
            if child == 0:
                file.close()
                os._exit(any(stream.closed or stream.cancelled.is_set() for stream in source.streams))
            assert os.waitpid(child, 0)[1] == 0
            assert start + file.readall() == plain

    def test_reading_goes_on_where_no_thread_can_be_started(self, source, monkeypatch):
        def refuse(_):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with reading(COBBLESTONE, source) as file:
            assert read_by(file, MIB) == plain_bytes(SIZE)

    def test_reading_goes_on_where_a_thread_cannot_always_be_started(self, source, monkeypatch):
        starts, tried = threading.Thread.start, itertools.count()

        def start(thread):
            if next(tried) % 2 == 0:
                raise RuntimeError("can't start new thread")
            starts(thread)

        monkeypatch.setattr(threading.Thread, "start", start)
        with reading(COBBLESTONE, source) as file:
            for place in (0, 3 * MIB, 9 * MIB, 5 * MIB):
                file.seek(place)
                for _ in range(4):
                    assert file.read(MIB) == plain_bytes(SIZE)[file.tell() - MIB : file.tell()]
            file.seek(0)
            assert read_by(file, MIB) == plain_bytes(SIZE)
        assert next(tried) > 2


def test_a_source_that_only_gives_ranges_is_no_stream():
    assert isinstance(Streamed(b""), StreamsRanges)
    assert not isinstance(Zeros.__mro__[2](b""), StreamsRanges)
    assert FIRST_SPAN >= MAX_RUN
