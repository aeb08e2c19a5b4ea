"""The manifest of a folder: what was removed, added, exchanged or put back is an error, and nothing else is."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import fsspec
import pytest
from command_line import connectors as command
from fsspec.implementations.memory import MemoryFileSystem

import connectors
from connectors.app.protocol import DatasetFileSystem
from connectors.errors import (
    ConfigError,
    ConnectorError,
    IntegrityError,
    InvalidCredentials,
    NotSupported,
    ObjectNotFound,
    PinMismatch,
)
from connectors.formats import select
from connectors.fs.manifest import MANIFEST_NAME, Member, parse_manifest
from connectors.streams import as_source, buffered

KEY = "4d" * 32
NAMES = ["north.csv", "south.csv", "east/one.csv", "east/two 50%?#ü.csv"]


def document(**encryption) -> dict:
    return {"encryption": {"key": KEY, "manifest": True, **encryption}}


@pytest.fixture
def store(tmp_path) -> Path:
    """The folder that the adversary has."""
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def dataset(store) -> connectors.Dataset:
    """A folder dataset with a manifest, with four objects in it, as somebody sees it who has not read it yet."""
    written = connectors.Dataset(f"file://{store}/", document())
    fs, path = written.filesystem()
    with fs.transaction:
        for name in NAMES:
            fs.pipe_file(f"{path}/{name}", name.encode())
    return connectors.Dataset(f"file://{store}/", document(), name="input/wards")


def everything(dataset: connectors.Dataset) -> dict[str, bytes]:
    fs, path = dataset.filesystem()
    return {name.removeprefix(f"{path}/"): fs.cat_file(name) for name in fs.find(path)}


def manifest_of(dataset: connectors.Dataset) -> dict[str, Member]:
    """What the stored manifest says, opened as any other object of the folder would be."""
    store = dataset.location.removeprefix("file://")
    source = as_source(f"{store}{MANIFEST_NAME}")
    with buffered(source, select("cobblestone-256", KEY).bound(MANIFEST_NAME)) as file:
        return parse_manifest(file.read())


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


def lay_down(root: Path, location: str, port: str = "input", **encryption) -> None:
    folder = root / "rw" / port / "wards" / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(location)
    (folder / "credentials.bin").write_text(json.dumps(document(**encryption)))


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
            with pytest.raises(IntegrityError, match="input/wards: 'north.csv' is in the folder's manifest but not in"):
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
        (store / ".north.csv.abc123.part").write_bytes(b"half")
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


class TestDocument:
    @pytest.mark.parametrize(
        ("location", "encryption", "message"),
        [
            ("memory://x/", {"bind": "none"}, "manifest: it needs the objects' names bound; leave out"),
            ("memory://x", {}, "manifest: only a folder has one; this dataset is a single object"),
            ("memory://x/", {"manifest": False, "pin": "0" * 64}, 'pin: .* set "manifest": true'),
            ("memory://x/", {"manifest": "yes"}, "manifest: true or false, without quotation marks, is expected"),
        ],
    )
    def test_that_contradicts_itself(self, location, encryption, message):
        with pytest.raises(InvalidCredentials, match=message):
            connectors.Dataset(location, document(**encryption))

    def test_of_a_filesystem_without_a_root(self):
        with pytest.raises(ConfigError, match="pass the folder as root"):
            connectors.EncryptedFileSystem(fs=fsspec.filesystem("memory"), key=KEY, manifest=True)

    def test_without_one_has_no_fingerprint(self, store):
        dataset = connectors.Dataset(f"file://{store}/", document(manifest=False))
        for ask in (dataset.fingerprint, dataset.write_manifest):
            with pytest.raises(NotSupported, match='"manifest": true'):
                ask()

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"[]",
            b"{}",
            b'{"schema": "enclave-connectors folder manifest 2", "objects": {}}',
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"a": {"size": -1, "pin": "%s"}}}' % (b"0" * 64),
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"a": {"size": 1, "pin": "00"}}}',
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"../a": {"size": 1, "pin": "%s"}}}' % (b"0" * 64),
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"a//b": {"size": 1, "pin": "%s"}}}' % (b"0" * 64),
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {}, "more": 1}',
        ],
    )  # fmt: skip
    def test_that_is_no_manifest(self, data):
        with pytest.raises(IntegrityError, match="is not a valid manifest"):
            parse_manifest(data)


class TestCommand:
    def test_writes_one_for_what_is_there(self, store, tmp_path):
        fs, path = connectors.Dataset(f"file://{store}/", document(manifest=False)).filesystem()
        fs.pipe_file(f"{path}/north.csv", b"37.2")
        lay_down(tmp_path, f"file://{store}/")
        options = ("--app-config", str(tmp_path / "rw"))
        told = command("cat", "dataset://input/wards/north.csv", *options, cwd=tmp_path).error(3)
        assert "write one with `connectors manifest`" in told
        pin = command("manifest", "dataset://input/wards", *options, cwd=tmp_path).text
        assert pin == command("fingerprint", "dataset://input/wards", *options, cwd=tmp_path).text
        assert command("cat", "dataset://input/wards/north.csv", *options, cwd=tmp_path).text == "37.2"
        (store / "south.csv").write_bytes((store / "north.csv").read_bytes())
        assert "the storage lists 'south.csv'" in command("ls", "dataset://input/wards", *options, cwd=tmp_path).error(
            3
        )
        told = command("manifest", "dataset://input/wards", *options, cwd=tmp_path).error(3)
        assert "wrong key or context" in told

    @pytest.mark.parametrize("url", ["input/wards", "dataset://input", "dataset://input/wards/north.csv", "s3://a/b"])
    def test_takes_a_dataset(self, url, tmp_path):
        assert "is not a dataset" in command("manifest", url, cwd=tmp_path).error(2)
