"""The filesystem: names, folders, removals, reads and copies."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec.config
import pytest
from hostile import Answer, hostile_server

import connectors
from connectors.credentials.model import validate
from connectors.errors import NotAnObject, NotSupported, ObjectExists, ObjectNotFound, StorageUnavailable
from connectors.storage.http.connection import Connection
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs

Stored = Callable[[str], bytes | None]
TIME = "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize(
    "key",
    [
        "with spaces", "ü/病/𝄞", "100%", "%41", "%2F", "what?", "a?generation=7", "a#b", "a+b&c=d", "a//b", "/a", "gs:x",
        "*[a]", "~", "a;b", "o/o/o", "rewriteTo/b/x/o/y", "...", "..a", "{}",
    ],
)  # fmt: skip
def test_names_are_literal(fs: Gcs, stored: Stored, key: str) -> None:
    path = f"clinic/names/{key}"
    sink = fs.open_sink(path)
    sink.write(memoryview(key.encode()))
    sink.commit()
    assert stored(path) == key.encode()
    assert fs.open_source(path).read_range(0, 100) == key.encode()
    assert fs.info(path)["size"] == len(key.encode())
    assert path in fs.find("clinic/names")
    fs.cp_file(path, f"{path} copy")
    assert stored(f"{path} copy") == key.encode()
    fs.rm_file(path)
    fs.rm_file(f"{path} copy")
    assert stored(path) is None


@pytest.fixture
def folder(fs: Gcs, path: str) -> str:
    """A folder with objects and folders in it, and an object that marks an empty folder."""
    for name in ("one", "ward/two", "ward/north/three", "wards"):
        fs.pipe_file(f"{path}/{name}", name.encode())
    return path


def test_object_with_a_folder_s_name_is_listed_with_the_folder_s_members(fs: Gcs, folder: str) -> None:
    fs.pipe_file(f"{folder}/ward", b"both")
    assert [entry["type"] for entry in fs.ls(folder)] == ["file", "directory", "file", "file"]
    assert fs.find(f"{folder}/ward") == [f"{folder}/ward/north/three", f"{folder}/ward/two"]
    assert f"{folder}/ward" in fs.find(folder)
    assert fs.cat_file(f"{folder}/ward") == b"both"
    fs.rm(f"{folder}/ward", recursive=True)
    assert fs.find(folder) == [f"{folder}/one", f"{folder}/wards"]


def test_folder_is_listed(fs: Gcs, folder: str) -> None:
    assert fs.ls(folder, detail=False) == [f"{folder}/one", f"{folder}/ward", f"{folder}/wards"]
    assert [entry["type"] for entry in fs.ls(f"gs://{folder}/")] == ["file", "directory", "file"]
    assert fs.ls(f"{folder}/one", detail=False) == [f"{folder}/one"]
    assert fs.find(folder) == [f"{folder}/{name}" for name in ("one", "ward/north/three", "ward/two", "wards")]
    assert fs.find(f"{folder}/one") == [f"{folder}/one"]
    assert fs.find(f"{folder}/none") == []
    assert fs.find(folder, maxdepth=1) == [f"{folder}/one", f"{folder}/wards"]
    assert fs.find(f"{folder}/ward", withdirs=True) == [
        f"{folder}/ward",
        f"{folder}/ward/north",
        f"{folder}/ward/north/three",
        f"{folder}/ward/two",
    ]
    assert fs.find(folder, detail=True)[f"{folder}/one"]["size"] == 3
    assert fs.glob(f"{folder}/*/t*") == [f"{folder}/ward/two"]
    assert fs.du(folder) == sum(map(len, ("one", "ward/two", "ward/north/three", "wards")))
    assert folder in fs.find("clinic", withdirs=True)


def test_exists_isfile_and_isdir_tell_what_is_stored(fs: Gcs, folder: str) -> None:
    kinds = {"one": "file", "ward": "directory", "ward/": "directory", "none": None, "war": None}
    for name, kind in kinds.items():
        path = f"{folder}/{name}"
        assert (fs.isfile(path), fs.isdir(path)) == (kind == "file", kind == "directory")
        assert fs.exists(path) == (kind is not None)
    assert fs.info("clinic") == {"name": "clinic", "size": 0, "type": "directory"}
    assert fs.created(f"{folder}/one") <= fs.modified(f"{folder}/one")
    assert not fs.exists("no-such-bucket")


def test_object_that_marks_a_folder_is_a_folder(fs: Gcs, folder: str, emulator: Any) -> None:
    emulator.put(f"{folder}/empty/", b"")
    emulator.put(f"{folder}/", b"")
    assert fs.isdir(f"{folder}/empty")
    assert fs.ls(f"{folder}/empty") == []
    assert f"{folder}/empty" in fs.ls(folder, detail=False)
    assert folder not in fs.ls(folder, detail=False)
    assert f"{folder}/empty" not in fs.find(folder)
    fs.rm(folder, recursive=True)
    assert not fs.exists(folder)


def test_object_with_bytes_and_the_name_of_a_folder_is_refused(fs: Gcs, folder: str, emulator: Any) -> None:
    emulator.put(f"{folder}/ward/", b"bytes")
    for ask in (fs.ls, fs.find):
        with pytest.raises(
            StorageUnavailable, match=f"an object with 5 bytes and the name of a folder.*{folder}/ward/"
        ):
            ask(f"{folder}/ward")


def test_listings_are_never_stale(fs: Gcs, folder: str) -> None:
    assert len(fs.ls(folder)) == 3
    fs.rm_file(f"{folder}/one")
    assert len(fs.ls(folder)) == 2
    fs.pipe_file(f"{folder}/wards", b"longer than before")
    assert fs.info(f"{folder}/wards")["size"] == 18


def test_long_listing_comes_in_pages(google: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def item(name: str) -> dict[str, str]:
        return {"name": name, "size": "1", "generation": "7", "timeCreated": TIME, "updated": TIME}

    pages = [
        {"items": [item("a/1")], "nextPageToken": "two&x=y"},
        {"prefixes": ["a/b/"], "nextPageToken": "three"},
        {"items": [item("a/2")]},
    ]
    google.answering["GET object"] = [
        Answer(200, {}, json.dumps({"kind": "storage#objects", **page}).encode()) for page in pages
    ]
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    assert fs.ls("clinic/a", detail=False) == ["clinic/a/1", "clinic/a/2", "clinic/a/b"]
    assert ["pageToken=two%26x%3Dy" in request.target for request in google.seen] == [False, True, False]


@pytest.mark.parametrize(
    "page",
    [
        "",
        "[]",
        "x",
        '{"kind": "storage#objects", "items": [{}]}',
        '{"kind": "storage#objects", "items": [{"name": "folder/a", "size": "x"}]}',
        '{"kind": "storage#objects", "items": [7]}',
        '{"kind": "storage#objects", "items": 7}',
        '{"kind": "storage#objects", "prefixes": [7]}',
        '{"kind": "storage#objects", "prefixes": {}}',
        '{"kind": "storage#objects", "items": [{"name": "elsewhere/a/long/name/"}]}',
        r'{"kind": "storage#objects", "items": [{"name": "folder/\ud800/"}]}',
    ],
)
def test_invalid_listing_is_storage_unavailable(google: Any, page: str) -> None:
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    for ask in (fs.ls, fs.find):
        google.answering["GET object"] = [Answer(200, {}, page.encode())]
        with pytest.raises(StorageUnavailable, match="sent an invalid response") as caught:
            ask("clinic/folder")
        assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "page",
    [
        "{}",
        '{"error": {"code": 503, "message": "backend error"}}',
        '{"kind": "storage#objects#", "items": []}',
        '{"kind": "storage#buckets"}',
        '{"kind": ["storage#objects"]}',
    ],
)
def test_other_documents_are_not_empty_listings(google: Any, page: str) -> None:
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    for ask in (fs.ls, fs.find, fs.info, lambda path: fs.rm(path, recursive=True)):
        google.answering["GET object"] = [Answer(200, {}, page.encode()) for _ in range(3)]
        with pytest.raises(StorageUnavailable, match="sent an invalid response"):
            ask("clinic/folder")
    assert {request.method for request in google.seen} == {"GET"}
    assert all("kind" in request.target for request in google.seen)


def test_object_with_another_name_than_requested_is_an_error(google: Any) -> None:
    google.objects["folder/other"] = (7, b"sealed")
    told = google._tell("folder/other")
    google.answering["GET object"] = [told]
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    with pytest.raises(StorageUnavailable, match="sent an invalid response"):
        fs.info("clinic/folder")


def test_removal_succeeds_if_only_its_response_is_lost(strict: Gcs, google: Any) -> None:
    strict.pipe_file("clinic/key", b"sealed")
    google.losing = {"DELETE object": (1, True)}
    strict.rm_file("clinic/key")
    assert google.objects == {}


def test_folder_is_removed_with_its_content_and_nothing_else(fs: Gcs, folder: str) -> None:
    fs.rm(f"{folder}/ward", recursive=True)
    assert fs.find(folder) == [f"{folder}/one", f"{folder}/wards"]
    fs.rm([f"{folder}/one", f"{folder}/wards"])
    assert fs.find(folder) == []


def test_folder_is_removed_down_to_maxdepth(fs: Gcs, folder: str) -> None:
    fs.rm(folder, recursive=True, maxdepth=1)
    assert fs.find(folder) == [f"{folder}/ward/north/three", f"{folder}/ward/two"]


def test_objects_listed_outside_the_folder_are_not_removed(google: Any) -> None:
    google.objects = {"folder": (7, b"x"), "elsewhere": (8, b"x")}
    page = Answer(200, {}, b'{"kind": "storage#objects", "items": [{"name": "elsewhere", "size": "1"}]}')
    google.answering["GET object"] = [page]
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    with pytest.raises(StorageUnavailable, match="sent an invalid response"):
        fs.rm("clinic/folder", recursive=True)
    assert len(google.objects) == 2


def test_folder_is_not_removed_without_recursive(fs: Gcs, folder: str) -> None:
    with pytest.raises(ObjectNotFound):
        fs.rm(f"{folder}/ward")
    assert len(fs.find(folder)) == 4
    for bucket in ("clinic", "gs://clinic/"):
        with pytest.raises(NotAnObject, match="is a bucket"):
            fs.rm_file(bucket)


def test_bytes_are_read_from_either_end(fs: Gcs, path: str) -> None:
    fs.pipe_file(path, bytes(range(100)))
    model = bytes(range(100))
    for start, end in [
        (None, None),
        (0, 10),
        (90, None),
        (-10, None),
        (-10, -5),
        (None, -90),
        (5, 1000),
        (200, 300),
        (7, 3),
    ]:
        assert fs.cat_file(path, start, end) == model[start:end]
    assert fs.head(path, 5) == model[:5]
    assert fs.tail(path, 5) == model[-5:]


def test_whole_object_is_read_in_one_request(fs: Gcs, path: str, calls: list[str]) -> None:
    fs.pipe_file(path, b"sealed")
    calls.clear()
    assert fs.cat_file(path) == b"sealed"
    assert calls == ["GET media"]


def test_large_whole_object_is_read_in_pieces(
    fs: Gcs, path: str, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(100_001)
    fs.pipe_file(path, data)
    calls.clear()
    monkeypatch.setattr("connectors.storage.filesystem._FIRST", 1_000)
    monkeypatch.setattr("connectors.storage.filesystem._PIECE", 50_000)
    assert fs.cat_file(path) == data
    assert fs.cat_file(path, 10, 10**15) == data[10:]
    assert fs.cat_file(path, -50_000) == data[-50_000:]
    assert calls == ["GET media"] * 9  # one of them for the size
    fs.pipe_file(path, b"")
    assert fs.cat_file(path) == b""


def test_files_appear_complete_or_not_at_all(fs: Gcs, path: str, stored: Stored) -> None:
    with pytest.raises(ZeroDivisionError), fs.open(path, "wb") as file:
        file.write(b"half")
        1 / 0  # noqa: B018
    assert stored(path) is None
    with fs.open(path, "wb") as file:
        file.write(b"whole")
    assert stored(path) == b"whole"
    with fs.open(path) as file:
        assert file.seek(-3, os.SEEK_END) == 2
        assert file.read() == b"ole"
    with pytest.raises(ObjectExists):
        fs.open(path, "xb")
    with pytest.raises(ObjectExists):
        fs.pipe_file(path, b"new", mode="create")
    with pytest.raises(NotSupported, match="'rb', 'wb' or 'xb', not 'ab'"):
        fs.open(path, "ab")


def test_local_files_are_uploaded_and_downloaded(fs: Gcs, path: str, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "in").write_bytes(data)
    callback = fsspec.Callback()
    fs.put_file(str(tmp_path / "in"), path, callback=callback)
    assert callback.value == callback.size == len(data)
    fs.get_file(path, str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == data


def step(total: int, **members: Any) -> Answer:
    """The response to one step of a copy; the number of bytes comes as text."""
    told = {"kind": "storage#rewriteResponse", "totalBytesRewritten": str(total), "done": False, **members}
    return Answer(200, {}, json.dumps(told).encode())


def test_large_object_is_copied_in_several_steps(google: Any) -> None:
    steps = [step(7, rewriteToken="two&x"), step(9, rewriteToken="three"), step(10, done=True)]
    google.answering["POST object"] = steps
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    fs.cp_file("clinic/a/one", "other/two")
    targets = [request.target for request in google.seen]
    assert targets[0] == "/storage/v1/b/clinic/o/a%2Fone/rewriteTo/b/other/o/two"
    assert [target.partition("rewriteToken=")[2] for target in targets] == ["", "two%26x", "three"]
    for invalid in (step(7), step(7, rewriteToken=7), step(-1, rewriteToken="x"), step(7, kind="x", done=True)):
        google.answering["POST object"] = [invalid]
        with pytest.raises(StorageUnavailable, match="sent an invalid response"):
            fs.cp_file("clinic/a", "clinic/b")


def test_copy_goes_on_while_bytes_are_copied(google: Any) -> None:
    google.answering["POST object"] = [
        *(step(total, rewriteToken="same") for total in range(300)),
        step(300, done=True),
    ]
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    fs.cp_file("clinic/a", "clinic/b")
    assert len(google.seen) == 301


def test_copy_without_progress_is_given_up(google: Any) -> None:
    google.answering["POST object"] = [step(7, rewriteToken=f"token-{number}") for number in range(200)]
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    fs.store.longest_pause = 0
    with pytest.raises(StorageUnavailable, match="does not finish the copy of gs://clinic/a; .* without progress"):
        fs.cp_file("clinic/a", "clinic/b")
    assert len(google.seen) < 110


def test_copy_with_too_many_steps_is_given_up(google: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors_gcs.store._MAX_STEPS", 5)
    google.answering["POST object"] = [step(total, rewriteToken="same") for total in range(1, 10)]
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    with pytest.raises(StorageUnavailable, match="does not finish the copy of gs://clinic/a; try again later"):
        fs.cp_file("clinic/a", "clinic/b")
    assert len(google.seen) == 5


def test_filesystem_raises_errors_of_connectors(fs: Gcs) -> None:
    for fail in (
        lambda: fs.info("clinic/none"),
        lambda: fs.ls("clinic/none"),
        lambda: fs.cat_file("clinic/none"),
        lambda: fs.open("clinic/none").read(),
        lambda: fs.info("no-such-bucket/none"),
        lambda: fs.ls("no-such-bucket"),
        lambda: fs.rm_file("clinic/none"),
        lambda: fs.cp_file("clinic/none", "clinic/other"),
    ):
        with pytest.raises(ObjectNotFound, match="no") as caught:
            fail()
        assert caught.value.__context__ is None
    assert not fs.exists("clinic/none")


def test_exists_raises_if_the_storage_does_not_respond() -> None:
    with hostile_server(lambda _: Answer(500)) as (url, _):
        fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": url, "encryption": None}))
        for ask in (fs.exists, fs.isfile, fs.isdir, fs.find, fs.ls):
            with pytest.raises(StorageUnavailable):
                ask("clinic/key")


def test_connections_are_reused(fs: Gcs, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = Connection.connect
    monkeypatch.setattr(Connection, "connect", lambda self: opened.append(self) or real(self))
    fs.pipe_file(path, b"sealed")
    for _ in range(10):
        assert fs.cat_file(path) == b"sealed"
        fs.info(path)
    assert len(opened) == 2  # one of them for the token


def test_dataset_round_trip(document: dict[str, Any], path: str, stored: Stored) -> None:
    dataset = connectors.Dataset(f"gs://{path}", document)
    data = os.urandom(300_000)
    dataset.write_bytes(data)
    assert dataset.read_bytes() == data
    with dataset.open() as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == data[-10:]
    assert len(stored(path) or b"") > len(data)
