"""What a storage refuses is an error, and never taken for absent: through every method of fsspec's."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import uuid

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

import connectors
from connectors.app.protocol import DatasetFileSystem
from connectors.errors import (
    AccessDenied,
    ConfigError,
    ConnectorError,
    CredentialsExpired,
    IntegrityError,
    ObjectChanged,
    ObjectNotFound,
    StorageUnavailable,
)
from connectors.fs.encrypted import AsyncEncryptedFileSystem, EncryptedFileSystem

KEY = "5a" * 32
NAMES = ["one.csv", "2025/two.csv", "2026/three.csv", "2026/north/four.csv"]
"""The second folder's listing is the one that is refused."""

OURS = {
    "cat_file", "cat_ranges", "copy", "cp_file", "created", "exists", "expand_path", "find", "get", "get_file",
    "get_mapper", "glob", "info", "isdir", "isfile", "ls", "makedirs", "mkdir", "modified", "mv", "open", "pipe_file",
    "put", "put_file", "rm", "rm_file", "rmdir", "walk",
}  # fmt: skip
"""Methods that both filesystems define, instead of inheriting fsspec's."""
INHERITED = {
    "cat": "expands paths by `expand_path`, reads by `cat_file`; swallows errors only if asked to by on_error",
    "checksum": "hashes `info`",
    "clear_instance_cache": "touches no storage",
    "cp": "is `copy`",
    "current": "touches no storage",
    "delete": "is `rm`",
    "disk_usage": "is `du`",
    "download": "is `get`",
    "du": "adds up `info` of what `find` lists",
    "end_transaction": "commits by `open`'s files",
    "from_dict": "touches no storage",
    "from_json": "touches no storage",
    "fsid": "touches no storage",
    "head": "reads by `open`",
    "invalidate_cache": "touches no storage",
    "lexists": "is `exists`",
    "listdir": "is `ls`",
    "makedir": "is `mkdir`",
    "mkdirs": "is `makedirs`",
    "move": "is `mv`",
    "pipe": "writes by `pipe_file`",
    "read_block": "reads by `open`",
    "read_bytes": "is `cat_file`",
    "read_text": "reads by `open`",
    "rename": "is `mv`",
    "sign": "refuses: NotImplementedError",
    "size": "is `info`",
    "sizes": "is `info`",
    "start_transaction": "touches no storage",
    "stat": "is `info`",
    "tail": "reads by `open`",
    "to_dict": "touches no storage",
    "to_json": "touches no storage",
    "touch": "asks `exists`, writes by `open`",
    "tree": "lists by `ls`",
    "ukey": "hashes `info`",
    "unstrip_protocol": "touches no storage",
    "upload": "is `put`",
    "write_bytes": "is `pipe_file`",
    "write_text": "writes by `open`",
}


def home(kind, name):
    """The package that defines a class's attribute."""
    return next(one.__module__.partition(".")[0] for one in kind.__mro__ if name in vars(one))


@pytest.mark.parametrize("kind", [EncryptedFileSystem, DatasetFileSystem])
def test_every_public_method_of_fsspec_is_decided_on(kind):
    public = {
        name
        for name in dir(fsspec.AbstractFileSystem)
        if not name.startswith("_") and callable(getattr(fsspec.AbstractFileSystem, name))
    } - {"transaction_type"}
    assert public - OURS - INHERITED.keys() == set(), "decide on these: complete or an error"
    assert {name for name in OURS if home(kind, name) == "fsspec"} == set()


def test_every_coroutine_of_fsspec_is_ours():
    names = [
        name
        for name, member in inspect.getmembers(AsyncFileSystem)
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
    ]
    theirs = {name for name in names if home(AsyncEncryptedFileSystem, name) == "fsspec"}
    assert theirs <= {"_process_limits", "open_async"}


class Refusing(MemoryFileSystem):
    """Objects in memory, of which one folder cannot be listed, by an error that a storage's library raises."""

    cachable = False
    protocol = "refusing"
    error: BaseException | None = None
    once = False

    def ls(self, path, detail=True, **kwargs):
        refuse(self, path)
        return super().ls(path, detail=detail, **kwargs)


def refuse(storage, path):
    """Raise the storage's error, if it has one, for one folder."""
    error = getattr(storage, "error", None)
    if error is not None and path.rstrip("/").endswith("/2026"):
        storage.error = None if getattr(storage, "once", False) else error
        raise error


ERRORS = {
    "403": PermissionError(13, "slow down"),
    "501": OSError("the server answered 501"),
    "cut": ConnectionResetError(104, "Connection reset by peer"),
    "timeout": TimeoutError("timed out"),
    "expired": CredentialsExpired("the credentials have expired"),
    "unavailable": StorageUnavailable("try again later"),
    "gone": FileNotFoundError(2, "no such folder"),
}


