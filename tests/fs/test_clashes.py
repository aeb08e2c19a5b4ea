"""Names of objects that cannot all be files of this machine, and copies with one destination: refused before the first."""

from __future__ import annotations

import os
import unicodedata
import uuid

import fsspec
import gcs_server
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from routes import azure_routes

from connectors.errors import ConfigError, ObjectChanged
from connectors.fs.encrypted import EncryptedFileSystem

KEY = "4d" * 32
NFC, NFD = (unicodedata.normalize(form, "Größe") for form in ("NFC", "NFD"))


class Both(MemoryFileSystem):
    """Objects in memory, listed in one request, as an object store lists them: ``a`` may be beside ``a/b``."""

    protocol = "both"
    cachable = False
    store: dict = {}  # noqa: RUF012 - as in fsspec
    pseudo_dirs: list = []  # noqa: RUF012

    def info(self, path, **options):
        if path in self.store:
            return {"name": path, "type": "file", "size": self.store[path].size}
        return super().info(path, **options)

    def find_all(self, path, *, folders):
        inside = f"{path.rstrip('/')}/"
        found = {name: self.info(name) for name in self.store if name.startswith(inside) or name == path}
        if folders:
            for name in list(found):
                above = name
                while (above := self._parent(above)).startswith(path):
                    found.setdefault(above, {"name": above, "type": "directory", "size": 0})
        return found


@pytest.fixture
def both():
    """A folder of an object store in memory."""
    Both.store, Both.pseudo_dirs = {}, [""]
    return EncryptedFileSystem(fs=Both(), key=KEY, root="/wards")


@pytest.fixture(params=["S3", "Azure", "GCS"])
def storage(request, tmp_path):
    """Location and credentials of an empty folder in each object store."""
    name = uuid.uuid4().hex
    if request.param == "S3":
        server = request.getfixturevalue("s3")
        keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
        yield f"s3://clinic/{name}/", {**keys, "endpoint_url": server.endpoint}
    elif request.param == "Azure":
        server = request.getfixturevalue("azure")
        azure_routes(server, None)  # makes the container
        keys = {"account_name": server.account, "account_key": server.key}
        yield f"az://clinic/{name}/", {**keys, "endpoint_url": server.endpoint}
    else:
        with gcs_server.emulating(tmp_path / "log") as emulator:
            yield f"gs://{gcs_server.BUCKET}/{name}/", {"token": "ya29.any", "endpoint_url": emulator.url}


def test_an_object_beside_a_folder_of_its_name_is_not_copied_by_halves(wards, tmp_path):
    fs, path = wards.filesystem()
    files = fsspec.filesystem("dataset", skip_instance_cache=True)
    fs.pipe_file(f"{path}/x/one", b"1")
    fs.pipe_file(f"{path}/x/one/two", b"2")
    assert fs.find(path) == [f"{path}/x/one", f"{path}/x/one/two"]
    listed = {(entry["name"], entry["type"]) for entry in fs.ls(f"{path}/x")}
    assert listed == {(f"{path}/x/one", "directory"), (f"{path}/x/one", "file")}
    for use in (
        lambda: fs.get(path, f"{tmp_path}/copy", recursive=True),
        lambda: fs.get(f"{path}/x", f"{tmp_path}/copy", recursive=True),
        lambda: fs.get(f"{path}/*", f"{tmp_path}/copy", recursive=True),
        lambda: files.get("input/wards", f"{tmp_path}/copy", recursive=True),
        lambda: files.get("input/wards/x", f"{tmp_path}/copy/", recursive=True),
    ):
        with pytest.raises(ConfigError, match="one' and .*/one/two' cannot both be files.*: rename one"):
            use()
        assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("source", ["/wards", "/wards/", "/wards/x", "/wards/*", "/wards/x/*"])
