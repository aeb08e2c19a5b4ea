"""Writing into a folder with a manifest."""

from __future__ import annotations

import os

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from manifests import NAMES, document, everything, lay_down, manifest_of

import connectors
from connectors.app.protocol import DatasetFileSystem
from connectors.errors import ConnectorError, IntegrityError, NotSupported, ObjectNotFound
from connectors.fs.manifest import MANIFEST_NAME


class TestWriting:
    def test_keeps_the_manifest(self, dataset):
        fs, path = dataset.filesystem()
        fs.pipe_file(f"{path}/west.csv", b"west")
        assert set(manifest_of(dataset)) == {*NAMES, "west.csv"}
        fs.pipe_file(f"{path}/west.csv", b"west again")
        fs.cp_file(f"{path}/west.csv", f"{path}/far/west.csv")
        fs.mv(f"{path}/north.csv", f"{path}/up.csv")
        fs.rm_file(f"{path}/south.csv")
        fs.rm(f"{path}/east", recursive=True)
        expected = {"west.csv": b"west again", "far/west.csv": b"west again", "up.csv": b"north.csv"}
        assert everything(dataset) == everything(connectors.Dataset(dataset.location, document())) == expected
        assert set(manifest_of(dataset)) == set(expected)

    def test_of_a_transaction_writes_it_once_and_last(self, store):
        fs, path = connectors.Dataset(f"file://{store}/", document()).filesystem()
        with fs.transaction:
            for name in NAMES:
                fs.pipe_file(f"{path}/{name}", name.encode())
            assert not any(file.is_file() and file.suffix != ".part" for file in store.rglob("*"))
        times = {file.name: file.stat().st_mtime_ns for file in store.rglob("*") if file.is_file()}
        assert max(times, key=times.__getitem__) == MANIFEST_NAME

    def test_of_a_transaction_by_dataset_urls(self, store, tmp_path, monkeypatch):
        lay_down(tmp_path, f"file://{store}/", "output")
        monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "rw"))
        fs = DatasetFileSystem()
        with fs.transaction:
            for name in NAMES:
                fs.pipe_file(f"output/wards/{name}", name.encode())
            assert not (store / MANIFEST_NAME).exists()
        assert everything(connectors.load()["output"]["wards"]) == {name: name.encode() for name in NAMES}

    def test_of_a_transaction_that_fails_leaves_it(self, dataset, store):
        before = (store / MANIFEST_NAME).read_bytes()
        fs, path = dataset.filesystem()
        with pytest.raises(RuntimeError, match="no"), fs.transaction:
            fs.pipe_file(f"{path}/west.csv", b"west")
            raise RuntimeError("no")
        assert (store / MANIFEST_NAME).read_bytes() == before
        assert len(everything(dataset)) == len(NAMES)

    def test_of_a_transaction_that_breaks_off_leaves_it_true(self, dataset, store):
        fs, path = dataset.filesystem()
        with pytest.raises(IsADirectoryError), fs.transaction:
            fs.pipe_file(f"{path}/first.csv", b"1")
            fs.pipe_file(f"{path}/second.csv", b"2")
            (store / "second.csv").mkdir()  # it cannot be renamed there
        (store / "second.csv").rmdir()
        assert set(everything(connectors.Dataset(dataset.location, document()))) == {*NAMES, "first.csv"}

    def test_object_of_a_killed_writer_is_an_error_until_a_new_manifest(self, dataset, store):
        older = (store / MANIFEST_NAME).read_bytes()
        fs, path = dataset.filesystem()
        fs.pipe_file(f"{path}/west.csv", b"west")
        (store / MANIFEST_NAME).write_bytes(older)
        again = connectors.Dataset(dataset.location, document())
        with pytest.raises(IntegrityError, match="its writer has not updated the manifest yet"):
            everything(again)
        assert again.write_manifest() == len(NAMES) + 1
        assert everything(again)["west.csv"] == b"west"

    def test_where_the_manifest_cannot_be_written_says_so(self, dataset, store):
        fs, path = dataset.filesystem()
        assert fs.exists(f"{path}/north.csv")
        (store / MANIFEST_NAME).unlink()
        (store / MANIFEST_NAME).mkdir()
        with pytest.raises(ConnectorError) as caught:
            fs.pipe_file(f"{path}/west.csv", b"west")
        assert "its manifest has not" in caught.value.__notes__[0]
        (store / MANIFEST_NAME).rmdir()
        fs.pipe_file(f"{path}/more.csv", b"more")
        assert {"west.csv", "more.csv"} < set(everything(connectors.Dataset(dataset.location, document())))

    def test_to_a_pinned_folder_is_refused(self, dataset):
        pinned = connectors.Dataset(dataset.location, document(pin=dataset.fingerprint()))
        fs, path = pinned.filesystem()
        for change in (
            lambda: fs.pipe_file(f"{path}/north.csv", b""),
            lambda: fs.rm_file(f"{path}/north.csv"),
            lambda: fs.rm(path, recursive=True),
            lambda: fs.mv(f"{path}/north.csv", f"{path}/up.csv"),
            lambda: fs.cp_file(f"{path}/north.csv", f"{path}/up.csv"),
            pinned.write_manifest,
        ):
            with pytest.raises(NotSupported, match="writing would replace the pinned object"):
                change()
        assert len(everything(pinned)) == len(NAMES)

    def test_the_manifest_itself_is_refused(self, dataset):
        fs, path = dataset.filesystem()
        for touch in (fs.cat_file, lambda place: fs.pipe_file(place, b""), fs.rm_file):
            with pytest.raises(ConnectorError, match="is the folder's manifest|nothing"):
                touch(f"{path}/{MANIFEST_NAME}")
        assert len(everything(dataset)) == len(NAMES)

    def test_over_a_leftover_of_a_dead_writer_goes_on(self, dataset, store):
        (store / f".north.csv.{'0a' * 16}.part").write_bytes(b"half")
        assert len(everything(dataset)) == len(NAMES)

    def test_hidden_names_are_members_like_others(self, dataset):
        fs, path = dataset.filesystem()
        fs.pipe_file(f"{path}/.cache.part", b"37.2")
        assert fs.cat_file(f"{path}/.cache.part") == b"37.2"
        assert f"{path}/.cache.part" in fs.find(path)
        fs.rm_file(f"{path}/.cache.part")
        assert len(everything(dataset)) == len(NAMES)

    def test_into_an_empty_folder_begins_one(self):
        fs, path = connectors.Dataset(f"memory://manifest-{os.getpid()}/", document()).filesystem()
        with pytest.raises(ObjectNotFound):
            fs.find(path)
        assert not fs.exists(f"{path}/north.csv")
        fs.pipe_file(f"{path}/north.csv", b"37.2")
        fs, path = connectors.Dataset(f"memory://manifest-{os.getpid()}/", document()).filesystem()
        assert fs.cat_file(f"{path}/north.csv") == b"37.2"
        MemoryFileSystem().rm(path, recursive=True)
