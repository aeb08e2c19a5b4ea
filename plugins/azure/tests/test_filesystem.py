"""The filesystem: names, folders, copies and errors."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from hostile import Answer, Request, hostile_server

import connectors
from connectors.errors import (
    InvalidLocation,
    NotAnObject,
    NotSupported,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.testing.tools import in_child
from connectors_azure.filesystem import AzureFileSystem

OpenFs = Callable[..., AzureFileSystem]
Stored = Callable[[str], bytes | None]
NAMES = [
    "with spaces",
    "ü/病/𝄞",
    "100%",
    "%41",
    "what?",
    "a?versionid=7",
    "a#b",
    "a+b&c=d",
    "a//b",
    "az:x",
    "*[a]",
    "~",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_literal(fs: AzureFileSystem, stored: Stored, name: str) -> None:
    path = f"ward/names/{name}"
    fs.pipe_file(path, name.encode())
    assert stored(path) == name.encode()
    assert fs.open_source(path).read_range(0, 100) == name.encode()
    assert fs.info(path)["name"] == path
    assert fs.info(path)["size"] == len(name.encode())
    fs.cp_file(path, f"{path}-copy")
    assert stored(f"{path}-copy") == name.encode()
    fs.rm(f"{path}-copy")
    assert stored(f"{path}-copy") is None
    assert path in fs.find("ward/names")


@pytest.mark.parametrize("path", ["ward/a/../b", "ward/./b", "../ward/b", "ward/a\\b", "ward/a\nb"])
def test_names_that_resolve_to_another_path_are_refused(fs: AzureFileSystem, path: str) -> None:
    for call in (fs.info, fs.cat_file, fs.rm_file, fs.open_sink, fs.ls):
        with pytest.raises(InvalidLocation):
            call(path)


@pytest.fixture
def tree(fs: AzureFileSystem, path: str) -> str:
    for name in ("one", "two b", "below/three", "below/deep/four", "beside"):
        fs.pipe_file(f"{path}/{name}", name.encode())
    fs.pipe_file(f"{path}-other/five", b"five")
    return path


def test_folders_are_listed_by_level_or_recursively(fs: AzureFileSystem, tree: str) -> None:
    assert sorted(fs.ls(tree, detail=False)) == [f"{tree}/{name}" for name in ("below", "beside", "one", "two b")]
    assert fs.ls(f"az://{tree}/", detail=False) == fs.ls(tree, detail=False)
    assert {entry["name"]: entry["type"] for entry in fs.ls(tree)}[f"{tree}/below"] == "directory"
    every = ["below/deep/four", "below/three", "beside", "one", "two b"]
    assert fs.find(tree) == [f"{tree}/{name}" for name in every]
    assert fs.find(tree, maxdepth=1) == [f"{tree}/{name}" for name in ("beside", "one", "two b")]
    assert fs.find(tree, maxdepth=2) == [f"{tree}/{name}" for name in every[1:]]
    assert fs.find(tree, withdirs=True)[:3] == [tree, f"{tree}/below", f"{tree}/below/deep"]
    assert fs.find(f"{tree}/one") == [f"{tree}/one"]
    assert fs.find(f"{tree}/none") == []
    assert {name: entry["size"] for name, entry in fs.find(tree, detail=True).items()} == {
        f"{tree}/{name}": len(name) for name in every
    }
    assert fs.glob(f"{tree}/*o*") == [f"{tree}/{name}" for name in ("below", "one", "two b")]
    assert [folder for folder, _, _ in fs.walk(tree)] == [tree, f"{tree}/below", f"{tree}/below/deep"]
    assert fs.ls(f"{tree}/one", detail=False) == [f"{tree}/one"]
    assert "ward" in fs.ls("", detail=False)


def test_objects_folders_and_missing_paths_are_distinguished(fs: AzureFileSystem, tree: str) -> None:
    assert (fs.isfile(f"{tree}/one"), fs.isdir(f"{tree}/one"), fs.exists(f"{tree}/one")) == (True, False, True)
    assert (fs.isfile(f"{tree}/below"), fs.isdir(f"{tree}/below"), fs.exists(f"{tree}/below")) == (False, True, True)
    assert (fs.isfile(f"{tree}/on"), fs.isdir(f"{tree}/on"), fs.exists(f"{tree}/on")) == (False, False, False)
    assert (fs.isdir("ward"), fs.exists("ward"), fs.exists("no-such-container"), fs.isdir("")) == (
        True,
        True,
        False,
        True,
    )


def test_listings_are_not_cached(fs: AzureFileSystem, tree: str) -> None:
    fs.rm_file(f"{tree}/one")
    assert f"{tree}/one" not in fs.ls(tree, detail=False)
    fs.pipe_file(f"{tree}/beside", b"longer than before")
    assert fs.info(f"{tree}/beside")["size"] == 18
    assert fs.modified(f"{tree}/beside") >= fs.created(f"{tree}/beside")


def test_removing_a_folder_removes_nothing_else(fs: AzureFileSystem, tree: str) -> None:
    with pytest.raises(ObjectNotFound):
        fs.rm(f"{tree}/below")
    fs.rm(f"{tree}/below", recursive=True)
    assert fs.find(tree) == [f"{tree}/{name}" for name in ("beside", "one", "two b")]
    fs.rm([f"{tree}/one", f"{tree}/two b"])
    fs.rm(f"{tree}/b*")
    assert fs.find(tree) == []
    assert fs.cat_file(f"{tree}-other/five") == b"five"
    for missing in (tree, f"{tree}/*", "no-such-container/a"):
        with pytest.raises(ObjectNotFound):
            fs.rm(missing, recursive=True)


def test_containers_are_never_removed(fs: AzureFileSystem, service: BlobServiceClient) -> None:
    service.create_container("doomed")
    fs.pipe_file("doomed/a/b", b"x")
    with pytest.raises(NotAnObject, match="az://doomed is a container; name an object in it"):
        fs.rm("doomed")
    fs.rm("doomed", recursive=True)
    assert fs.find("doomed") == []
    assert service.get_container_client("doomed").exists()
    assert fs.ls("doomed") == []


def test_blobs_that_mark_folders_are_listed_as_folders(
    fs: AzureFileSystem, service: BlobServiceClient, path: str
) -> None:
    container, name = service.get_container_client("ward"), path.partition("/")[2]
    container.upload_blob(f"{name}/", b"")
    container.upload_blob(f"{name}/below", b"", metadata={"hdi_isfolder": "true"})
    container.upload_blob(f"{name}/below/one", b"1")
    container.upload_blob(f"{name}/empty/", b"")
    assert fs.isdir(f"{path}/below")
    assert fs.isdir(f"{path}/empty")
    assert sorted(fs.ls(path, detail=False)) == [f"{path}/below", f"{path}/empty"]
    assert {entry["type"] for entry in fs.ls(path)} == {"directory"}
    assert fs.ls(f"{path}/empty") == []
    assert fs.find(path) == [f"{path}/below/one"]
    fs.rm(path, recursive=True)
    assert [one.name for one in container.list_blobs(name)] == []


def test_folder_that_is_a_blob_is_removed_after_what_is_in_it(
    proxy: Any, open_fs: OpenFs, document: dict[str, Any], service: BlobServiceClient, path: str
) -> None:
    # An account with a hierarchical namespace refuses to remove a folder that is not empty.
    container, name = service.get_container_client("ward"), path.partition("/")[2]
    for folder in ("", "/a", "/a/b"):
        container.upload_blob(f"{name}{folder}", b"", metadata={"hdi_isfolder": "true"})
    container.upload_blob(f"{name}/a/b/one", b"1")
    container.upload_blob(f"{name}/two", b"2")
    removed: list[str] = []

    def respond(request: Request) -> Answer:
        if request.method == "DELETE":
            removed.append(request.target.partition("/ward/")[2].removeprefix(name))
        return proxy.respond(request)

    with hostile_server(respond) as (url, _):
        open_fs({**document, "endpoint_url": f"{url}/clinic"}).rm(path, recursive=True)
    assert sorted(removed[:2]) == ["/a/b/one", "/two"]
    assert removed[2:] == ["/a/b", "/a", ""]
    assert [one.name for one in container.list_blobs(name)] == []


def test_ranges_follow_python_slices(fs: AzureFileSystem, path: str) -> None:
    data = os.urandom(3 << 20)
    fs.pipe_file(path, data)
    for start, end in [(None, None), (5, None), (-5, None), (None, 7), (None, -7), (3, -3), (9, 4), (1 << 22, None)]:
        assert fs.cat_file(path, start, end) == data[start:end]
    with fs.open(path) as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == data[-10:]


def test_local_files_are_uploaded_and_downloaded(
    fs: AzureFileSystem, path: str, tmp_path: Path, stored: Stored
) -> None:
    data = os.urandom(9 << 20)
    (tmp_path / "one").write_bytes(data)
    fs.put(str(tmp_path / "one"), path)
    assert stored(path) == data
    fs.get(path, str(tmp_path / "two"))
    assert (tmp_path / "two").read_bytes() == data


def test_files_are_committed_only_on_success(fs: AzureFileSystem, path: str, stored: Stored) -> None:
    fs.pipe_file(path, b"previous")
    with pytest.raises(RuntimeError), fs.open(path, "wb") as file:
        file.write(b"half")
        raise RuntimeError
    assert stored(path) == b"previous"
    with pytest.raises(ObjectExists):
        fs.pipe_file(path, b"new", mode="create")
    with pytest.raises(NotSupported, match="not 'ab'"):
        fs.open(path, "ab")


def test_errors_of_the_filesystem_are_errors_of_connectors(fs: AzureFileSystem) -> None:
    for fail in (
        lambda: fs.info("ward/none"),
        lambda: fs.ls("ward/none"),
        lambda: fs.cat_file("ward/none"),
        lambda: fs.rm_file("ward/none"),
        lambda: fs.info("no-such-container/none"),
        lambda: fs.cp_file("ward/none", "ward/other"),
        lambda: fs.open("ward/none").read(),
    ):
        with pytest.raises(ObjectNotFound, match="none") as caught:
            fail()
        assert caught.value.__context__ is None
    with pytest.raises(NotAnObject):
        fs.cp_file("ward", "ward/other")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("end", ["success", "failed", "aborted"])
def test_asynchronous_copy_is_awaited(
    proxy: Any, open_fs: OpenFs, document: dict[str, Any], path: str, stored: Stored, end: str
) -> None:
    fs = open_fs(document)
    fs.pipe_file(path, b"37.2")
    states = itertools.chain(["pending"] * 3, itertools.repeat(end))

    def instead(_: str, response: Answer) -> Answer:
        headers = {name: value for name, value in response.headers.items() if name.lower() != "x-ms-copy-status"}
        return Answer(response.status, {**headers, "x-ms-copy-status": next(states)}, response.body)

    proxy.instead = instead
    del proxy.seen[:]
    if end == "success":
        fs.cp_file(path, f"{path}-copy")
        assert proxy.seen == ["PUT", "HEAD", "HEAD", "HEAD"]
        assert stored(f"{path}-copy") == b"37.2"
    else:
        with pytest.raises(StorageError, match="Azure did not finish the copy to"):
            fs.cp_file(path, f"{path}-copy")
        assert stored(f"{path}-copy") is None  # and no empty object is left
    assert stored(path) == b"37.2"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("limit", "growing"), [("_MAX_IDLE_COPY", False), ("_MAX_COPY", True)])
def test_copy_without_an_end_is_cancelled(
    proxy: Any,
    open_fs: OpenFs,
    document: dict[str, Any],
    path: str,
    stored: Stored,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    growing: bool,
) -> None:
    fs = open_fs(document)
    fs.pipe_file(path, b"37.2")
    copied = itertools.count() if growing else itertools.cycle([1, 0])

    def instead(_: str, response: Answer) -> Answer:
        skipped = ("x-ms-copy-progress", "x-ms-copy-status")
        headers = {name: value for name, value in response.headers.items() if name.lower() not in skipped}
        pending = {"x-ms-copy-status": "pending", "x-ms-copy-progress": f"{next(copied)}/1000"}
        return Answer(response.status, {**headers, **pending}, response.body)

    proxy.instead = instead
    del proxy.seen[:]
    monkeypatch.setattr(f"connectors_azure.store.{limit}", 0.25)
    with pytest.raises(StorageUnavailable, match="makes no progress with the copy to .*, so it was cancelled"):
        fs.cp_file(path, f"{path}-copy")
    assert proxy.seen[0] == "PUT"
    assert proxy.seen[-3:] == ["PUT copy", "HEAD", "DELETE"]
    assert stored(f"{path}-copy") is None  # and no empty object is left
    assert stored(path) == b"37.2"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("copy_id", [None, "", "not an id"])
def test_failed_copy_without_a_valid_id_removes_nothing(
    proxy: Any, open_fs: OpenFs, document: dict[str, Any], path: str, stored: Stored, copy_id: str | None
) -> None:
    fs = open_fs(document)
    fs.pipe_file(path, b"37.2")
    given = {} if copy_id is None else {"x-ms-copy-id": copy_id}

    def instead(_: str, response: Answer) -> Answer:
        skipped = ("x-ms-copy-id", "x-ms-copy-status")
        headers = {name: value for name, value in response.headers.items() if name.lower() not in skipped}
        return Answer(response.status, {**headers, "x-ms-copy-status": "failed", **given}, response.body)

    proxy.instead = instead
    with pytest.raises(StorageError, match="Azure did not finish the copy to"):
        fs.cp_file(path, f"{path}-copy")
    assert "DELETE" not in proxy.seen
    assert stored(f"{path}-copy") == b"37.2"


def test_dataset_round_trip(document: dict[str, Any], fs: AzureFileSystem, path: str, stored: Stored) -> None:
    dataset = connectors.Dataset(f"azure://{path}", document)
    data = os.urandom(300_000)
    dataset.write_bytes(data)
    assert dataset.read_bytes() == data
    with dataset.open() as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == data[-10:]
    assert len(stored(path) or b"") > len(data)


@pytest.mark.usefixtures("quick")
def test_listing_outside_the_folder_removes_nothing(
    proxy: Any, open_fs: OpenFs, document: dict[str, Any], fs: AzureFileSystem, tree: str
) -> None:
    below = tree.partition("/")[2].encode()

    def instead(name: str, response: Answer) -> Answer:
        return Answer(response.status, response.headers, response.body.replace(b"<Name>" + below, b"<Name>elsewhere"))

    proxy.instead = instead
    hostile = open_fs(document)
    del proxy.seen[:]
    for call in (hostile.find, hostile.ls, lambda path: hostile.rm(path, recursive=True)):
        with pytest.raises(StorageUnavailable, match="Azure sent a listing with names outside the folder"):
            call(tree)
    assert set(proxy.seen) == {"GET container list"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("page", [b"<html>login</html>", b"<Error><Code>ServerBusy</Code></Error>"])
def test_page_that_is_no_listing_is_not_an_empty_folder(
    proxy: Any, open_fs: OpenFs, document: dict[str, Any], page: bytes
) -> None:
    proxy.instead = lambda *_: Answer(200, {}, page)
    fs = open_fs(document)
    for call in (fs.find, fs.ls, lambda path: fs.rm(path, recursive=True)):
        with pytest.raises(StorageUnavailable, match="Azure sent an invalid response"):
            call("ward/folder/")
    with pytest.raises(StorageUnavailable, match="Azure sent an invalid response"):
        fs.ls("")


def test_forked_child_opens_its_own_connections(fs: AzureFileSystem, path: str) -> None:
    data = os.urandom(100_000)
    fs.pipe_file(path, data)
    assert in_child("fork", fs.cat_file, path) == data
    assert fs.cat_file(path) == data


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("answered", [{}, {"ETag": '"1"'}, {"x-ms-blob-type": "BlockBlob"}], ids=str)
def test_answer_to_head_that_is_not_azures_describes_no_blob(
    proxy: Any, open_fs: OpenFs, document: dict[str, Any], answered: dict[str, str]
) -> None:
    fs = open_fs(document)
    proxy.instead = lambda *_: Answer(200, {"Content-Type": "text/html", **answered}, b"<html>log in</html>")
    for call in (fs.info, fs.exists, fs.size):
        with pytest.raises(StorageUnavailable, match="Azure sent an invalid response for .*ward/one"):
            call("ward/one")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("other", ["00000000-0000-0000-0000-000000000000", None])
def test_copy_that_another_client_replaces_is_no_success(
    proxy: Any, open_fs: OpenFs, document: dict[str, Any], path: str, stored: Stored, other: str | None
) -> None:
    fs = open_fs(document)
    fs.pipe_file(path, b"37.2")

    def instead(name: str, response: Answer) -> Answer:
        skipped = {"x-ms-copy-status"} | ({"x-ms-copy-id"} if name == "HEAD" else set())
        headers = {one: value for one, value in response.headers.items() if one.lower() not in skipped}
        headers["x-ms-copy-status"] = "success" if name == "HEAD" else "pending"
        if name == "HEAD" and other is not None:
            headers["x-ms-copy-id"] = other
        return Answer(response.status, headers, response.body)

    proxy.instead = instead
    del proxy.seen[:]
    with pytest.raises(ObjectChanged, match="was replaced while a blob was being copied to it"):
        fs.cp_file(path, f"{path}-copy")
    assert "DELETE" not in proxy.seen
    assert stored(f"{path}-copy") == b"37.2"
