"""Files and folders appear whole or not at all, whatever happens to their writer."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import NEW_FILES, OLD_FILES, contents, killed_at_every_step

from connectors.errors import InvalidDocument
from connectors.system import atomic_files
from connectors.system.atomic_files import StagedFile, locked, read_regular, replace, write_folder, write_new

FILES = {"a": b"1", "b/c/d": b"2", "b/e": b"3"}


@pytest.fixture(params=[False, True], ids=["unnamed", "named"])
def named(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether staged files have a name from the start, as on systems other than Linux."""
    if request.param:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return bool(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x"


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


class TestFiles:
    def test_new_file_is_written_once_and_never_changed(self, path, named):
        assert write_new(str(path), b"one")
        assert not write_new(str(path), b"other")
        assert path.read_bytes() == b"one"
        assert names(path.parent) == ["x"]

    @pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
    def test_anything_that_has_the_name_keeps_it(self, path, named, make):
        make(path)
        kind = stat.S_IFMT(path.lstat().st_mode)
        assert not write_new(str(path), b"new")
        assert stat.S_IFMT(path.lstat().st_mode) == kind
        assert names(path.parent) == ["x"]

    def test_one_of_many_writers_writes_the_new_file(self, path, named):
        written: list[int] = []
        ready = threading.Barrier(8)

        def write(number: int) -> None:
            ready.wait()
            if write_new(str(path), b"%d" % number):
                written.append(number)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = written
        assert path.read_bytes() == b"%d" % winner
        assert names(path.parent) == ["x"]

    def test_replaced_link_is_not_followed(self, path, named):
        target = path.with_name("target")
        target.write_bytes(b"elsewhere")
        path.symlink_to(target)
        replace(str(path), b"new")
        assert target.read_bytes() == b"elsewhere"
        assert (path.is_symlink(), path.read_bytes()) == (False, b"new")

    @pytest.mark.parametrize("before", [None, 0o644, 0o666, 0o400])
    def test_secret_is_private_whatever_the_old_mode(self, path, named, umask, before):
        if before is not None:
            path.touch()
            path.chmod(before)
        replace(str(path), b"secret")
        assert mode(path) == 0o600
        path.unlink()
        write_new(str(path), b"secret")
        assert mode(path) == 0o600

    def test_shared_file_has_the_mode_of_the_umask(self, path, named, umask):
        write_new(str(path), b"x", private=False)
        assert mode(path) == 0o640
        path.chmod(0o600)
        replace(str(path), b"x", private=False)
        assert mode(path) == 0o640
        assert os.umask(0o027) == 0o027

    def test_umask_is_known_without_proc(self, path, umask, monkeypatch):
        monkeypatch.setattr(
            "builtins.open", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError(errno.ENOENT, "no /proc"))
        )
        assert atomic_files.shared_mode() == 0o640
        assert os.umask(0o027) == 0o027

    def test_missing_folders_are_made(self, tmp_path, named, umask):
        write_new(str(tmp_path / "private" / "x"), b"x")
        replace(str(tmp_path / "shared" / "x"), b"x", private=False)
        assert (mode(tmp_path / "private"), mode(tmp_path / "shared")) == (0o700, 0o750)

    def test_relative_path_is_in_the_working_folder(self, tmp_path, named, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert write_new("x", b"one")
        replace("x", b"other")
        assert contents(tmp_path) == {"x": b"other"}

    @pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "🏥" * 63, ".hidden", "with space\n"])
    def test_any_name_that_the_filesystem_takes(self, tmp_path, named, name):
        write_new(str(tmp_path / name), b"one")
        replace(str(tmp_path / name), b"other")
        assert contents(tmp_path) == {name: b"other"}

    def test_staged_file_is_private_and_hidden(self, path, named, umask):
        staged = StagedFile(str(path))
        staged.write(b"half")
        assert stat.S_IMODE(os.fstat(staged.file.fileno()).st_mode) == 0o600
        hidden = names(path.parent)
        assert len(hidden) == named
        assert all(re.fullmatch(r"\.x\.[0-9a-f]{32}\.part", name) for name in hidden)
        staged.drop()
        staged.drop()
        assert names(path.parent) == []

    @pytest.mark.parametrize("failing", ["fsync", "link", "replace"])
    def test_failure_leaves_the_old_file_and_nothing_else(self, path, named, monkeypatch, failing):
        path.write_bytes(b"old")

        def fail(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, failing, fail)
        if failing != "link" or not named:
            with pytest.raises(OSError, match="No space left"):
                replace(str(path), b"new")
        if failing != "replace":
            with pytest.raises(OSError, match="No space left"):
                write_new(str(path.with_name("y")), b"new")
        assert contents(path.parent) == {"x": b"old"}

    def test_filesystem_without_links_gets_new_files(self, path, monkeypatch):
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(atomic_files, "_open_unnamed", lambda _: None)
        monkeypatch.setattr(os, "link", refuse)
        assert write_new(str(path), b"one")
        assert not write_new(str(path), b"other")
        assert contents(path.parent) == {"x": b"one"}
        assert mode(path) == 0o600

    @pytest.mark.parametrize("work", ["write_new", "replace"])
    def test_writer_killed_at_any_step_leaves_the_old_or_the_new_file(self, tmp_path, named, work):
        folders = killed_at_every_step(tmp_path, work, named=named)
        assert len(folders) > 3
        new = b"new" * 1000
        old = {} if work == "write_new" else {"x": b"old"}
        for folder in folders:
            found = contents(folder)
            left = {name: found.pop(name) for name in set(found) - {"x"}}
            assert found in (old, {"x": new})
            assert all(re.fullmatch(r"\.x\.[0-9a-f]{32}\.part", name) for name in left)
            if not named:  # only a whole file ever has a name
                assert set(left.values()) <= {new}
                assert not left or work == "replace"
            replace(str(folder / "x"), b"next")
            assert (folder / "x").read_bytes() == b"next"
        assert contents(folders[-1]) == {"x": b"next"}


