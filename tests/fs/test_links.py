"""Links, pipes and devices in folders: no row is missed because of them, and nothing is moved through them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

from connectors import EncryptedFileSystem
from connectors.errors import NotAnObject, NotSupported, ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def fs() -> EncryptedFileSystem:
    return EncryptedFileSystem(fs=fsspec.filesystem("file"), key="11" * 32)


@pytest.fixture
def wards(fs: EncryptedFileSystem, tmp_path: Path) -> str:
    """A folder with an object, a folder, a link to an object and one to a folder outside."""
    fs.makedirs(f"{tmp_path}/elsewhere")
    fs.makedirs(f"{tmp_path}/wards/north")
    for name in ("elsewhere/four", "wards/one", "wards/north/two"):
        fs.pipe_file(f"{tmp_path}/{name}", name.encode())
    os.symlink("../elsewhere/four", f"{tmp_path}/wards/three")
    os.symlink("../elsewhere", f"{tmp_path}/wards/south")
    return f"{tmp_path}/wards"


def tree(folder: Path) -> list[str]:
    return sorted(os.path.join(above, name) for above, folders, files in os.walk(folder) for name in folders + files)


COPIES: dict[str, Callable[[Any, str, str], None]] = {
    "copy": lambda fs, wards, out: fs.copy(wards, out, recursive=True),
    "copy of matches": lambda fs, wards, out: fs.copy(f"{wards}/*", f"{out}/", recursive=True),
    "move of matches": lambda fs, wards, out: fs.mv(f"{wards}/*", f"{out}/", recursive=True),
    "get": lambda fs, wards, out: fs.get(wards, out, recursive=True),
    "put": lambda fs, wards, out: fs.put(wards, out, recursive=True),
    "put of matches": lambda fs, wards, out: fs.put(f"{wards}/*", f"{out}/", recursive=True),
}


@pytest.mark.parametrize("name", COPIES)
def test_link_to_a_folder_is_refused_by_name(fs: EncryptedFileSystem, wards: str, tmp_path: Path, name: str) -> None:
    before = tree(tmp_path)
    with pytest.raises(NotSupported, match="wards/south is a link to a folder"):
        COPIES[name](fs, wards, f"{tmp_path}/out")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", COPIES)
def test_link_to_an_object_is_copied_as_the_object(
    fs: EncryptedFileSystem, wards: str, tmp_path: Path, name: str
) -> None:
    os.remove(f"{wards}/south")
    COPIES[name](fs, wards, f"{tmp_path}/out")
    assert {"one", "three"} < set(os.listdir(tmp_path / "out"))
    assert os.listdir(tmp_path / "out/north") == ["two"]
    assert os.path.exists(tmp_path / "elsewhere/four")


@pytest.mark.parametrize("name", ["copy", "get"])
def test_link_to_a_folder_is_followed_by_its_own_name(
    fs: EncryptedFileSystem, wards: str, tmp_path: Path, name: str
) -> None:
    COPIES[name](fs, f"{wards}/south", f"{tmp_path}/out")
    assert os.listdir(tmp_path / "out") == ["four"]


def test_everything_in_a_folder_is_read_or_an_error(fs: EncryptedFileSystem, wards: str) -> None:
    with pytest.raises(NotAnObject, match="wards/south is a folder"):
        fs.cat(wards, recursive=True)
    os.remove(f"{wards}/south")
    read = fs.cat(wards, recursive=True)
    assert sorted(read.values()) == [b"elsewhere/four", b"wards/north/two", b"wards/one"]


def test_listing_names_links_and_pipes_as_objects(fs: EncryptedFileSystem, wards: str) -> None:
    os.symlink("nowhere", f"{wards}/broken")
    os.mkfifo(f"{wards}/pipe")
    kinds = {one["name"].rpartition("/")[2]: (one["type"], one["size"]) for one in fs.ls(wards)}
    objects = dict.fromkeys(["broken", "one", "pipe", "south", "three"], ("file", None))
    assert kinds == {**objects, "north": ("directory", kinds["north"][1])}
    for name, error in (("broken", ObjectNotFound), ("pipe", NotSupported), ("south", NotAnObject)):
        with pytest.raises(error, match=name):
            fs.cat_file(f"{wards}/{name}")


@pytest.mark.parametrize("broken", [False, True])
def test_partitions_behind_links_are_rows_or_an_error(fs: EncryptedFileSystem, tmp_path: Path, broken: bool) -> None:
    fs.makedirs(f"{tmp_path}/table")
    for name in ("table/a.parquet", "late.parquet"):
        with fs.open(f"{tmp_path}/{name}", "wb") as file:
            pyarrow.parquet.write_table(pa.table({"beats": [72, 75]}), file)
    os.symlink("../gone" if broken else "../late.parquet", f"{tmp_path}/table/b.parquet")

    def rows() -> int:
        table = pyarrow.dataset.dataset(f"{tmp_path}/table", filesystem=fs, format="parquet").to_table()
        return table.num_rows

    if not broken:
        assert rows() == 4
        return
    with pytest.raises(FileNotFoundError, match=r"b\.parquet"):
        rows()


def test_folder_dataset_with_a_manifest_reads_through_a_link(tmp_path: Path) -> None:
    root = f"{tmp_path}/wards"
    fs = EncryptedFileSystem(fs=fsspec.filesystem("file", auto_mkdir=True), key="11" * 32, root=root, manifest=True)
    fs.pipe_file(f"{root}/one", b"37.2")
    os.rename(f"{root}/one", tmp_path / "moved-to-a-larger-disk")
    os.symlink(tmp_path / "moved-to-a-larger-disk", f"{root}/one")
    assert fs.find(root) == [f"{root}/one"]
    assert fs.cat(root, recursive=True) == {f"{root}/one": b"37.2"}
