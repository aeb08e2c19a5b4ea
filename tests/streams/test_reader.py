"""Readers over every kind of source, and over sources that lie."""

from __future__ import annotations

import gc
import io
import os
import random
import tempfile
import threading
from pathlib import Path
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
    KEY,
    OTHER_KEY,
    TINK_1M,
    TINK_4K,
    TINK_SMALL,
    TINK_TINY,
    Case,
    Recorded,
    plain_bytes,
)

import connectors
from connectors._fsspec import LocalFileSystem, MemoryFileSystem
from connectors.errors import ConfigError, IntegrityError, NotAnObject, ObjectNotFound, TruncatedObject
from connectors.formats import Plain
from connectors.streams import FileSource, SealedReader, as_source
from connectors.streams import object as object_module

MIB = 1 << 20
SIZE = 200_000


def reading(case: Case, source: Any) -> SealedReader:
    return SealedReader(source, case.codec())


class TestSources:
    """Wherever the sealed bytes come from, the plain ones are the same."""

    @pytest.fixture(params=[COBBLESTONE, GCM, TINK_4K], ids=str)
    def case(self, request: pytest.FixtureRequest) -> Case:
        return request.param

    @pytest.fixture
    def path(self, case: Case, tmp_path: Path) -> Path:
        path = tmp_path / "sealed"
        path.write_bytes(case.seal(plain_bytes(SIZE)))
        return path

    def test_paths(self, case: Case, path: Path) -> None:
        assert case.unseal(path) == case.unseal(str(path)) == plain_bytes(SIZE)

    def test_local_files_keep_their_position_and_stay_open(self, case: Case, path: Path) -> None:
        for buffering in (0, -1):
            with open(path, "rb", buffering=buffering) as file:
                file.seek(17)
                assert case.unseal(file) == plain_bytes(SIZE)
                assert file.tell() == 17

    def test_files_open_for_reading_and_writing(self, case: Case, path: Path) -> None:
        with open(path, "r+b") as file:
            assert case.unseal(file) == plain_bytes(SIZE)

    def test_memory_stays_open(self, case: Case, path: Path) -> None:
        file = io.BytesIO(path.read_bytes())
        assert case.unseal(file) == plain_bytes(SIZE)
        assert not file.closed

    def test_a_subclass_that_decodes_is_read_through_its_own_methods(self, case: Case, path: Path) -> None:
        class Inverted(io.BufferedReader):
            def read(self, size: int | None = -1, /) -> bytes:
                return bytes(byte ^ 0xFF for byte in super().read(size))

        path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))
        with Inverted(io.FileIO(path)) as file:
            assert case.unseal(file) == plain_bytes(SIZE)

    def test_files_that_give_little_at_a_time(self, case: Case, path: Path) -> None:
        class Slow(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                return super().read(min(size or 1, 1000))

        assert case.unseal(Slow(path.read_bytes())) == plain_bytes(SIZE)

    def test_an_unseekable_pipe(self, case: Case, path: Path) -> None:
        outlet, inlet = os.pipe()

        def feed() -> None:
            with open(inlet, "wb") as file:
                file.write(path.read_bytes())

        thread = threading.Thread(target=feed)
        thread.start()
        with open(outlet, "rb") as pipe:
            reader = case.open(pipe)
        thread.join()
        with reader:
            reader.seek(-5, os.SEEK_END)
            assert reader.read() == plain_bytes(SIZE)[-5:]
            reader.seek(0)
            assert reader.read() == plain_bytes(SIZE)

    def test_a_pipe_that_has_a_path(self, case: Case, path: Path, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        thread = threading.Thread(target=fifo.write_bytes, args=(path.read_bytes(),))
        thread.start()
        assert case.unseal(fifo) == plain_bytes(SIZE)
        thread.join()

    def test_files_of_fsspec(self, case: Case, path: Path) -> None:
        memory = MemoryFileSystem()
        memory.pipe_file("/sources/sealed", path.read_bytes())
        with memory.open("/sources/sealed", "rb") as file:
            assert case.unseal(file) == plain_bytes(SIZE)
        with LocalFileSystem(skip_instance_cache=True).open(str(path), "rb") as file:
            assert case.unseal(file) == plain_bytes(SIZE)

    def test_a_source_of_its_own_is_closed_with_the_reader(self, case: Case, path: Path) -> None:
        source = Recorded(path.read_bytes())
        with case.open(source) as file:
            assert file.read() == plain_bytes(SIZE)
            assert not source.closed
        assert source.closed

    def test_a_source_may_learn_its_size_from_its_first_answer(self, case: Case, path: Path) -> None:
        class Learning(Recorded):
            known = False

            @property
            def size(self) -> int:
                assert self.known, "the size was asked for before the first range"
                return len(self.data)

            @size.setter
            def size(self, value: int) -> None: ...

            def read_range(self, start: int, stop: int) -> bytes:
                self.known = True
                return super().read_range(start, stop)

        assert case.unseal(Learning(path.read_bytes())) == plain_bytes(SIZE)


class TestNoSources:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        for path in (tmp_path / "none", tmp_path / "none" / "none"):
            with pytest.raises(ObjectNotFound, match="there is no file"):
                AUTO.open(path)

    def test_a_path_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ObjectNotFound):
            AUTO.open(tmp_path / "file" / "below")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(NotAnObject, match="is a folder"):
            AUTO.open(tmp_path)

    def test_a_url(self) -> None:
        with pytest.raises(ConfigError, match=r"https://host/key\?… is a URL, not a local path") as caught:
            AUTO.open("https://user:pw@host/key?X-Amz-Signature=0123abcd")
        assert "0123abcd" not in str(caught.value)
        assert "pw" not in str(caught.value)

    def test_text_bytes_and_other_things(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with open(tmp_path / "file") as text:
            for wrong, message in [
                (text, "text mode"),
                (io.StringIO(), "text mode"),
                (7, "not int"),
                (None, "not None"),
            ]:
                with pytest.raises(ConfigError, match=message):
                    AUTO.open(wrong)
        with pytest.raises(ConfigError, match="not bytes; wrap them in io.BytesIO"):
            connectors.open_reader(b"sealed", KEY)

    def test_a_wrong_key_is_told_before_the_file_is_looked_for(self) -> None:
        with pytest.raises(connectors.errors.InvalidKey):
            connectors.open_reader("/none", b"short")


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


class TestFileSource:
    def test_file_closed_by_its_owner_is_an_error_even_if_its_fd_is_reused(self, tmp_path: Path) -> None:
        path, other = tmp_path / "one", tmp_path / "other"
        path.write_bytes(bytes(200_000))
        other.write_bytes(b"x" * 200_000)
        file = open(path, "rb")  # noqa: SIM115
        reader = SealedReader(FileSource(file), Plain())
        number = file.fileno()
        file.close()
        with open(other, "rb") as taking:
            assert taking.fileno() == number
            reader.seek(100_000)
            with pytest.raises(ValueError, match="closed"):
                reader.read(10)

    def test_a_file_that_shrinks_is_told_as_such(self, tmp_path: Path) -> None:
        path = tmp_path / "sealed"
        path.write_bytes(COBBLESTONE.seal(plain_bytes(SIZE)))
        with COBBLESTONE.open(path) as file:
            os.truncate(path, 100_000)
            file.seek(150_000)
            with pytest.raises(TruncatedObject, match="shorter than its reported size"):
                file.read(1)

    def test_threads_may_share_a_source(self) -> None:
        plain = plain_bytes(SIZE)
        with tempfile.SpooledTemporaryFile() as shared:
            shared.write(COBBLESTONE.seal(plain))
            source = FileSource(shared)
            wrong: list[int] = []

            def work(seed: int) -> None:
                with SealedReader(source, COBBLESTONE.codec()) as file:
                    for offset in random.Random(seed).choices(range(SIZE - 50), k=100):
                        file.seek(offset)
                        if file.read(20) not in (
                            plain[offset : offset + 20],
                            plain[offset : (offset // 16384 + 1) * 16384],
                        ):
                            wrong.append(offset)

            threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not wrong


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
