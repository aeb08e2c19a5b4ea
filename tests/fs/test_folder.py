"""Folder datasets: many objects under one location, each sealed under its own name, as files of a filesystem."""

from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import connectors
from connectors.app.protocol import DatasetFileSystem
from connectors.credentials.model import parse_document
from connectors.errors import (
    ConfigError,
    IntegrityError,
    InvalidLocation,
    NotAnObject,
    NotSupported,
    ObjectNotFound,
    WrongKey,
)
from connectors.formats import Cobblestone256, select
from connectors.formats.contract import with_name
from connectors.streams import as_source, buffered

KEY = "4d" * 32
NAMES = ["one.csv", "ward/north/three 50%?#ü.csv", "ward/two.csv"]


def connect(root: Path, port: str, name: str, location: str, **encryption) -> None:
    folder = root / port / name / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(location)
    (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY, **encryption}}))


@pytest.fixture(params=["file", "memory"])
def wards(request, tmp_path, monkeypatch):
    """The dataset input/wards, an empty folder, of an app config that is the environment's."""
    location = f"file://{tmp_path}/store/" if request.param == "file" else f"memory://wards-{os.getpid()}/"
    connect(tmp_path / "rw", "input", "wards", location)
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "rw"))
    (tmp_path / "store").mkdir()
    yield connectors.load()["input"]["wards"]
    memory = MemoryFileSystem()
    if memory.exists(f"/wards-{os.getpid()}"):
        memory.rm(f"/wards-{os.getpid()}", recursive=True)


def filled(dataset: connectors.Dataset) -> tuple[connectors.EncryptedFileSystem, str]:
    fs, path = dataset.filesystem()
    for name in NAMES:
        fs.pipe_file(f"{path}/{name}", name.encode())
    return fs, path


def test_objects_are_written_listed_and_read_under_their_names(wards):
    fs, path = filled(wards)
    assert wards.is_folder
    assert sorted(name.removeprefix(path + "/") for name in fs.find(path)) == NAMES
    assert {fs.cat_file(f"{path}/{name}").decode() for name in NAMES} == set(NAMES)
    assert {entry["size"] for entry in fs.ls(path) if entry["type"] == "file"} == {None}
    assert fs.du(path, total=False) == {f"{path}/{name}": len(name.encode()) for name in NAMES}
    assert fs.glob(f"{path}/**/*.csv") == sorted(f"{path}/{name}" for name in NAMES)


def test_the_same_through_the_dataset_protocol(wards):
    filled(wards)
    fs = DatasetFileSystem()
    assert fs.find("input/wards") == [f"input/wards/{name}" for name in NAMES]
    assert fs.ls("dataset://input", detail=False) == ["input/wards"]
    assert fs.isdir("input/wards")
    assert fs.info("input/wards/ward/two.csv")["size"] == len("ward/two.csv")
    with fsspec.open("dataset://input/wards/ward/two.csv") as file:
        assert file.read() == b"ward/two.csv"
    with fsspec.open("dataset://input/wards/new/four.csv", "wt") as file:
        file.write("four")
    assert fs.cat("input/wards/new/four.csv") == b"four"
    fs.cp_file("input/wards/new/four.csv", "input/wards/five.csv")
    fs.rm("input/wards/new", recursive=True)
    assert sorted(fs.ls("input/wards", detail=False)) == [
        f"input/wards/{name}" for name in ("five.csv", "one.csv", "ward")
    ]


def test_one_object_cannot_be_given_for_another(wards):
    fs, path = filled(wards)
    fs.fs.cp_file(f"{path}/one.csv", f"{path}/ward/two.csv")  # the storage's own doing
    with pytest.raises(WrongKey, match="wrong key or context"):
        fs.cat_file(f"{path}/ward/two.csv")


def test_copies_and_moves_are_sealed_anew_under_their_new_names(wards):
    fs, path = filled(wards)
    fs.cp_file(f"{path}/one.csv", f"{path}/copy.csv")
    fs.mv(f"{path}/one.csv", f"{path}/moved.csv")
    assert fs.cat_file(f"{path}/copy.csv") == fs.cat_file(f"{path}/moved.csv") == b"one.csv"
    assert not fs.exists(f"{path}/one.csv")


