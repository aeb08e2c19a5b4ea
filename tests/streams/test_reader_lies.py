"""Readers over sources that lie or fail: no byte is released that was not verified."""

from __future__ import annotations

import gc
import io
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing import (
    AUTO,
    AUTO_GCM,
    CASES,
    COBBLESTONE,
    GCM,
    OTHER_KEY,
    TINK_4K,
    TINK_SMALL,
    TINK_TINY,
    Case,
    Recorded,
    plain_bytes,
    reading,
)

import connectors
from connectors.errors import IntegrityError, TruncatedObject
from connectors.streams import SealedReader, as_source
from connectors.streams import object as object_module

SIZE = 200_000
LYING = [COBBLESTONE, AUTO, GCM, AUTO_GCM, TINK_TINY, TINK_SMALL, TINK_4K]


@pytest.fixture(params=[object_module.HELD_SIZE, 0], ids=["held", "not-held"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Whether objects that are verified as a whole are held in memory, or read a second time."""
    monkeypatch.setattr(object_module, "HELD_SIZE", request.param)
    return request.param


@pytest.mark.parametrize("case", LYING, ids=str)
@pytest.mark.usefixtures("held")
class TestLies:
    @pytest.mark.parametrize("size", [0, 1, 5, 300, 70_000, SIZE])
    def test_about_the_size(self, case: Case, size: int) -> None:
        sealed = case.seal(plain_bytes(size))
        layout = case.layout
        near = {len(sealed) + step for step in (-17, -16, -1, 1, 16, 17, layout.chunk + layout.tag, 1 << 40)}
        for claimed in {0, 27, 28, 56, 72, *near} - {len(sealed)}:
            if claimed < 0:
                continue
            source = Recorded(sealed, size=claimed)
            with pytest.raises(IntegrityError):
                reading(case, source).read()
            assert source.closed

    def test_with_empty_and_short_answers(self, case: Case) -> None:
        for size in (0, 10, SIZE):
            sealed = case.seal(plain_bytes(size))
            for keep in {0, 1, 11, 20, 39, 55, min(len(sealed), object_module.HEAD_SIZE) - 1}:
                if keep >= len(sealed):
                    continue
                source = Recorded(sealed, change=lambda start, count, data, keep=keep: data[:keep])
                with pytest.raises(TruncatedObject):
                    reading(case, source)
            source = Recorded(sealed, change=lambda start, count, data: data[:-1] if count > 1 else data)
            if size == SIZE:
                with pytest.raises(IntegrityError), reading(case, source) as file:
                    file.readall()

    def test_with_long_answers(self, case: Case) -> None:
        sealed = case.seal(plain_bytes(SIZE))
        source = Recorded(sealed, change=lambda start, count, data: data + b"\0" if count > 1 else data)
        with pytest.raises(IntegrityError), reading(case, source) as file:
            file.readall()

    def test_with_other_bytes_from_some_request_on(self, case: Case) -> None:
        plain = plain_bytes(600_000)
        one, other = case.seal(plain), case.seal(plain_bytes(600_000, seed=1))
        with reading(case, counting := Recorded(one)) as file:
            assert file.readall() == plain
        for turn in range(2, len(counting.ranges) + 1):

            def swapped(start: int, count: int, data: bytes, turn: int = turn) -> bytes:
                return data if count < turn else other[start : start + len(data)]

            left = bytearray()
            with pytest.raises(IntegrityError), reading(case, Recorded(one, change=swapped)) as file:
                while piece := file.read(1 << 16):
                    left += piece
            assert plain.startswith(left)

    def test_with_one_changed_byte_on_a_second_read(self, case: Case) -> None:
        plain = plain_bytes(600_000)
        lie = False

        def change(start: int, count: int, data: bytes) -> bytes:
            return bytes([data[0] ^ 1]) + data[1:] if lie else data

        with reading(case, Recorded(case.seal(plain), change=change)) as file:
            assert file.readall() == plain
            asked = len(file._object._source.ranges)
            lie = True
            refused = 0
            for start in random.Random(0).sample(range(0, 600_000, 5_000), 60):
                file.seek(start)
                buffer = bytearray(b"\xee" * 100)
                before = len(file._object._source.ranges)
                try:
                    done = file.readinto(buffer)
                    assert buffer[:done] == plain[start : start + done]
                except IntegrityError:
                    refused += 1
                    assert bytes(buffer) == b"\xee" * 100
                    assert file.tell() == start
                else:
                    assert len(file._object._source.ranges) == before, "changed bytes were taken for good ones"
            assert refused or len(file._object._source.ranges) == asked


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_gcm_takes_no_byte_on_trust_on_its_second_pass(data: st.DataObject) -> None:
    """Objects over HELD_SIZE are read again after they were verified: any other byte then is an error."""
    sealed = SEALED_GCM
    position = data.draw(st.integers(12, len(sealed) - 17))
    fetched = {"verified": False}

    def change(start: int, count: int, piece: bytes) -> bytes:
        if not fetched["verified"] or not start <= position < start + len(piece):
            return piece
        changed = bytearray(piece)
        changed[position - start] ^= data.draw(st.integers(1, 255))
        return bytes(changed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_module, "HELD_SIZE", 0)
        source = Recorded(sealed, change=change)
        file = reading(AUTO_GCM, source)
    fetched["verified"] = True
    file.seek(position - 12)
    with pytest.raises(IntegrityError):
        file.read(1)


SEALED_GCM = GCM.seal(plain_bytes(600_000))


class TestErrors:
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_a_buffer_keeps_what_it_held_when_reading_fails(self, case: Case) -> None:
        plain = plain_bytes(4 * case.layout.chunk)
        sealed = bytearray(case.seal(plain))
        sealed[case.layout.sealed_start(2) + 3] ^= 1
        if case in (GCM, AUTO_GCM):
            with pytest.raises(IntegrityError):
                case.open(bytes(sealed))
            return
        with case.open(bytes(sealed)) as file:
            file.raw.seek(case.layout.plain_start(2))
            buffer = bytearray(b"\xee" * 100)
            with pytest.raises(IntegrityError, match=" 2 "):
                file.raw.readinto(buffer)
            assert bytes(buffer) == b"\xee" * 100
            # What lies elsewhere is still to be had, and the broken place stays broken.
            start = case.layout.plain_start(3)
            file.seek(start)
            assert file.raw.seek(start) == start
            assert file.read(1) == plain[start : start + 1]
            file.seek(case.layout.plain_start(2))
            with pytest.raises(IntegrityError):
                file.read(1)

    def test_a_failing_request_may_be_repeated(self) -> None:
        plain = plain_bytes(SIZE)

        def change(start: int, count: int, data: bytes) -> bytes:
            if count % 2 == 0:
                raise ConnectionResetError
            return data

        source = Recorded(COBBLESTONE.seal(plain))
        left = bytearray()
        with reading(COBBLESTONE, source) as file:
            source.change = change
            while len(left) < SIZE:
                try:
                    left += file.read(10_000)
                except ConnectionResetError:
                    continue
        assert left == plain

    def test_the_dataset_is_named(self) -> None:
        with pytest.raises(IntegrityError) as caught:
            SealedReader(as_source(io.BytesIO(bytes(100))), COBBLESTONE.codec(), name="input/conditions")
        assert str(caught.value).startswith("input/conditions: ")
        sealed = bytearray(COBBLESTONE.seal(plain_bytes(50_000)))
        sealed[100] ^= 1
        with SealedReader(as_source(io.BytesIO(sealed)), COBBLESTONE.codec(), name="input/conditions") as file:
            with pytest.raises(IntegrityError) as caught:
                file.read(1)
            assert str(caught.value).startswith("input/conditions: chunk 0 ")

    def test_a_reader_that_fails_to_open_closes_its_source(self) -> None:
        for sealed in (b"", bytes(100), COBBLESTONE.seal(b"plain")):
            source = Recorded(sealed)
            with pytest.raises(IntegrityError):
                connectors.open_reader(source, OTHER_KEY)
            assert source.closed

    def test_no_temporary_file_stays_open_when_a_pipe_fails(self) -> None:
        class Failing(io.RawIOBase):
            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any, /) -> int:
                raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            AUTO.open(Failing())
        gc.collect()  # an unclosed file would warn here, and warnings are errors
