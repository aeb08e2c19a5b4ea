from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from connectors.errors import (
    AccessDenied,
    NotAnObject,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import trees
from connectors_sftp import names
from connectors_sftp.error_mapping import storage_error
from connectors_sftp.filesystem import SFTP

Server = Any  # tests/conftest.py's SSHServer, which no test can import


@pytest.fixture
def folder(fs: SFTP, path: str) -> str:
    """A folder with three files in it."""
    folder = os.path.dirname(path)
    os.makedirs(f"{folder}/ward/north")
    for name in ("one", "ward/two", "ward/north/three"):
        Path(f"{folder}/{name}").write_bytes(name.encode())
    return folder


def test_files_and_folders_are_distinguished(fs: SFTP, folder: str) -> None:
    assert fs.info(f"{folder}/one")["type"] == "file"
    assert fs.info(f"{folder}/one")["size"] == 3
    assert fs.isfile(f"{folder}/one")
    assert fs.isdir(f"{folder}/ward")
    assert fs.isdir("/")
    assert not fs.isdir(f"{folder}/none")
    assert not fs.exists(f"{folder}/one/below")
    assert fs.modified(f"{folder}/one").timestamp() == int(os.stat(f"{folder}/one").st_mtime)
    with pytest.raises(NotSupported):
        fs.created(f"{folder}/one")


def test_folder_is_listed_and_a_file_lists_itself(fs: SFTP, folder: str) -> None:
    assert sorted(fs.ls(folder, detail=False)) == [f"{folder}/one", f"{folder}/ward"]
    assert [one["name"] for one in fs.ls(f"{folder}/one")] == [f"{folder}/one"]
    with pytest.raises(ObjectNotFound):
        fs.ls(f"{folder}/none")


def test_find_returns_everything_below_a_folder(fs: SFTP, folder: str) -> None:
    files = [f"{folder}/{name}" for name in ("one", "ward/north/three", "ward/two")]
    assert fs.find(folder) == fs.find(f"sftp://ignored{folder}/") == files
    assert fs.find(folder, maxdepth=1) == files[:1]
    folders = [folder, f"{folder}/ward", f"{folder}/ward/north"]
    assert fs.find(folder, withdirs=True) == sorted(files + folders)
    assert fs.find(files[0]) == files[:1]
    assert fs.find(f"{folder}/none") == []
    assert fs.glob(f"{folder}/**/t*") == files[1:]


def test_find_raises_if_a_folder_cannot_be_listed(own: Server) -> None:
    def denied(*_: Any) -> Any:
        raise asyncssh.SFTPPermissionDenied("no")

    (own.root / "ward").mkdir()
    fs = own.filesystem()
    assert fs.find(str(own.root)) == []
    own.hooks["scandir"] = denied
    with pytest.raises(AccessDenied):
        fs.find(str(own.root))


def test_exists_raises_if_the_server_does_not_say(own: Server) -> None:
    def denied(*_: Any) -> Any:
        raise asyncssh.SFTPPermissionDenied("no")

    own.hooks["stat"] = denied
    for ask in (own.filesystem().exists, own.filesystem().isfile, own.filesystem().isdir):
        with pytest.raises(AccessDenied):
            ask("/a")


def test_links_are_followed_to_files_but_not_to_folders(fs: SFTP, folder: str) -> None:
    os.symlink("one", f"{folder}/to-one")
    os.symlink(".", f"{folder}/to-itself")
    os.symlink("nowhere", f"{folder}/to-nothing")
    kinds = {one["name"].removeprefix(f"{folder}/"): (one["type"], one["size"]) for one in fs.ls(folder)}
    assert kinds["to-one"] == ("file", 3)
    assert kinds["to-itself"] == kinds["to-nothing"] == ("other", 0)
    assert f"{folder}/to-one" in fs.find(folder)
    assert fs.isdir(f"{folder}/to-itself")
    os.symlink(f"{folder}/ward", f"{folder}-link")
    fs.rm(f"{folder}-link", recursive=True)
    assert os.path.exists(f"{folder}/ward/two")
    fs.rm(folder, recursive=True)
    assert not os.path.exists(folder)


def test_links_to_folders_are_found_among_many_names(fs: SFTP, folder: str) -> None:
    os.symlink("one", f"{folder}/to-one")
    os.symlink("nowhere", f"{folder}/to-nothing")
    links = [f"{folder}/to-{number}" for number in range(300)]
    for link in links:
        os.symlink("ward", link)
    assert fs.folder_links([*fs.find(folder, withdirs=True), f"{folder}/none"]) == sorted(links)


def test_names_that_are_not_unicode_are_listed_and_read(fs: SFTP, folder: str) -> None:
    Path(os.fsdecode(f"{folder}/".encode() + b"caf\xe9")).write_bytes(b"37.2")
    (name,) = (one for one in fs.ls(folder, detail=False) if one.startswith(f"{folder}/caf"))
    assert fs.cat_file(name) == b"37.2"


def test_invalid_names_in_a_listing_are_refused(own: Server) -> None:
    async def scandir(_real: Any, _path: bytes) -> Any:
        yield asyncssh.SFTPName(b"../../etc/passwd", attrs=asyncssh.SFTPAttrs(permissions=0o100644, size=1))

    own.hooks["scandir"] = scandir
    with pytest.raises(StorageUnavailable, match="do not trust it"):
        own.filesystem().ls(str(own.root))


def entry(name: str, kind: int) -> asyncssh.SFTPName:
    return asyncssh.SFTPName(name.encode(), attrs=asyncssh.SFTPAttrs(permissions=kind | 0o700, size=1))


@pytest.mark.parametrize("what", ["names", "the same name", "folders in folders", "a tree"])
def test_endless_listing_is_an_error(own: Server, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    async def scandir(_real: Any, _path: bytes) -> Any:
        match what:
            case "names":
                for number in itertools.count():
                    yield entry(f"file-{number}", stat.S_IFREG)
            case "the same name":
                while True:
                    yield entry("file", stat.S_IFREG)
            case "folders in folders":
                yield entry("deeper", stat.S_IFDIR)
            case _:
                for number in range(100):
                    yield entry(f"folder-{number}", stat.S_IFDIR)

    monkeypatch.setattr(names, "MOST_NAMES", 5_000)
    monkeypatch.setattr(trees, "_MAX_OBJECTS", 5_000)
    (own.root / "ward").mkdir()
    own.hooks["scandir"] = scandir
    fs = own.filesystem()
    for ask in (fs.find, *((fs.ls,) if "name" in what else ())):
        with pytest.raises(StorageUnavailable, match="does not end; do not trust"):
            ask(f"{own.root}/ward")
    if "tree" not in what:
        with pytest.raises(StorageUnavailable, match="does not end; do not trust"):
            fs.rm(f"{own.root}/ward", recursive=True)


def test_ranges_are_like_those_of_a_slice(fs: SFTP, path: str) -> None:
    fs.pipe_file(path, b"0123456789")
    for start, end in ((None, None), (2, 5), (-3, None), (None, -3), (5, 2), (8, 100), (20, 30)):
        assert fs.cat_file(path, start, end) == b"0123456789"[start:end]


def test_files_are_copied_within_the_server(fs: SFTP, path: str) -> None:
    data = os.urandom(9_000_000)
    fs.pipe_file(path, data)
    fs.cp_file(path, f"{path}-folder/copy")
    assert Path(f"{path}-folder/copy").read_bytes() == data
    with pytest.raises(ObjectNotFound):
        fs.cp_file(f"{path}-none", f"{path}-copy")
    assert sorted(os.listdir(os.path.dirname(path))) == ["object", "object-folder"]


def test_file_that_changes_while_it_is_copied_is_not_copied(own: Server) -> None:
    path = f"{own.root}/object"
    Path(path).write_bytes(bytes(100))

    def change(real: Any, *arguments: Any) -> Any:
        os.utime(path, (1, 1))
        return real(*arguments)

    own.hooks["fsetstat"] = change
    with pytest.raises(StorageError, match="was changed"):
        own.filesystem().cp_file(path, f"{path}-2")
    assert os.listdir(own.root) == ["object"]


def test_files_and_folders_are_moved(fs: SFTP, folder: str) -> None:
    fs.mv(f"{folder}/one", f"{folder}/new/moved")
    fs.mv(f"{folder}/ward", f"{folder}/new/")
    fs.mv(f"{folder}/new/moved", f"{folder}/new/ward/two")
    assert fs.find(folder) == [f"{folder}/new/ward/north/three", f"{folder}/new/ward/two"]
    assert fs.cat_file(f"{folder}/new/ward/two") == b"one"
    with pytest.raises(FileNotFoundError):
        fs.mv(f"{folder}/none", f"{folder}/x")
    with pytest.raises(ObjectNotFound, match="stored at .*/none"):
        fs.rename_all(f"{folder}/none", f"{folder}/deep/down/x")
    assert not os.path.exists(f"{folder}/deep")


def test_files_and_folders_are_removed(fs: SFTP, folder: str) -> None:
    fs.rm_file(f"{folder}/one")
    for missing in (fs.rm_file, fs.rm):
        with pytest.raises(ObjectNotFound):
            missing(f"{folder}/one")
    with pytest.raises(NotAnObject, match="recursive=True"):
        fs.rm(f"{folder}/ward")
    with pytest.raises(NotSupported):
        fs.rm(f"{folder}/ward", recursive=True, maxdepth=1)
    with pytest.raises(StorageError):
        fs.rmdir(f"{folder}/ward")
    fs.rm(f"{folder}/ward/t*")
    assert fs.find(folder) == [f"{folder}/ward/north/three"]
    fs.rm([f"{folder}/ward"], recursive=True)
    assert os.listdir(folder) == []
    fs.rmdir(folder)


def test_existing_name_is_not_a_pattern(fs: SFTP, path: str) -> None:
    fs.pipe_file(f"{path}*", b"pattern")
    fs.pipe_file(f"{path}-2", b"stays")
    fs.rm(f"{path}*")
    assert os.listdir(os.path.dirname(path)) == ["object-2"]


def test_folders_are_made(fs: SFTP, path: str) -> None:
    fs.mkdir(f"{path}/a/b")
    fs.makedirs(f"{path}/a/b/c/d")
    fs.makedirs(f"{path}/a/b", exist_ok=True)
    assert os.path.isdir(f"{path}/a/b/c/d")
    for make in (fs.mkdir, fs.makedirs):
        with pytest.raises(ObjectExists):
            make(f"{path}/a")
    with pytest.raises(ObjectNotFound):
        fs.mkdir(f"{path}/x/y", create_parents=False)


@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_files_are_not_opened_for_update(fs: SFTP, path: str, mode: str) -> None:
    fs.pipe_file(path, b"37.2")
    with pytest.raises(NotSupported, match="an object opens in mode"):
        fs.open(path, mode)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncssh.SFTPNoSuchFile("x"), ObjectNotFound),
        (asyncssh.SFTPFileAlreadyExists("x"), ObjectExists),
        (asyncssh.SFTPFileIsADirectory("x"), NotAnObject),
        (asyncssh.SFTPPermissionDenied("x"), AccessDenied),
        (asyncssh.SFTPQuotaExceeded("x"), StorageError),
        (asyncssh.SFTPFailure("x"), StorageError),
        (asyncssh.SFTPOpUnsupported("x"), NotSupported),
        (asyncssh.SFTPConnectionLost("x"), StorageUnavailable),
        (asyncssh.SFTPBadMessage("x"), StorageUnavailable),
        (asyncssh.PermissionDenied("x"), AccessDenied),
        (asyncssh.KeyExchangeFailed("x"), StorageError),
        (asyncssh.ConnectionLost("x"), StorageUnavailable),
        (asyncssh.ChannelOpenError(1, "x"), StorageUnavailable),
        (asyncssh.packet.PacketDecodeError("x"), StorageUnavailable),
        (ConnectionResetError("x"), StorageUnavailable),
        (TimeoutError("x"), StorageUnavailable),
    ],
)
def test_errors_are_translated_without_the_server_s_text(error: Exception, kind: type[Exception]) -> None:
    error.args = ("hunter2",)
    ours = storage_error(error, "sftp://clinic/a", "read")
    assert type(ours) is kind
    assert "sftp://clinic/a" in str(ours)
    assert "hunter2" not in str(ours)