def test_without_binding_the_storage_copies_sealed_bytes(tmp_path):
    document = {"encryption": {"key": KEY, "bind": "none"}}
    fs, path = connectors.Dataset(f"file://{tmp_path}/", document).filesystem()
    fs.pipe_file(f"{path}/one", b"37.2")
    sealed = (tmp_path / "one").read_bytes()
    fs.cp_file(f"{path}/one", f"{path}/two")
    fs.mv(f"{path}/one", f"{path}/three")
    assert (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes() == sealed
    assert fs.cat_file(f"{path}/three") == b"37.2"


def test_members_open_outside_the_sdk_with_the_documented_context(tmp_path):
    document = {"encryption": {"key": KEY, "context": "trial 7"}}
    fs, path = connectors.Dataset(f"file://{tmp_path}/", document).filesystem()
    fs.pipe_file(f"{path}/ward/one.csv", b"37.2")
    codec = Cobblestone256(connectors.SecretKey(KEY), b"trial 7\0ward/one.csv")
    with buffered(as_source(tmp_path / "ward" / "one.csv"), codec) as file:
        assert file.read() == b"37.2"
    assert with_name(b"a", "b") == b"a\0b"


def test_no_single_object_has_the_context_of_a_member(tmp_path):
    context = "trial 7\0ward/one.csv"
    for use in (
        lambda: connectors.encrypt(io.BytesIO(b"x"), tmp_path / "x", KEY, context=context.encode()),
        lambda: connectors.open_reader(tmp_path / "x", KEY, context=context.encode()),
        lambda: connectors.EncryptedFileSystem(fs=fsspec.filesystem("memory"), key=KEY, context=context.encode()),
        lambda: connectors.Dataset("memory://x", {"encryption": {"key": KEY, "context": context}}).write_bytes(b"x"),
    ):
        with pytest.raises(ConfigError, match="a zero (byte|character)"):
            use()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["../outside", "ward/../../outside", "ward/./one.csv"])
def test_paths_that_lead_out_are_no_paths(wards, path):
    fs, root = filled(wards)
    with pytest.raises(ObjectNotFound, match="outside the folder|contains . or .."):
        fs.pipe_file(f"{root}/{path}", b"x")
    with pytest.raises(ObjectNotFound, match="outside the folder|contains . or .."):
        DatasetFileSystem().cat_file(f"input/wards/{path}")


def test_what_lies_beside_the_folder_is_not_to_be_seen(tmp_path):
    (tmp_path / "wards-secret").write_bytes(b"x")
    fs, path = connectors.Dataset(f"file://{tmp_path}/wards/", {"encryption": {"key": KEY}}).filesystem()
    for beside in (f"{path}-secret", str(tmp_path), f"{tmp_path}/wards-secret"):
        with pytest.raises(ObjectNotFound, match="outside the folder"):
            fs.cat_file(beside)
        with pytest.raises(ObjectNotFound, match="outside the folder"):
            fs.rm(beside)


