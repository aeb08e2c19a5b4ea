"""Where sealed bytes go: paths, on which whole files appear or none."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sealing import COBBLESTONE, KEY, plain_bytes

import connectors
from connectors.errors import (
    AccessDenied,
    ConfigError,
    ConnectorError,
    MachineFailed,
    NotAnObject,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
)
from connectors.streams import PathSink, SealedWriter

pytestmark = pytest.mark.usefixtures("nothing_stays_staged")


def write(sink: PathSink, plain: bytes = b"plain") -> None:
    with SealedWriter(sink, COBBLESTONE.codec()) as writer:
        writer.write(plain)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


class TestPath:
    def test_the_file_appears_on_commit_and_only_then(self, path: Path) -> None:
        path.write_bytes(b"what stood there")
        with connectors.open_writer(path, KEY) as writer:
            writer.write(plain_bytes(3 << 20))
            assert path.read_bytes() == b"what stood there"
            assert stat.S_IMODE(os.fstat(writer._sink._staged.file.fileno()).st_mode) == 0o600
            assert names(path.parent) == [path.name]  # on Linux what is staged has no name
        assert names(path.parent) == [path.name]
        assert COBBLESTONE.unseal(path) == plain_bytes(3 << 20)

    @pytest.mark.parametrize("exclusive", [False, True])
    def test_where_files_have_names_it_is_staged_under_a_hidden_one(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, exclusive: bool
    ) -> None:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        with SealedWriter(PathSink(path, exclusive=exclusive), COBBLESTONE.codec()) as writer:
            writer.write(plain_bytes(3 << 20))
            (staged,) = names(path.parent)
            assert re.fullmatch(r"\.conditions\.sealed\.\w+\.part", staged)
            assert stat.S_IMODE((path.parent / staged).stat().st_mode) == 0o600
        assert names(path.parent) == [path.name]
        assert COBBLESTONE.unseal(path) == plain_bytes(3 << 20)

    def test_without_proc_it_is_staged_under_a_hidden_name(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.path.exists
        monkeypatch.setattr(os.path, "exists", lambda one: not str(one).startswith("/proc/") and real(one))
        with connectors.open_writer(path, KEY) as writer:
            writer.write(plain_bytes(3 << 20))
            assert len(names(path.parent)) == 1
        assert names(path.parent) == [path.name]
        assert COBBLESTONE.unseal(path) == plain_bytes(3 << 20)

    def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(self, path: Path) -> None:
        path.write_bytes(b"what stood there")
        with pytest.raises(ZeroDivisionError), connectors.open_writer(path, KEY) as writer:
            writer.write(plain_bytes(3 << 20))
            raise ZeroDivisionError
        assert path.read_bytes() == b"what stood there"
        assert names(path.parent) == [path.name]

    def test_discarding_twice_is_once(self, path: Path) -> None:
        sink = PathSink(path)
        sink.write(memoryview(b"x"))
        sink.discard()
        sink.discard()
        assert names(path.parent) == []

    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    def test_a_new_file_has_the_mode_that_the_umask_gives(self, path: Path, mask: int) -> None:
        before = os.umask(mask)
        try:
            write(PathSink(path))
            assert os.umask(mask) == mask
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask

    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    @pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o664, 0o666, 0o777, 0o4755])
    def test_a_replaced_file_has_no_wider_mode_than_before_or_than_a_new_one(
        self, path: Path, mode: int, mask: int
    ) -> None:
        path.touch()
        path.chmod(mode)
        before = os.umask(mask)
        try:
            write(PathSink(path))
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == mode & 0o666 & ~mask

    @pytest.mark.parametrize("target", ["/etc/passwd", "nowhere"])
    def test_a_replaced_link_gives_no_mode(self, path: Path, target: str) -> None:
        path.symlink_to(target)
        before = os.umask(0o077)
        try:
            write(PathSink(path))
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600

    def test_a_relative_path_means_the_folder_of_the_moment_it_was_given(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "one")
        sink = PathSink("sealed")
        monkeypatch.chdir(tmp_path / "other")
        write(sink)
        assert names(tmp_path / "one") == ["sealed"]
        assert names(tmp_path / "other") == []

    @pytest.mark.parametrize("name", ["x" * 255, "é" * 127, ".hidden", "with space\n", "*"])
    def test_any_name_that_the_filesystem_takes(self, tmp_path: Path, name: str) -> None:
        write(PathSink(tmp_path / name))
        assert names(tmp_path) == [name]

    def test_a_link_is_replaced_and_not_followed(self, path: Path) -> None:
        target = path.with_name("target")
        target.write_bytes(b"elsewhere")
        path.symlink_to(target)
        write(PathSink(path))
        assert target.read_bytes() == b"elsewhere"
        assert not path.is_symlink()

    def test_in_place(self, path: Path) -> None:
        path.write_bytes(plain_bytes(3 << 20))
        connectors.encrypt(path, path, KEY)
        assert COBBLESTONE.unseal(path) == plain_bytes(3 << 20)
        connectors.decrypt(path, path, KEY)
        assert path.read_bytes() == plain_bytes(3 << 20)
        assert names(path.parent) == [path.name]

    def test_a_folder_that_cannot_be_synced_does_not_unsay_the_commit(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.open

        def refuse(target: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            if os.path.isdir(target):
                raise PermissionError
            return real(target, flags, *args, **kwargs)

        monkeypatch.setattr(os, "open", refuse)
        write(PathSink(path))
        assert COBBLESTONE.unseal(path) == b"plain"

    def test_a_full_disk(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path.write_bytes(b"what stood there")
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(MachineFailed, match="cannot be written; free some space, .*: No space") as caught:
            write(PathSink(path))
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
        assert path.read_bytes() == b"what stood there"
        assert names(path.parent) == [path.name]

    @pytest.mark.parametrize("named", [False, True])
    def test_a_folder_that_has_taken_its_place_stands(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
    ) -> None:
        if named:
            monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        with pytest.raises(NotAnObject, match="it is a folder: Is a directory") as caught:
            with SealedWriter(PathSink(path), COBBLESTONE.codec()) as writer:
                writer.write(b"plain")
                path.mkdir()
        assert (caught.value.errno, caught.value.filename) == (errno.EISDIR, str(path))
        assert names(path.parent) == [path.name]
        assert path.is_dir()

    def test_a_folder_that_is_gone_meanwhile(self, path: Path) -> None:
        folder = path.parent / "folder"
        folder.mkdir()
        with pytest.raises(ObjectNotFound, match="its folder no longer exists") as caught:
            with SealedWriter(PathSink(folder / "x"), COBBLESTONE.codec()) as writer:
                writer.write(b"plain")
                folder.rmdir()
        assert caught.value.errno == errno.ENOENT


class TestRefusedPaths:
    def test_a_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for wrong in (tmp_path, f"{tmp_path}/new/", "", ".", "/"):
            with pytest.raises(NotAnObject, match="is a folder; name a file"):
                PathSink(wrong)
        assert names(tmp_path) == []

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ObjectNotFound, match=f"there is no folder {tmp_path}/none to write x into"):
            PathSink(tmp_path / "none" / "x")

    def test_a_folder_that_is_not_ours(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        folder = tmp_path if os.geteuid() else Path("/sys")  # where not even root may write
        with pytest.raises(AccessDenied):
            PathSink(folder / "x")

    def test_a_refusal_of_the_system_is_ours(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError))
        with pytest.raises(AccessDenied, match="may not write into") as caught:
            PathSink(path)
        assert caught.value.__context__ is None

    def test_what_is_no_regular_file_is_never_replaced(self, path: Path) -> None:
        os.mkfifo(path)
        link = path.with_name("link")
        link.symlink_to("/dev/null")
        for device in (path, link, "/dev/null"):
            with pytest.raises(NotSupported, match="is not a regular file"):
                connectors.open_writer(device, KEY)
        assert stat.S_ISFIFO(path.stat().st_mode)
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)

    def test_a_url(self) -> None:
        with pytest.raises(ConfigError, match="is a URL, not a local path"):
            PathSink("s3://bucket/key")


class TestExclusive:
    def test_a_new_file_is_created(self, path: Path) -> None:
        write(PathSink(path, exclusive=True))
        assert COBBLESTONE.unseal(path) == b"plain"
        assert names(path.parent) == [path.name]

    @pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
    def test_what_stands_there_is_refused_at_once(self, path: Path, make: Any) -> None:
        make(path)
        with pytest.raises((ObjectExists, NotAnObject)):
            PathSink(path, exclusive=True)
        assert names(path.parent) == [path.name]

    def test_what_appears_meanwhile_stands(self, path: Path) -> None:
        sink = PathSink(path, exclusive=True)
        with pytest.raises(ObjectExists, match="already exists"), SealedWriter(sink, COBBLESTONE.codec()) as writer:
            writer.write(b"plain")
            path.write_bytes(b"another's")
        assert path.read_bytes() == b"another's"
        assert names(path.parent) == [path.name]


KILLED = """
import os, signal, sys, connectors
writer = connectors.open_writer(sys.argv[1], "00" * 32)
writer.write(bytes(5 << 20))
print("half way", flush=True)
sys.stdin.read()
"""


def test_a_killed_process_leaves_what_stood_there(path: Path) -> None:
    path.write_bytes(b"what stood there")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"half way\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert path.read_bytes() == b"what stood there"


def test_nothing_is_staged_where_options_are_refused(path: Path) -> None:
    for options in ({"format": "none"}, {"context": "text"}, {"format": "gcm", "context": b"x"}, {"segment_size": 1}):
        if options == {"segment_size": 1}:
            options["format"] = "tink-gcm-hkdf"
        with pytest.raises(ConnectorError):
            connectors.open_writer(path, KEY, **options)
    assert names(path.parent) == []
