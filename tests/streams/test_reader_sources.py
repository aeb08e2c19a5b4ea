"""Readers over every kind of source: paths, files, pipes and objects with ranges."""

from __future__ import annotations

import io
import os
import random
import tempfile
import threading
from pathlib import Path

import pytest
from sealing import AUTO, COBBLESTONE, GCM, KEY, TINK_4K, Case, Recorded, plain_bytes

import connectors
from connectors._fsspec import LocalFileSystem, MemoryFileSystem
from connectors.errors import ConfigError, NotAnObject, ObjectNotFound, TruncatedObject
from connectors.formats import Plain
from connectors.streams import FileSource, SealedReader

SIZE = 200_000


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
