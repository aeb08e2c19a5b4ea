"""The manifest of a folder: what was removed, added, exchanged or put back is an error, and nothing else is."""

from __future__ import annotations

import os
import pickle
import shutil

import fsspec
import pytest
from manifests import NAMES, document, everything, lay_down, manifest_of

import connectors
from connectors.app.protocol import DatasetFileSystem
from connectors.errors import IntegrityError, ObjectNotFound, PinMismatch
from connectors.fs.manifest import MANIFEST_NAME


class TestWhatIsThere:
    def test_is_listed_and_read_without_the_manifest(self, dataset):
        assert everything(dataset) == {name: name.encode() for name in NAMES}
        fs, path = dataset.filesystem()
        assert sorted(name.removeprefix(f"{path}/") for name in fs.ls(path, detail=False)) == [
            "east",
            "north.csv",
            "south.csv",
        ]
        assert {entry["size"] for entry in fs.ls(f"{path}/east")} == {len(name.encode()) for name in NAMES[2:]}
        assert fs.info(f"{path}/north.csv")["size"] == len("north.csv")
        assert len(fs.find(path, maxdepth=1)) == 2
        assert fs.find(f"{path}/north.csv") == [f"{path}/north.csv"]
        assert fs.glob(f"{path}/*/*.csv") == sorted(f"{path}/{name}" for name in NAMES[2:])

    def test_is_in_the_manifest_with_its_plain_size_and_pin(self, dataset):
        listed = manifest_of(dataset)
        assert set(listed) == set(NAMES)
        fs, path = dataset.filesystem()
        for name, member in listed.items():
            assert member.size == len(name.encode())
            with fs.open(f"{path}/{name}", "rb") as file:
                assert file.raw.pin == member.pin

    def test_by_dataset_urls_too(self, dataset, tmp_path, monkeypatch):
        lay_down(tmp_path, dataset.location)
        monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "rw"))
        assert fsspec.open("dataset://input/wards/north.csv").open().read() == b"north.csv"
        assert DatasetFileSystem().find("input/wards") == sorted(f"input/wards/{name}" for name in NAMES)

    def test_travels_to_another_process(self, dataset, tmp_path, monkeypatch):
        lay_down(tmp_path, dataset.location)
        monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "rw"))
        fs, path = connectors.load()["input"]["wards"].filesystem()
        assert len(pickle.loads(pickle.dumps(fs)).find(path)) == len(NAMES)


