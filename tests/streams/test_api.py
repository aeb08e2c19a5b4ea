"""`encrypt` and `decrypt`: whole files in, whole files out."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from sealing import CASES, COBBLESTONE, GCM, KEY, TINK_4K, Case, plain_bytes

import connectors
from connectors.errors import ConfigError, IntegrityError, InvalidKey, NotAnObject, ObjectNotFound, StorageUnavailable

SIZE = 3 << 20


def encrypt(case: Case, src: Any, dst: Any, **more: Any) -> None:
    connectors.encrypt(src, dst, KEY, format=case.write, **case.options, **more)


def decrypt(case: Case, src: Any, dst: Any, **more: Any) -> None:
    connectors.decrypt(src, dst, KEY, format=case.read, **case.options, **more)


@pytest.mark.parametrize("case", CASES, ids=str)
class TestThereAndBack:
    def test_paths(self, case: Case, tmp_path: Path) -> None:
        plain, sealed, back = (tmp_path / name for name in ("plain", "sealed", "back"))
        plain.write_bytes(plain_bytes(SIZE))
        encrypt(case, plain, str(sealed))
        decrypt(case, sealed, back)
        assert back.read_bytes() == plain_bytes(SIZE)
        assert len(list(tmp_path.iterdir())) == 3

    def test_pipes(self, case: Case) -> None:
        sealed, opened = io.BytesIO(), io.BytesIO()
        for turn, target, data in (
            (encrypt, sealed, lambda: plain_bytes(SIZE)),
            (decrypt, opened, sealed.getvalue),
        ):
            outlet, inlet = os.pipe()
            content = data()

            def feed(inlet: int = inlet, content: bytes = content) -> None:
                with open(inlet, "wb") as file:
                    file.write(content)

            thread = threading.Thread(target=feed)
            thread.start()
            with open(outlet, "rb", buffering=0) as pipe:
                turn(case, pipe, target)
            thread.join()
        assert opened.getvalue() == plain_bytes(SIZE)

    def test_files_outside_io(self, case: Case) -> None:
        class Plainest:
            def __init__(self, data: bytes) -> None:
                self._file = io.BytesIO(data)
                self.read = self._file.read
                self.seek = self._file.seek
                self.tell = self._file.tell
                self.seekable = self._file.seekable

        sealed, opened = io.BytesIO(), io.BytesIO()
        encrypt(case, Plainest(plain_bytes(SIZE)), sealed)
        decrypt(case, Plainest(sealed.getvalue()), opened)
        assert opened.getvalue() == plain_bytes(SIZE)

    @pytest.mark.parametrize("place", ["first", "last"])
    def test_no_file_appears_where_a_byte_is_wrong(self, case: Case, tmp_path: Path, place: str) -> None:
        sealed = bytearray(case.seal(plain_bytes(SIZE)))
        sealed[case.layout.header + 3 if place == "first" else -20] ^= 1
        target = tmp_path / "plain"
        with pytest.raises(IntegrityError):
            decrypt(case, io.BytesIO(sealed), target)
        assert not list(tmp_path.iterdir())
        target.write_bytes(b"what stood there")
        with pytest.raises(IntegrityError):
            decrypt(case, io.BytesIO(sealed), target)
        assert target.read_bytes() == b"what stood there"
        assert len(list(tmp_path.iterdir())) == 1

    def test_progress_is_told_in_plain_bytes(self, case: Case) -> None:
        class Told:
            def __init__(self) -> None:
                self.size: int | None = -1
                self.done = 0

            def set_size(self, size: int | None) -> None:
                self.size = size

            def relative_update(self, inc: int = 1) -> None:
                self.done += inc

        sealed, opened, there, back = io.BytesIO(), io.BytesIO(), Told(), Told()
        encrypt(case, io.BytesIO(plain_bytes(SIZE)), sealed, callback=there)
        decrypt(case, sealed, opened, callback=back)
        assert there.size == there.done == back.size == back.done == SIZE


def test_decrypt_to_a_sink_that_cannot_discard_reports_both_failures() -> None:
    class Failing:
        def write(self, data: memoryview) -> None:
            raise StorageUnavailable("the storage is gone")

        def commit(self) -> None:
            pytest.fail("committed")

        def discard(self) -> None:
            raise StorageUnavailable("still gone")

    with pytest.raises(StorageUnavailable, match="the storage is gone") as caught:
        connectors.decrypt(io.BytesIO(COBBLESTONE.seal(plain_bytes(SIZE))), Failing(), KEY)
    assert caught.value.__notes__ == ["Its staged data could not be removed: StorageUnavailable: still gone"]


class TestSources:
    def test_encrypt_takes_what_is_left_of_an_open_file(self) -> None:
        source, sealed = io.BytesIO(b"read already, and the rest"), io.BytesIO()
        source.seek(14)
        connectors.encrypt(source, sealed, KEY)
        assert COBBLESTONE.unseal(sealed) == b"and the rest"
        assert not source.closed

    def test_encrypt_reads_the_rest_of_a_large_open_file_ahead(self, tmp_path: Path) -> None:
        plain = plain_bytes(3 * SIZE)
        (tmp_path / "plain").write_bytes(plain)
        sealed = io.BytesIO()
        with open(tmp_path / "plain", "rb") as source:
            source.seek(100)
            assert source.read(50) == plain[100:150]
            connectors.encrypt(source, sealed, KEY)
            assert source.tell() == len(plain)
            assert not source.closed
        assert COBBLESTONE.unseal(sealed) == plain[150:]

    def test_a_pipe_that_is_empty_for_now_is_not_taken_for_one_at_its_end(self, tmp_path: Path) -> None:
        outlet, inlet = os.pipe()
        os.set_blocking(outlet, False)
        os.write(inlet, b"the first half")
        try:
            with open(outlet, "rb", buffering=0) as pipe, pytest.raises(BlockingIOError, match="blocking mode"):
                connectors.encrypt(pipe, tmp_path / "sealed", KEY)
        finally:
            os.close(inlet)
        assert not list(tmp_path.iterdir())

    def test_a_source_that_fails_half_way_publishes_nothing(self, tmp_path: Path) -> None:
        class Failing(io.RawIOBase):
            left = 3

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any, /) -> int:
                self.left -= 1
                if not self.left:
                    raise ConnectionResetError
                return len(buffer)

        with pytest.raises(ConnectionResetError):
            connectors.encrypt(Failing(), tmp_path / "sealed", KEY)
        assert not list(tmp_path.iterdir())

    def test_a_failing_callback_publishes_nothing(self, tmp_path: Path) -> None:
        class Impatient:
            def set_size(self, size: int | None) -> None: ...

            def relative_update(self, inc: int = 1) -> None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            connectors.encrypt(io.BytesIO(bytes(10)), tmp_path / "sealed", KEY, callback=Impatient())
        assert not list(tmp_path.iterdir())

    def test_what_cannot_be_read_is_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        target = tmp_path / "sealed"
        for turn in (connectors.encrypt, connectors.decrypt):
            for wrong, error in (
                (tmp_path / "none", ObjectNotFound),
                (tmp_path, NotAnObject),
                (b"plain", ConfigError),
                (io.StringIO("plain"), ConfigError),
                (None, ConfigError),
            ):
                with pytest.raises(error):
                    turn(wrong, target, KEY)
            with pytest.raises(InvalidKey):
                turn(io.BytesIO(), target, "00")
        assert not list(tmp_path.iterdir())

    def test_a_path_that_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any) -> None:
            raise PermissionError

        monkeypatch.setattr(io, "FileIO", refuse)
        with pytest.raises(connectors.errors.AccessDenied, match="may not read"):
            connectors.encrypt(tmp_path / "plain", io.BytesIO(), KEY)


def test_a_file_object_gets_verified_plain_bytes_only() -> None:
    """A file that is open already cannot be unwritten, but what it gets was verified."""
    for case in (COBBLESTONE, TINK_4K, GCM):
        sealed = bytearray(case.seal(plain_bytes(SIZE)))
        sealed[len(sealed) // 2] ^= 1
        target = io.BytesIO()
        with pytest.raises(IntegrityError):
            decrypt(case, io.BytesIO(sealed), target)
        assert plain_bytes(SIZE).startswith(target.getvalue())
        assert len(target.getvalue()) < SIZE // 2 + 1
        if case is GCM:
            assert target.getvalue() == b""