def test_names_that_a_storage_lists_to_lead_out_are_refused(tmp_path):
    class Hostile(MemoryFileSystem):
        cachable = False

        def info(self, path, **_):
            return {"name": path, "size": 0, "type": "directory"}

        def ls(self, path, detail=True, **_):
            return [{"name": f"{path}/../../etc/passwd", "size": 72, "type": "file"}]

        def find(self, path, **_):
            return {one["name"]: one for one in self.ls(path)}

    fs = connectors.EncryptedFileSystem(fs=Hostile(), key=KEY, root="/wards")
    with pytest.raises(IntegrityError, match="points outside it"):
        fs.get("/wards", str(tmp_path / "copy"), recursive=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_does_not_open_as_an_object(wards):
    filled(wards)
    for use in (wards.open, wards.read_bytes, lambda: wards.write_bytes(b""), lambda: wards.download("x")):
        with pytest.raises(NotAnObject, match=r"input/wards: this dataset is a folder.*dataset://input/wards/NAME"):
            use()
    with pytest.raises(NotAnObject, match="is a folder"):
        DatasetFileSystem().cat_file("input/wards")


def test_an_object_has_nothing_inside(tmp_path):
    connect(tmp_path / "rw", "input", "one", f"file://{tmp_path}/one")
    fs = DatasetFileSystem(tmp_path / "rw")
    with pytest.raises(ObjectNotFound, match="dataset://input/one is a single object"):
        fs.cat_file("input/one/two")


def test_layout_says_what_a_slash_does_not(tmp_path):
    document = {"layout": "folder", "encryption": {"key": KEY}}
    assert connectors.Dataset(f"file://{tmp_path}/wards", document).is_folder
    document = {"layout": "object", "encryption": {"key": KEY}}
    assert not connectors.Dataset("memory://wards/", document).is_folder


def test_gcm_folders_are_refused_unless_binding_is_switched_off(tmp_path):
    document = {"encryption": {"key": KEY, "format": "gcm"}}
    with pytest.raises(ConfigError, match='cannot bind the names.*"bind": "none"'):
        connectors.Dataset(f"file://{tmp_path}/", document).filesystem()
    document["encryption"]["bind"] = "none"
    fs, path = connectors.Dataset(f"file://{tmp_path}/", document).filesystem()
    fs.pipe_file(f"{path}/one", b"37.2")
    assert fs.cat_file(f"{path}/one") == b"37.2"


def test_plain_folders_are_plain(tmp_path):
    fs, path = connectors.Dataset(f"file://{tmp_path}/", {"encryption": None}).filesystem()
    fs.pipe_file(f"{path}/ward/one", b"37.2")
    assert (tmp_path / "ward" / "one").read_bytes() == b"37.2"


def test_a_signed_url_is_no_folder():
    with pytest.raises(InvalidLocation, match="a URL is for one object"):
        connectors.Dataset("https://clinic.example/wards/", {"encryption": {"key": KEY}}).filesystem()


def test_the_filesystem_travels_by_its_name(wards):
    fs, path = filled(wards)
    copy = pickle.loads(pickle.dumps(fs))
    assert KEY not in repr(pickle.dumps(fs))
    if "memory" not in type(fs.fs).__name__.lower():
        assert copy.cat_file(f"{path}/one.csv") == b"one.csv"


def test_binding_leaves_auto_only_the_format_that_can_bind():
    auto = select("auto", KEY).bound("one")
    assert auto.layout == Cobblestone256.layout
    sealed = io.BytesIO()
    connectors.encrypt(io.BytesIO(bytes(100)), sealed, KEY, format="gcm")
    with pytest.raises(WrongKey, match="gcm cannot bind"):
        auto.decryptor(sealed.getvalue()[:56], len(sealed.getvalue()))


def test_transactions_publish_all_or_nothing(wards):
    fs, path = filled(wards)
    with fs.transaction:
        fs.pipe_file(f"{path}/one.csv", b"new")
        with fs.open(f"{path}/six.csv", "wb") as file:
            file.write(b"six")
        assert fs.cat_file(f"{path}/one.csv") == b"one.csv"
        assert not fs.exists(f"{path}/six.csv")
    assert fs.cat_file(f"{path}/one.csv") == b"new"
    with pytest.raises(ZeroDivisionError), fs.transaction:
        fs.pipe_file(f"{path}/one.csv", b"newer")
        1 / 0  # noqa: B018
    assert fs.cat_file(f"{path}/one.csv") == b"new"


def test_the_layout_is_a_word_of_the_document():
    document = parse_document(b'{"layout": "folders", "encryption": null}')
    with pytest.raises(ConfigError, match="credentials.layout"):
        connectors.Dataset("memory://a/", document)


def test_the_names_of_half_written_files_are_refused(tmp_path):
    fs, path = connectors.Dataset(f"file://{tmp_path}/", {"encryption": {"key": "5a" * 32}}).filesystem()
    for folder in ("", "/north"):
        name = f"{path}{folder}/.a.csv.{'0f' * 16}.part"
        for touch in (lambda: fs.pipe_file(name, b""), lambda: fs.open(name, "wb"), lambda: fs.cat_file(name)):  # noqa: B023
            with pytest.raises(NotSupported, match="half-written files"):
                touch()
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("manifest", [False, True])
def test_what_a_killed_writer_leaves_is_no_member_and_can_be_removed(tmp_path, manifest):
    document = {"encryption": {"key": "5a" * 32, "manifest": manifest}}
    fs, path = connectors.Dataset(f"file://{tmp_path}/", document).filesystem()
    fs.pipe_file(f"{path}/a.csv", b"37.2")
    left = tmp_path / f".a.csv.{'0f' * 16}.part"
    left.write_bytes(b"half")
    assert fs.find(path) == [f"{path}/a.csv"]
    assert [entry["name"] for entry in fs.ls(path)] == [f"{path}/a.csv"]
    fs.get(path, str(tmp_path / "copy"), recursive=True)
    assert [one.name for one in (tmp_path / "copy").rglob("*")] == ["a.csv"]
    fs.rm_file(f"{path}/{left.name}")
    assert not left.exists()
    assert fs.cat_file(f"{path}/a.csv") == b"37.2"