class TestFolders:
    @pytest.mark.parametrize(("private", "modes"), [(True, {0o700, 0o600}), (False, {0o750, 0o640})])
    def test_whole_folder_is_written_with_its_modes(self, path, umask, private, modes):
        write_folder(str(path), FILES, private=private)
        assert contents(path) == FILES
        assert {mode(one) for one in (path, *path.rglob("*"))} == modes
        assert names(path.parent) == ["x"]

    def test_relative_path_is_in_the_working_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_folder("x", OLD_FILES)
        write_folder("x", NEW_FILES, replace=True)
        assert contents(tmp_path / "x") == NEW_FILES
        assert names(tmp_path) == ["x"]

    def test_empty_folder_gives_way(self, path):
        path.mkdir(0o755)
        write_folder(str(path), FILES)
        assert (contents(path), mode(path)) == (FILES, 0o700)

    @pytest.mark.parametrize(
        "make",
        [lambda path: write_folder(str(path), OLD_FILES), Path.touch, lambda path: path.symlink_to(path.parent)],
        ids=["folder", "file", "link"],
    )
    def test_anything_that_has_the_name_keeps_it(self, path, make):
        make(path)
        before = path.lstat().st_ino
        with pytest.raises(FileExistsError):
            write_folder(str(path), FILES)
        assert path.lstat().st_ino == before
        assert names(path.parent) == ["x"]

    @pytest.mark.parametrize(
        "make",
        [
            lambda path: None,
            lambda path: write_folder(str(path), OLD_FILES),
            Path.touch,
            lambda path: path.symlink_to(path.parent / "other"),
        ],
        ids=["nothing", "folder", "file", "link"],
    )
    def test_anything_that_has_the_name_is_replaced_if_told(self, path, make):
        other = path.parent / "other"
        write_folder(str(other), OLD_FILES)
        make(path)
        write_folder(str(path), NEW_FILES, replace=True)
        assert (path.is_symlink(), contents(path)) == (False, NEW_FILES)
        assert contents(other) == OLD_FILES
        assert names(path.parent) == ["other", "x"]

    @pytest.mark.parametrize("failing", [1, 2])
    def test_old_folder_comes_back_if_placing_the_new_one_fails(self, path, monkeypatch, failing):
        write_folder(str(path), OLD_FILES)
        rename, calls = os.rename, []

        def fail(source: str, target: str) -> None:
            calls.append(target)
            if len(calls) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            rename(source, target)

        monkeypatch.setattr(os, "rename", fail)
        with pytest.raises(OSError, match="No space left"):
            write_folder(str(path), NEW_FILES, replace=True)
        assert contents(path) == OLD_FILES
        assert names(path.parent) == ["x"]

    def test_old_folder_is_never_deleted_if_it_cannot_come_back(self, path, monkeypatch):
        write_folder(str(path), OLD_FILES)
        rename, calls = os.rename, []

        def fail(source: str, target: str) -> None:
            calls.append(target)
            if len(calls) > 1:
                raise OSError(errno.EIO, "Input/output error")
            rename(source, target)

        monkeypatch.setattr(os, "rename", fail)
        with pytest.raises(OSError, match="Input/output"):
            write_folder(str(path), NEW_FILES, replace=True)
        (hidden,) = path.parent.iterdir()
        assert contents(hidden / "old") == OLD_FILES

    def test_failed_sync_leaves_no_new_folder(self, path, monkeypatch):
        fsync = os.fsync

        def fail(number: int) -> None:
            if stat.S_ISDIR(os.fstat(number).st_mode):
                raise OSError(errno.EIO, "Input/output error")
            fsync(number)

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            write_folder(str(path), FILES)
        assert names(path.parent) == []

    def test_filesystem_that_cannot_sync_folders_is_good_enough(self, path, monkeypatch):
        fsync = os.fsync

        def refuse(number: int) -> None:
            if stat.S_ISDIR(os.fstat(number).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            fsync(number)

        monkeypatch.setattr(os, "fsync", refuse)
        write_folder(str(path), FILES)
        assert contents(path) == FILES

    @pytest.mark.parametrize("work", ["write_folder", "replace a folder"])
    def test_writer_killed_at_any_step_leaves_the_old_or_the_new_folder(self, tmp_path, work):
        folders = killed_at_every_step(tmp_path, work)
        assert len(folders) > 6
        between = 0
        for folder in folders:
            assert all(re.fullmatch(r"x|\.x\.[0-9a-f]{32}\.part", name) for name in names(folder))
            if (folder / "x").exists():
                assert contents(folder / "x") in (OLD_FILES, NEW_FILES)
            elif work == "replace a folder":
                (old,) = folder.glob(".*.part/old")
                assert contents(old) == OLD_FILES
                between += 1
            write_folder(str(folder / "x"), {"next": b""}, replace=True)
            assert contents(folder / "x") == {"next": b""}
        assert between == (work == "replace a folder")
        assert names(folders[-1]) == ["x"]


class TestReading:
    def test_regular_file_and_missing_file(self, path):
        assert read_regular(str(path), 3) is None
        path.write_bytes(b"abc")
        assert read_regular(str(path), 3) == b"abc"

    @pytest.mark.parametrize(
        "make",
        [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("other"), lambda path: path.symlink_to("nowhere")],
        ids=["folder", "pipe", "link", "dangling link"],
    )
    def test_what_is_no_regular_file_is_refused(self, path, make):
        (path.parent / "other").write_bytes(b"elsewhere")
        make(path)
        with pytest.raises(InvalidDocument, match="x is no regular file; it does not belong there"):
            read_regular(str(path), 100)

    def test_larger_file_is_refused_unread(self, path):
        with open(path, "wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(InvalidDocument, match="x is larger than any document"):
            read_regular(str(path), 100)

    def test_socket_is_an_error_of_the_system(self, path, monkeypatch):
        monkeypatch.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("x")
            with pytest.raises(OSError, match="No such device"):
                read_regular(str(path), 100)


def test_lock_lets_one_in_at_a_time_and_leaves_nothing(tmp_path):
    folder = tmp_path / "new" / "folder"
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(5):
            with locked(str(folder)):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.001)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert names(folder) == []