@pytest.fixture(params=["free", "bound", "in a folder of another", "asynchronous", "dataset"])
def refusing(request, tmp_path, monkeypatch):
    """A view, the folder's path in it, and the storage below it."""
    root = f"/refusing-{uuid.uuid4().hex}"
    inner = Refusing()
    if request.param == "dataset":
        folder = tmp_path / "app/input/wards/dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text(f"memory:/{root}/")
        (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
        view, path = DatasetFileSystem(tmp_path / "app", skip_instance_cache=True), "input/wards"
        inner = view._locate(path)[0].fs
        ls = type(inner).ls

        def refusing_ls(self, path, detail=True, **kwargs):
            refuse(self, path)
            return ls(self, path, detail=detail, **kwargs)

        monkeypatch.setattr(type(inner), "ls", refusing_ls)
    elif request.param == "in a folder of another":
        view, path = EncryptedFileSystem(fs=DirFileSystem(path=root, fs=inner), key=KEY), "wards"
    elif request.param == "asynchronous":
        view, path = EncryptedFileSystem(fs=AsyncFileSystemWrapper(inner), key=KEY), root
    else:
        view, path = EncryptedFileSystem(fs=inner, key=KEY, root=root if request.param == "bound" else None), root
    for name in NAMES:
        view.pipe_file(f"{path}/{name}", name.encode())
    yield view, path, inner
    vars(inner).pop("error", None)
    vars(inner).pop("once", None)
    for name in [name for name in MemoryFileSystem.store if name.startswith(root)]:
        del MemoryFileSystem.store[name]


USES = {
    "find": lambda fs, path, tmp: fs.find(path),
    "find, with folders": lambda fs, path, tmp: fs.find(path, withdirs=True, detail=True),
    "find, two levels": lambda fs, path, tmp: fs.find(path, maxdepth=2),
    "walk": lambda fs, path, tmp: list(fs.walk(path)),
    "walk, omitting": lambda fs, path, tmp: list(fs.walk(path, on_error="omit")),
    "glob": lambda fs, path, tmp: fs.glob(f"{path}/**/*.csv"),
    "glob, one level": lambda fs, path, tmp: fs.glob(f"{path}/*/*.csv"),
    "du": lambda fs, path, tmp: fs.du(path),
    "expand_path": lambda fs, path, tmp: fs.expand_path(path, recursive=True),
    "cat": lambda fs, path, tmp: fs.cat(path, recursive=True),
    "get": lambda fs, path, tmp: fs.get(path, str(tmp / "copy"), recursive=True),
    "copy": lambda fs, path, tmp: fs.copy(path, f"{path}/copy", recursive=True),
    "mv": lambda fs, path, tmp: fs.mv(f"{path}/2026", f"{path}/moved", recursive=True),
    "mv of all": lambda fs, path, tmp: fs.mv(path, f"{path}-moved", recursive=True),
    "rm": lambda fs, path, tmp: fs.rm(path, recursive=True),
    "mapper": lambda fs, path, tmp: list(fs.get_mapper(path)),
    "mapper, cleared": lambda fs, path, tmp: fs.get_mapper(path).clear(),
    "tree": lambda fs, path, tmp: fs.tree(path, recursion_limit=5),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("use", USES)
def test_refused_listing_is_an_error_and_nothing_is_lost(refusing, use, error, tmp_path):
    fs, path, inner = refusing
    if use == "mv of all" and isinstance(fs, DatasetFileSystem):
        path = f"{path}/2026"
    inner.error = ERRORS[error]
    if use == "walk, omitting" and error == "gone":
        assert [where for where, _, _ in fs.walk(f"{path}/none", on_error="omit")] == []
        return
    with pytest.raises((OSError, ConnectorError)) as raised:
        USES[use](fs, path, tmp_path)
    if error == "403":
        assert isinstance(raised.value, AccessDenied)
    if error == "gone":
        assert isinstance(raised.value, (ObjectChanged, ObjectNotFound))
    inner.error = None
    path = "input/wards" if isinstance(fs, DatasetFileSystem) else path
    assert {fs.cat_file(f"{path}/{name}").decode() for name in NAMES} == set(NAMES)


def test_listing_that_is_refused_once_moves_nothing(refusing):
    fs, path, inner = refusing
    inner.error, inner.once = PermissionError("slow down"), True
    with pytest.raises(AccessDenied):
        fs.mv(f"{path}/2026", f"{path}/archive", recursive=True)
    assert sorted(fs.find(f"{path}/2026")) == sorted(f"{path}/{name}" for name in NAMES[2:])


def test_moved_folder_keeps_what_was_added_while_it_moved(refusing):
    fs, path, _ = refusing
    copy = fs._copy_one

    def add_then_copy(original, *args, **kwargs):
        if original.endswith("three.csv"):
            fs.pipe_file(f"{path}/2026/late.csv", b"late")
        return copy(original, *args, **kwargs)

    fs._copy_one = add_then_copy
    try:
        fs.mv(f"{path}/2026", f"{path}/archive", recursive=True)
    finally:
        del fs._copy_one
    assert fs.cat_file(f"{path}/2026/late.csv") == b"late"
    assert sorted(fs.find(f"{path}/archive")) == [f"{path}/archive/north/four.csv", f"{path}/archive/three.csv"]
    assert fs.find(f"{path}/2026") == [f"{path}/2026/late.csv"]


@pytest.mark.parametrize(
    ("originals", "target"),
    [
        (["2025/one.csv", "2026/one.csv"], "all/"),
        (["2025/one.csv", "2026/one.csv"], ["all/one.csv", "all/one.csv"]),
        (["2025/one.csv", "2026/one.csv"], ["2026/one.csv", "all/one.csv"]),
    ],
)
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("verb", ["mv", "copy"])
def test_no_copy_replaces_another_or_an_original(originals, target, bound, verb):
    root = f"/meeting-{uuid.uuid4().hex}"
    fs = EncryptedFileSystem(fs=MemoryFileSystem(), key=KEY, root=root if bound else None)
    for name in originals:  # of one size, which alone would not tell them apart
        fs.pipe_file(f"{root}/{name}", name.encode())
    paths = [f"{root}/{name}" for name in originals]
    to = f"{root}/{target}" if isinstance(target, str) else [f"{root}/{name}" for name in target]
    with pytest.raises(ConfigError, match="would be replaced by another of these"):
        getattr(fs, verb)(paths, to)
    assert {fs.cat_file(path).decode() for path in paths} == set(originals)
    assert len(fs.find(root)) == 2
    fs.rm(root, recursive=True)


def test_several_paths_are_moved_on_a_filesystem_that_renames(tmp_path):
    fs = EncryptedFileSystem(fs=LocalFileSystem(auto_mkdir=True), key=KEY)
    for name in NAMES[:2]:
        fs.pipe_file(f"{tmp_path}/{name}", name.encode())
    fs.mv([f"{tmp_path}/{name}" for name in NAMES[:2]], f"{tmp_path}/all/")
    assert {fs.cat_file(f"{tmp_path}/all/{name}") for name in ("one.csv", "two.csv")} == {b"one.csv", b"2025/two.csv"}
    assert not any(fs.exists(f"{tmp_path}/{name}") for name in NAMES[:2])


@pytest.mark.parametrize("lie", ["lost", "another", "shorter"])
def test_moved_originals_stay_if_a_copy_is_not_the_same(lie):
    class Lossy(MemoryFileSystem):
        """Copies of which the last is not what it should be."""

        cachable = False

        def cp_file(self, path1, path2, **kwargs):
            super().cp_file(path1, path2, **kwargs)
            if path1.endswith("four.csv"):
                other = self.store[f"{root}/one.csv"] if lie == "another" else None
                if lie == "lost":
                    del self.store[path2]
                elif other is not None:
                    self.pipe_file(path2, other.getvalue())
                else:
                    self.pipe_file(path2, self.cat_file(path2)[:-1])

    root = f"/lossy-{uuid.uuid4().hex}"
    fs = EncryptedFileSystem(fs=Lossy(), key=KEY)
    for name in NAMES:
        fs.pipe_file(f"{root}/{name}", name.encode())
    with pytest.raises(ConnectorError):
        fs.mv(f"{root}/2026", f"{root}/archive", recursive=True)
    assert {fs.cat_file(f"{root}/{name}").decode() for name in NAMES} == set(NAMES)
    fs.rm(root, recursive=True)


def test_unreadable_local_folder_is_not_put_as_if_it_were_empty(tmp_path, monkeypatch):
    local = tmp_path / "wards"
    for name in NAMES:
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_text(name)
    honest = LocalFileSystem.ls

    def ls(self, path, detail=False, **kwargs):
        if path.endswith("2026"):
            raise PermissionError(13, "Permission denied")
        return honest(self, path, detail=detail, **kwargs)

    root = f"/put-{uuid.uuid4().hex}"
    fs = EncryptedFileSystem(fs=MemoryFileSystem(), key=KEY)
    monkeypatch.setattr(LocalFileSystem, "ls", ls)
    with pytest.raises(AccessDenied):
        fs.put(str(local), root, recursive=True)
    assert fs.find(root) == []


def test_names_that_look_like_patterns_remove_nothing_else():
    root = f"/patterns-{uuid.uuid4().hex}"
    fs = EncryptedFileSystem(fs=MemoryFileSystem(), key=KEY)
    for name in ("ward[1]", "ward1", "ward[1]s/x", "ward1s/x"):
        fs.pipe_file(f"{root}/{name}", name.encode())
    fs.rm(f"{root}/ward[1]")
    fs.rm(f"{root}/ward[1]s", recursive=True)
    assert fs.find(root) == [f"{root}/ward1", f"{root}/ward1s/x"]
    fs.rm(f"{root}/ward?")
    assert fs.find(root) == [f"{root}/ward1s/x"]
    with pytest.raises(ObjectNotFound):
        fs.rm(f"{root}/ward?")
    fs.rm(root, recursive=True)


def test_coroutines_that_walk_and_glob_are_complete_or_raise():
    root = f"/coroutines-{uuid.uuid4().hex}"
    inner = Refusing()
    fs = EncryptedFileSystem(fs=AsyncFileSystemWrapper(inner), key=KEY, asynchronous=True)

    async def work():
        for name in NAMES:
            await fs._pipe_file(f"{root}/{name}", name.encode())
        whole = [found async for found in fs._walk(root)], await fs._glob(f"{root}/**/*.csv"), await fs._du(root)
        inner.error = PermissionError("refused")
        for refused in (lambda: fs._glob(f"{root}/**/*.csv"), lambda: fs._du(root), lambda: fs._isdir(f"{root}/2026")):
            try:
                whole += (await refused(),)
            except ConnectorError as error:
                whole += (type(error),)
        with pytest.raises(AccessDenied):
            [found async for found in fs._walk(root)]
        return whole

    walked, globbed, size, *refused = asyncio.run(work())
    assert [where.removeprefix(root) for where, _, _ in walked] == ["", "/2025", "/2026", "/2026/north"]
    assert globbed == sorted(f"{root}/{name}" for name in NAMES)
    assert size == sum(map(len, NAMES))
    assert refused[:2] == [AccessDenied, AccessDenied]


def pin_of(fs, path):
    with contextlib.closing(fs._open_object(path)) as opened:
        return opened.pin


@pytest.mark.parametrize("kind", ["object", "folder"])
@pytest.mark.parametrize("gone", ["removed", "a folder in its place"])
def test_pinned_object_that_is_gone_is_an_integrity_error(tmp_path, kind, gone):
    place = tmp_path / "store" / "one.csv"
    place.parent.mkdir()
    if kind == "object":
        location, document = f"file://{place}", {"encryption": {"key": KEY}}
    else:
        location, document = f"file://{place.parent}/", {"encryption": {"key": KEY, "manifest": True}}
    fs, path = connectors.Dataset(location, document).filesystem()
    path = path if kind == "object" else f"{path}/one.csv"
    fs.pipe_file(path, b"37.2")
    pin = pin_of(fs, path) if kind == "object" else fs.pin
    for file in place.parent.iterdir():
        file.unlink()
        if gone != "removed":
            file.mkdir()
    document["encryption"]["pin"] = pin
    pinned = connectors.Dataset(location, document).filesystem()[0]
    for use in (
        lambda: pinned.cat_file(path),
        lambda: pinned.info(path),
        lambda: pinned.exists(path),
        lambda: pinned.isfile(path),
        lambda: pinned.open(path).read(),
        lambda: pinned.size(path),
        lambda: pinned.cat_ranges([path], 0, 1, on_error="raise"),
        lambda: pinned.get_file(path, str(tmp_path / "copy")),
        *((lambda: pinned.find(path), lambda: pinned.ls(path.rpartition("/")[0])) if kind == "folder" else ()),
    ):
        with pytest.raises(IntegrityError):
            use()
    (found,) = pinned.cat_ranges([path], 0, 1)
    assert isinstance(found, IntegrityError)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("pinned", [False, True])
def test_object_that_vanishes_while_it_is_read_is_not_not_found(tmp_path, pinned):
    location = f"memory://vanishing-{uuid.uuid4().hex}"
    document = {"encryption": {"key": KEY}}
    fs, path = connectors.Dataset(location, document).filesystem()
    fs.pipe_file(path, bytes(4 << 20))
    if pinned:
        document["encryption"]["pin"] = pin_of(fs, path)
        fs, path = connectors.Dataset(location, document).filesystem()
    with fs.open(path) as file:
        file.read(10)
        MemoryFileSystem.store.pop(next(name for name in MemoryFileSystem.store if name.endswith(path.strip("/"))))
        file.seek(3 << 20)
        with pytest.raises(IntegrityError if pinned else ObjectChanged, match="was removed"):
            file.read(1 << 19)
