"""Where sealed bytes go: files that somebody else owns."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from sealing import COBBLESTONE, KEY, plain_bytes

import connectors
from connectors._fsspec import LocalFileSystem, MemoryFileSystem
from connectors.errors import ConfigError
from connectors.streams import FileSink, as_sink

pytestmark = pytest.mark.usefixtures("nothing_stays_staged")


class TestFiles:
    def test_they_are_written_as_it_comes_and_stay_open(self) -> None:
        file = io.BytesIO()
        with connectors.open_writer(file, KEY) as writer:
            writer.write(plain_bytes(3 << 20))
            assert len(file.getvalue()) > 1 << 20
        assert not file.closed
        assert COBBLESTONE.unseal(file) == plain_bytes(3 << 20)

    @pytest.mark.parametrize("size", [0, 1, 16384, 3 << 20])
    @pytest.mark.parametrize("name", ["cobblestone-256", "tink-gcm-hkdf", "gcm", "auto"])
    def test_a_discarded_object_lacks_its_end(self, size: int, name: str) -> None:
        file = io.BytesIO()
        writer = connectors.open_writer(file, KEY, format=name)
        writer.write(plain_bytes(size))
        writer.discard()
        for reading in {name, "auto"}:
            with pytest.raises(connectors.errors.IntegrityError):
                connectors.open_reader(file, KEY, format=reading)

    def test_raw_files_that_take_a_part(self) -> None:
        class Slow(io.RawIOBase):
            taken = bytearray()

            def writable(self) -> bool:
                return True

            def write(self, data: Any, /) -> int:
                self.taken += bytes(data)[:7777]
                return min(len(data), 7777)

        file = Slow()
        connectors.encrypt(io.BytesIO(plain_bytes(100_000)), file, KEY)
        assert COBBLESTONE.unseal(bytes(file.taken)) == plain_bytes(100_000)

    def test_files_outside_io_that_do_not_say_how_much_they_took(self) -> None:
        class Quiet:
            """As those of paramiko are."""

            def __init__(self) -> None:
                self.taken = bytearray()

            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> None:
                self.taken += data

            def flush(self) -> None: ...

        file = Quiet()
        connectors.encrypt(io.BytesIO(plain_bytes(100_000)), file, KEY)
        assert COBBLESTONE.unseal(bytes(file.taken)) == plain_bytes(100_000)

    @pytest.mark.parametrize("answer", [None, 0])
    def test_a_file_that_takes_nothing_is_an_error_and_no_endless_loop(self, answer: int | None) -> None:
        class Full(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, data: Any, /) -> int | None:
                return answer

        with pytest.raises(BlockingIOError, match="blocking mode"):
            connectors.encrypt(io.BytesIO(b"plain"), Full(), KEY)

    def test_files_of_fsspec_are_files_and_no_sinks(self, path: Path) -> None:
        # They have a `commit` and a `discard`, which publish less than was written.
        memory = MemoryFileSystem()
        for fs, target in ((LocalFileSystem(skip_instance_cache=True), str(path)), (memory, "/sinks/sealed")):
            with fs.open(target, "wb") as file:
                assert type(as_sink(file)) is FileSink
                connectors.encrypt(io.BytesIO(plain_bytes(100_000)), file, KEY)
                assert not file.closed
            assert COBBLESTONE.unseal(fs.cat_file(target)) == plain_bytes(100_000)

    def test_a_sealed_writer_is_a_file_too(self) -> None:
        outer = io.BytesIO()
        with connectors.open_writer(outer, KEY) as middle:
            connectors.encrypt(io.BytesIO(b"twice sealed"), middle, KEY)
            assert not middle.closed
        assert COBBLESTONE.unseal(COBBLESTONE.unseal(outer)) == b"twice sealed"

    def test_a_sink_of_its_own_is_taken_as_it_is(self) -> None:
        class Mine:
            def write(self, data: memoryview) -> None: ...
            def commit(self) -> None: ...
            def discard(self) -> None: ...

        sink = Mine()
        assert as_sink(sink) is sink

    def test_what_is_not_open_for_writing_binary_is_refused(self, path: Path) -> None:
        path.touch()
        with open(path, "rb") as reading, open(path, "w") as text:
            for wrong, message in (
                (reading, "not open for writing"),
                (text, "text mode"),
                (io.StringIO(), "text mode"),
                (bytearray(), "not bytes; wrap them in io.BytesIO"),
                (7, "not int"),
            ):
                with pytest.raises(ConfigError, match=message):
                    as_sink(wrong)
