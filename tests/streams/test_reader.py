"""Readers: what `io` promises of files, and reads into the caller's buffer."""

from __future__ import annotations

import io
import os
import random
from typing import Any

import pytest
from sealing import CASES, COBBLESTONE, KEY, TINK_1M, TINK_4K, Case, Recorded, plain_bytes, reading

import connectors
from connectors.errors import IntegrityError
from connectors.streams import SealedReader

MIB = 1 << 20


class TestManners:
    """What `io` promises of files."""

    @pytest.fixture
    def file(self) -> SealedReader:
        return reading(COBBLESTONE, Recorded(COBBLESTONE.seal(plain_bytes(50_000))))

    def test_it_says_what_it_can(self, file: SealedReader) -> None:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert file.size == 50_000
        for method in (file.truncate, file.fileno):
            with pytest.raises(io.UnsupportedOperation):
                method()

    def test_closed_it_gives_nothing(self, file: SealedReader) -> None:
        file.read(10)
        file.close()
        file.close()
        for method in (file.read, file.readall, file.tell, lambda: file.seek(0), lambda: file.readinto(bytearray(1))):
            with pytest.raises(ValueError, match="closed"):
                method()
        assert (len(file._opened), len(file._buffer), file._fetched, file._object) == (0, 0, None, None)
        assert repr(file) == "<SealedReader  closed>"

    def test_its_buffer_knows_the_size_too_as_fsspecs_own_files_do(self) -> None:
        with connectors.open_reader(io.BytesIO(COBBLESTONE.seal(plain_bytes(50_000))), KEY) as file:
            assert file.size == 50_000

    @pytest.mark.parametrize("offset", [1.0, "1", None])
    def test_an_offset_is_a_whole_number(self, file: SealedReader, offset: Any) -> None:
        with pytest.raises(TypeError):
            file.seek(offset)
        assert file.tell() == 0

    def test_seeking_costs_no_request(self, file: SealedReader) -> None:
        before = len(file._object._source.ranges)
        for offset in range(0, 100_000, 999):
            file.seek(offset)
        file.seek(0, os.SEEK_END)
        assert len(file._object._source.ranges) == before
        assert file.read(1) == b""

    def test_a_small_object_costs_one_request(self) -> None:
        for case in CASES:
            source = Recorded(case.seal(plain_bytes(5_000)))
            assert case.unseal(source) == plain_bytes(5_000)
            assert len(source.ranges) == 1

    def test_reading_on_asks_for_growing_runs(self) -> None:
        plain = bytes(64 << 20)
        source = Recorded(COBBLESTONE.seal(plain))
        with COBBLESTONE.open(source) as file:
            while file.read(1 << 20):
                pass
        assert len(source.ranges) < 50
        assert max(stop - start for start, stop in source.ranges) < 5 << 20

    def test_jumping_about_asks_for_single_chunks(self) -> None:
        source = Recorded(COBBLESTONE.seal(bytes(64 << 20)))
        with COBBLESTONE.open(source) as file:
            opened = len(source.ranges)
            for offset in (50 << 20, 3 << 20, 40 << 20):
                file.seek(offset + 5)
                file.read(10)
            assert [stop - start for start, stop in source.ranges[opened:]] == [16400] * 3

    def test_it_fills_buffers_of_other_items(self, file: SealedReader) -> None:
        buffer = memoryview(bytearray(400)).cast("I")
        assert file.readinto(buffer) == 400
        assert buffer.tobytes() == plain_bytes(50_000)[:400]


class Lending(Recorded):
    """A source that returns buffers which could be written to, as those of HTTP do."""

    def read_range(self, start: int, stop: int) -> memoryview:
        return memoryview(bytearray(super().read_range(start, stop)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_a_source_returned_is_not_written_to(case: Case) -> None:
    plain = plain_bytes(400_000)
    chance = random.Random(1)
    with case.open(Lending(case.seal(plain))) as file:
        for _ in range(300):
            offset = chance.choice([0, chance.randrange(60_000), chance.randrange(len(plain))])
            file.seek(offset)
            assert file.read(5_000) == plain[offset : offset + 5_000]


class TestCallersBuffer:
    """Large reads are opened straight into the caller's buffer."""

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_reads_of_any_size_and_place_give_the_right_bytes(self, case: Case) -> None:
        plain = plain_bytes(2 * MIB + 77)
        chance = random.Random(str(case))
        with case.open(case.seal(plain)).detach() as file:
            for _ in range(30):
                start, size = chance.randrange(len(plain)), chance.choice([1, 16384, 300_000, MIB, 3 * MIB])
                file.seek(start)
                buffer = bytearray(b"\xee" * size)
                done = 0
                while done < size and (piece := file.readinto(memoryview(buffer)[done:])):
                    done += piece
                assert done == min(size, len(plain) - start)
                assert buffer == plain[start : start + done] + b"\xee" * (size - done)

    @pytest.mark.parametrize("case", [COBBLESTONE, TINK_4K, TINK_1M], ids=str)
    def test_bytes_that_do_not_verify_are_not_left_in_it(self, case: Case) -> None:
        plain = b"\xaa" * (10 * MIB)
        sealed = bytearray(case.seal(plain))
        at = len(sealed) * 2 // 3
        sealed[at] ^= 1
        with case.open(bytes(sealed)).detach() as file:
            buffer = bytearray(b"\xee" * len(plain))
            done = 0
            with pytest.raises(IntegrityError):
                while True:
                    done += file.readinto(memoryview(buffer)[done : done + 3 * MIB])
            assert 3 * MIB <= done < at
            assert buffer[:done] == plain[:done]
            with pytest.raises(IntegrityError):
                file.read(MIB * 4)
            broken = file.tell() + case.layout.index(at - done) * case.layout.chunk
            assert b"\xaa" not in buffer[broken:]

    def test_a_seek_back_within_what_was_fetched_asks_for_nothing(self) -> None:
        plain = plain_bytes(MIB)
        source = Recorded(COBBLESTONE.seal(plain))
        with COBBLESTONE.open(source).detach() as file:
            file.seek(100)
            buffer = bytearray(MIB // 2)
            size = file.readinto(buffer)
            asked = len(source.ranges)
            for start in (50_000, 100, 20_000):
                file.seek(start)
                assert file.read(1000) == plain[start : start + 1000]
            assert (len(source.ranges), bytes(buffer[:size])) == (asked, plain[100 : 100 + size])