class TestAdversary:
    """Who has the storage does something to it; whoever reads the folder afterwards is told."""

    def test_removes_an_object(self, dataset, store):
        (store / "north.csv").unlink()
        fs, path = dataset.filesystem()
        for look in (
            lambda: fs.find(path),
            lambda: fs.ls(path),
            lambda: fs.info(f"{path}/north.csv"),
            lambda: fs.exists(f"{path}/north.csv"),
            lambda: fs.cat_file(f"{path}/north.csv"),
            lambda: fs.open(f"{path}/north.csv"),
        ):
            with pytest.raises(
                IntegrityError, match="input/wards(/north.csv)?: 'north.csv' is in the folder's manifest but not in"
            ):
                look()
        assert fs.cat_file(f"{path}/south.csv") == b"south.csv"

    def test_removes_a_folder(self, dataset, store):
        shutil.rmtree(store / "east")
        fs, path = dataset.filesystem()
        for look in (lambda: fs.find(path), lambda: fs.ls(path), lambda: fs.isdir(f"{path}/east")):
            with pytest.raises(IntegrityError, match="east.* is in the folder's manifest but not in the storage"):
                look()

    def test_adds_an_object(self, dataset, store):
        # One that was sealed for this very place, before the folder had a manifest.
        fs, path = connectors.Dataset(dataset.location, document(manifest=False)).filesystem()
        fs.pipe_file(f"{path}/west.csv", b"west.csv")
        fs, path = dataset.filesystem()
        for look in (lambda: fs.find(path), lambda: fs.ls(path)):
            with pytest.raises(
                IntegrityError, match=r"the storage lists 'west.csv', which is not in the folder's manifest"
            ):
                look()
        for look in (lambda: fs.cat_file(f"{path}/west.csv"), lambda: fs.info(f"{path}/west.csv")):
            with pytest.raises(ObjectNotFound, match=r"'west.csv' is not in the folder's manifest"):
                look()

    def test_adds_an_empty_folder_which_is_not_shown(self, dataset, store):
        (store / "west").mkdir()
        fs, path = dataset.filesystem()
        assert f"{path}/west" not in fs.ls(path, detail=False)

    @pytest.mark.parametrize("size", [b"41.0", b"a longer one than before"])
    def test_puts_an_older_object_back(self, dataset, store, size):
        fs, path = connectors.Dataset(dataset.location, document()).filesystem()
        fs.pipe_file(f"{path}/north.csv", size)
        older = (store / "north.csv").read_bytes()
        fs.pipe_file(f"{path}/north.csv", b"38.9")
        (store / "north.csv").write_bytes(older)
        fs, path = dataset.filesystem()
        with pytest.raises(PinMismatch):
            fs.cat_file(f"{path}/north.csv")
        if len(size) != 4:
            with pytest.raises(IntegrityError, match="a different size in the storage"):
                fs.ls(path)

    def test_exchanges_two_objects(self, dataset, store):
        north, south = store / "north.csv", store / "south.csv"
        one, other = north.read_bytes(), south.read_bytes()
        north.write_bytes(other)
        south.write_bytes(one)
        with pytest.raises(IntegrityError):
            everything(dataset)

    def test_cuts_an_object(self, dataset, store):
        os.truncate(store / "north.csv", 70)
        with pytest.raises(IntegrityError):
            everything(dataset)

    def test_removes_the_manifest(self, dataset, store):
        (store / MANIFEST_NAME).unlink()
        fs, path = dataset.filesystem()
        for look in (lambda: fs.find(path), lambda: fs.cat_file(f"{path}/north.csv"), lambda: fs.ls(path)):
            with pytest.raises(IntegrityError, match="has objects but no _manifest.sealed: it was removed"):
                look()
        with pytest.raises(IntegrityError, match="it was removed"):
            fs.pipe_file(f"{path}/north.csv", b"new")
        assert (store / "north.csv").stat().st_size == 56 + 9 + 16

    def test_removes_everything(self, dataset, store):
        shutil.rmtree(store)
        store.mkdir()
        fs, path = dataset.filesystem()
        for look in (lambda: fs.find(path), lambda: fs.ls(path), lambda: fs.cat_file(f"{path}/north.csv")):
            with pytest.raises(ObjectNotFound, match="is empty and has no _manifest.sealed"):
                look()

    def test_puts_an_older_manifest_back(self, dataset, store):
        older = (store / MANIFEST_NAME).read_bytes()
        fs, path = connectors.Dataset(dataset.location, document()).filesystem()
        fs.pipe_file(f"{path}/west.csv", b"west.csv")
        (store / MANIFEST_NAME).write_bytes(older)
        with pytest.raises(IntegrityError, match="west.csv"):
            everything(dataset)

    def test_puts_the_whole_folder_back_which_the_pin_tells(self, dataset, store, tmp_path):
        shutil.copytree(store, tmp_path / "older")
        fs, path = connectors.Dataset(dataset.location, document()).filesystem()
        fs.pipe_file(f"{path}/north.csv", b"38.9")
        pinned = connectors.Dataset(dataset.location, document(pin=fs.pin))
        assert everything(pinned)["north.csv"] == b"38.9"
        shutil.rmtree(store)
        (tmp_path / "older").rename(store)
        with pytest.raises(PinMismatch):
            everything(connectors.Dataset(dataset.location, document(pin=fs.pin)))
        assert everything(dataset)["north.csv"] == b"north.csv"

    def test_gives_a_member_for_the_manifest(self, dataset, store):
        shutil.copy(store / "north.csv", store / MANIFEST_NAME)
        with pytest.raises(IntegrityError):
            everything(dataset)

    def test_changes_any_byte_of_the_manifest(self, dataset, store):
        sealed = (store / MANIFEST_NAME).read_bytes()
        for position in range(0, len(sealed), 7):
            (store / MANIFEST_NAME).write_bytes(
                sealed[:position] + bytes([sealed[position] ^ 4]) + sealed[position + 1 :]
            )
            with pytest.raises(IntegrityError):
                everything(connectors.Dataset(dataset.location, document()))
