"""The app config folder is written whole and private, and an application reads what was written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from killing import NEW_FILES, OLD_FILES, contents, killed_at_every_step

import connectors
from connectors.app.layout import application_files, dataset_files, write_dataset, write_root
from connectors.errors import ConfigError, InvalidDocument, NotAnObject, ObjectExists, ObjectNotFound

CREDENTIALS = b'{"encryption": null}'
FILES = {
    "app-config.json": b"{}",
    **dataset_files("input", "Klinik Süd", "file:///data/x", CREDENTIALS),
    **application_files("input", "portal", "portal.example.org"),
    "settings/limits.txt": b"ten",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "rw"


def is_private(folder: Path) -> bool:
    every = (folder, *folder.rglob("*"))
    return all(stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600) for path in every)


class TestRoot:
    def test_application_reads_what_was_written(self, root):
        write_root(str(root), FILES)
        app = connectors.load(root)
        assert app["input"]["Klinik Süd"].location == "file:///data/x"
        assert app["input"].applications == {"portal": "portal.example.org"}
        assert list(app) == ["input"]
        assert contents(root) == FILES
        assert is_private(root)

    @pytest.mark.parametrize("path", ["../out", "a/../../out", "/out", "a//b", "a/./b", ""])
    def test_nothing_leads_out_of_the_folder(self, root, path):
        with pytest.raises(InvalidDocument, match="leads out"):
            write_root(str(root), {"a/b": b"", path: b""})
        assert not list(root.parent.iterdir())

    @pytest.mark.parametrize("files", [{"a": b"", "a/b": b""}, {"a/b/c": b"", "a/b": b""}])
    def test_file_where_another_needs_a_folder_is_refused(self, root, files):
        with pytest.raises(InvalidDocument, match="needs a folder"):
            write_root(str(root), files)
        assert not list(root.parent.iterdir())

    def test_empty_folder_is_filled(self, root, monkeypatch):
        root.mkdir()
        monkeypatch.chdir(root.parent)
        write_root("rw/", FILES)
        assert contents(root) == FILES
        assert os.listdir(root.parent) == ["rw"]

    @pytest.mark.parametrize(
        "make",
        [lambda root: write_root(str(root), {"a": b""}), Path.touch, lambda root: root.symlink_to("nowhere")],
        ids=["folder", "file", "link"],
    )
    def test_anything_else_stays_as_it_is(self, root, make):
        make(root)
        with pytest.raises(ObjectExists, match="already exists and was not changed; name"):
            write_root(str(root), FILES)
        assert os.listdir(root.parent) == ["rw"]

    def test_folder_above_must_be_there(self, root):
        with pytest.raises(ObjectNotFound, match="there is no folder .*rw to make 'deep' in"):
            write_root(str(root / "deep"), FILES)

    def test_writer_killed_at_any_step_leaves_the_whole_folder_or_none(self, tmp_path):
        folders = killed_at_every_step(tmp_path, "write_root")
        assert len(folders) > 6
        whole = {f"input/x/dataset/{name}": data for name, data in NEW_FILES.items()}
        for folder in folders:
            if (folder / "rw").exists():
                assert contents(folder / "rw") == whole
            assert all(path.name == "rw" or path.name.endswith(".part") for path in folder.iterdir())
        assert contents(folders[-1] / "rw") == whole


class TestDataset:
    def test_application_reads_what_was_written(self, root):
        target = write_dataset(str(root), "input", "Klinik Süd", "file:///data/x", CREDENTIALS)
        assert target == f"{root}/input/Klinik Süd/dataset"
        assert connectors.load(root)["input"]["Klinik Süd"].location == "file:///data/x"
        assert is_private(root)

    def test_dataset_stays_unless_it_is_to_be_replaced(self, root):
        write_dataset(str(root), "input", "x", "file:///old", CREDENTIALS)
        with pytest.raises(ObjectExists, match="dataset already exists and was not changed$"):
            write_dataset(str(root), "input", "x", "file:///new", CREDENTIALS)
        assert connectors.load(root)["input"]["x"].location == "file:///old"
        write_dataset(str(root), "input", "x", "file:///new", CREDENTIALS, replace=True)
        assert connectors.load(root)["input"]["x"].location == "file:///new"
        assert os.listdir(root / "input/x") == ["dataset"]

    def test_one_of_many_writers_writes_the_dataset(self, root):
        came: list[str] = []
        ready = threading.Barrier(6)

        def write(number: int) -> None:
            ready.wait()
            try:
                write_dataset(str(root), "input", "x", f"file:///{number}", b"%d" % number)
            except ObjectExists:
                came.append("refused")
            else:
                came.append(f"file:///{number}")

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert came.count("refused") == 5
        (location,) = set(came) - {"refused"}
        dataset = contents(root / "input/x/dataset")
        assert dataset == {"location.txt": location.encode(), "credentials.bin": location[-1:].encode()}
        assert os.listdir(root / "input/x") == ["dataset"]

    @pytest.mark.parametrize(("port", "name"), [("../up", "x"), ("input", ".x"), ("input", ""), ("in/put", "x")])
    def test_bad_name_writes_nothing(self, root, port, name):
        with pytest.raises(ConfigError, match="cannot be called"):
            write_dataset(str(root), port, name, "file:///x", CREDENTIALS)
        assert not root.exists()

    def test_folder_above_the_root_must_be_there(self, root):
        with pytest.raises(ObjectNotFound, match="there is no folder"):
            write_dataset(str(root / "deep"), "input", "x", "file:///x", CREDENTIALS)
        assert not root.exists()

    def test_folders_that_were_made_in_vain_are_removed(self, root, monkeypatch):
        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            write_dataset(str(root), "input", "x", "file:///x", CREDENTIALS)
        assert not root.exists()

    def test_file_where_a_folder_is_needed_stays(self, root):
        root.mkdir()
        (root / "input").write_bytes(b"mine")
        with pytest.raises(NotAnObject, match="is not a folder"):
            write_dataset(str(root), "input", "x", "file:///x", CREDENTIALS)
        assert contents(root) == {"input": b"mine"}

    @pytest.mark.parametrize("work", ["write_dataset", "replace a dataset"])
    def test_writer_killed_at_any_step_leaves_the_old_or_the_new_dataset(self, tmp_path, work):
        folders = killed_at_every_step(tmp_path, work)
        assert len(folders) > 6
        for folder in folders:
            place = folder / "rw" / "input" / "x"
            if (place / "dataset").exists():
                assert contents(place / "dataset") in (OLD_FILES, NEW_FILES)
                assert list(connectors.load(folder / "rw")["input"]) == ["x"]
            elif work == "replace a dataset":  # between two renames
                (old,) = place.glob(".*.part/old")
                assert contents(old) == OLD_FILES
                assert list(connectors.load(folder / "rw")) == []
        assert os.listdir(folders[-1] / "rw" / "input" / "x") == ["dataset"]


def test_layout_loads_nothing_of_storage():
    script = (
        "import sys, connectors.app.layout; print(*sorted(one for one in sys.modules if one.startswith('connectors')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {
        "connectors",
        "connectors.app",
        "connectors.app.layout",
        "connectors.system",
        "connectors.system.atomic_files",
        "connectors.system.os_errors",
        "connectors.errors",
        "connectors.names",
    }