def test_it_is_refused_however_it_is_named(both, source, tmp_path):
    both.pipe_file("/wards/x/one", b"1")
    one = both.fs.store.pop("/wards/x/one")
    both.pipe_file("/wards/x/one/two", b"2")
    both.pipe_file("/wards/y/three", b"3")
    both.fs.store["/wards/x/one"] = one
    with pytest.raises(ConfigError, match="cannot both be files of one folder"):
        both.get(source, f"{tmp_path}/copy", recursive=True)
    assert not (tmp_path / "copy").exists()
    both.rm_file("/wards/x/one")
    both.get("/wards", f"{tmp_path}/copy", recursive=True)
    assert (tmp_path / "copy/x/one/two").read_bytes() == b"2"
    assert (tmp_path / "copy/y/three").read_bytes() == b"3"


def test_a_storage_that_cannot_list_a_folder_beside_an_object_is_an_error(tmp_path):
    root = f"/{uuid.uuid4().hex}"
    fs = EncryptedFileSystem(fs=MemoryFileSystem(), key=KEY, root=root)
    fs.pipe_file(f"{root}/x/one", b"1")
    one = MemoryFileSystem.store.pop(f"{root}/x/one")
    fs.pipe_file(f"{root}/x/one/two", b"2")
    MemoryFileSystem.store[f"{root}/x/one"] = one
    try:
        for use in (lambda: fs.find(root), lambda: fs.get(root, f"{tmp_path}/copy", recursive=True)):
            with pytest.raises(ObjectChanged, match="x/one is listed as a folder and is an object.* rename the object"):
                use()
        assert fs.find(f"{root}/x", maxdepth=1) == [f"{root}/x/one"]
        assert os.listdir(tmp_path) == []
    finally:
        for name in [name for name in MemoryFileSystem.store if name.startswith(root)]:
            del MemoryFileSystem.store[name]


def test_lists_of_objects_and_files_that_clash_are_refused(both, tmp_path):
    for name in ("north/one", "south/one"):
        both.pipe_file(f"/wards/{name}", name.encode())
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"local")
    names, local = ["/wards/north/one", "/wards/south/one"], [f"{tmp_path}/north/one", f"{tmp_path}/south/one"]
    for get in (
        lambda: both.get(names, f"{tmp_path}/copy/"),
        lambda: both.get(names, [f"{tmp_path}/copy/x", f"{tmp_path}/copy/x"]),
        lambda: both.get(names, [f"{tmp_path}/copy/x", f"{tmp_path}/copy/x/y"]),
    ):
        with pytest.raises(ConfigError, match="copy them to two folders"):
            get()
        assert not (tmp_path / "copy").exists()
    for put in (
        lambda: both.put(local, "/wards/east/"),
        lambda: both.put(local, ["/wards/east/x", "/wards/east/x"]),
    ):
        with pytest.raises(ConfigError, match="would be replaced by another of these files"):
            put()
        assert both.find("/wards/east") == []
    both.get(names, [f"{tmp_path}/copy/x", f"{tmp_path}/copy/y"])
    assert (tmp_path / "copy/y").read_bytes() == b"south/one"
    both.put(local, ["/wards/east/x", "/wards/east/y"])
    both.put(local[:1], "/wards/west/")
    assert both.cat_file("/wards/east/y") == both.cat_file("/wards/west/one") == b"local"


def test_twins_are_copied_where_the_filesystem_tells_them_apart(both, tmp_path):
    both.pipe_file(f"/wards/{NFC}", b"1")
    both.pipe_file(f"/wards/{NFD}", b"2")
    both.get("/wards", f"{tmp_path}/copy", recursive=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == {NFC: b"1", NFD: b"2"}
    assert sorted(os.listdir(tmp_path)) == ["copy"]


def test_twins_are_refused_where_the_filesystem_equates_them(both, tmp_path, monkeypatch):
    both.pipe_file(f"/wards/{NFC}", b"1")
    both.pipe_file(f"/wards/{NFD}", b"2")
    real = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: real(unicodedata.normalize("NFC", path)))
    with pytest.raises(ConfigError, match="cannot both be files of one folder") as caught:
        both.get("/wards", f"{tmp_path}/copy", recursive=True)
    assert ascii(NFD)[1:-1] in str(caught.value)
    assert os.listdir(tmp_path) == []
