"""The contract of folders of objects."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import fsspec
import pytest

from connectors.errors import IntegrityError
from connectors.formats import select
from connectors.streams import as_source, buffered
from connectors.testing.tools import CHUNK, KEY, ODD_NAMES, Contract, dataset, lay_down, plain

if TYPE_CHECKING:
    from pathlib import Path

    import connectors
    from connectors.testing.store import Store

__all__ = ["FolderContract"]

NAMES = ["one.csv", "ward/north/three.csv", "ward/two.csv"]


class FolderContract(Contract):
    """The contract of folders of objects. A subclass provides the fixture `store` with a working `folder` method."""

    @pytest.fixture
    def filled(self, store: Store, name: str) -> tuple[connectors.EncryptedFileSystem, str]:
        """A folder dataset's filesystem and path, with `NAMES` in it, each holding its own name."""
        fs, path = dataset(store.folder(name)).filesystem()
        for one in NAMES:
            fs.pipe_file(f"{path}/{one}", one.encode())
        return fs, path

    def test_members_are_listed(self, filled: tuple[connectors.EncryptedFileSystem, str]) -> None:
        fs, path = filled
        assert sorted(one.removeprefix(f"{path}/") for one in fs.find(path)) == NAMES
        assert sorted(one.removeprefix(f"{path}/") for one in fs.ls(path, detail=False)) == ["one.csv", "ward"]
        found = {one["name"].removeprefix(f"{path}/"): one for one in fs.ls(f"{path}/ward") if one["type"] == "file"}
        assert [(name, one["size"]) for name, one in found.items()] == [("ward/two.csv", None)]
        assert fs.size(f"{path}/ward/two.csv") == len("ward/two.csv")
        assert sorted(fs.glob(f"{path}/**/*.csv")) == [f"{path}/{one}" for one in NAMES]
        assert fs.isdir(f"{path}/ward")

    def test_members_are_read_and_copied_out(
        self, filled: tuple[connectors.EncryptedFileSystem, str], tmp_path: Path
    ) -> None:
        fs, path = filled
        assert fs.cat([f"{path}/{one}" for one in NAMES]) == {f"{path}/{one}": one.encode() for one in NAMES}
        fs.get(f"{path}/", f"{tmp_path}/copy/", recursive=True)
        assert {one: (tmp_path / "copy" / one).read_text() for one in NAMES} == {one: one for one in NAMES}

    def test_members_are_sealed_with_their_names(
        self, store: Store, name: str, filled: tuple[connectors.EncryptedFileSystem, str]
    ) -> None:
        fs, path = filled
        stored = store.get(f"{name}/ward/two.csv")
        assert stored is not None
        bound = select("auto", KEY).bound("ward/two.csv")
        with buffered(as_source(io.BytesIO(stored)), bound) as file:
            assert file.read() == b"ward/two.csv"
        other = store.get(f"{name}/one.csv")
        assert other is not None
        store.put(f"{name}/ward/two.csv", other)
        with pytest.raises(IntegrityError):
            fs.cat_file(f"{path}/ward/two.csv")

    def test_members_are_copied_moved_and_removed(self, filled: tuple[connectors.EncryptedFileSystem, str]) -> None:
        fs, path = filled
        fs.cp_file(f"{path}/one.csv", f"{path}/copy.csv")
        fs.mv(f"{path}/one.csv", f"{path}/moved.csv")
        assert fs.cat_file(f"{path}/copy.csv") == fs.cat_file(f"{path}/moved.csv") == b"one.csv"
        assert not fs.exists(f"{path}/one.csv")
        fs.rm(f"{path}/copy.csv")
        assert not fs.exists(f"{path}/copy.csv")
        fs.rm(f"{path}/ward", recursive=True)
        assert fs.find(path) == [f"{path}/moved.csv"]

    def test_without_binding_sealed_bytes_are_copied_in_the_storage(self, store: Store, name: str) -> None:
        fs, path = dataset(store.folder(name), bind="none").filesystem()
        fs.pipe_file(f"{path}/one", b"37.2")
        fs.cp_file(f"{path}/one", f"{path}/two")
        assert store.get(f"{name}/one") == store.get(f"{name}/two")
        assert fs.cat_file(f"{path}/two") == b"37.2"

    def test_special_characters_in_names_of_members(self, store: Store, name: str) -> None:
        fs, path = dataset(store.folder(name)).filesystem()
        for odd in ODD_NAMES:
            fs.pipe_file(f"{path}/{odd}", odd.encode())
        assert sorted(one.removeprefix(f"{path}/") for one in fs.find(path)) == sorted(ODD_NAMES)
        for odd in ODD_NAMES:
            assert fs.cat_file(f"{path}/{odd}") == odd.encode()
            assert store.get(f"{name}/{odd}") is not None

    def test_cat_ranges_reads_many_members(self, store: Store, name: str) -> None:
        fs, path = dataset(store.folder(name)).filesystem()
        paths = [f"{path}/{number}" for number in range(4)]
        for number, one in enumerate(paths):
            fs.pipe_file(one, plain(4 * CHUNK, seed=number))
        wanted = [(one, start, start + 100) for one in paths for start in (0, 5, 3 * CHUNK)]
        found = fs.cat_ranges(
            [one for one, _, _ in wanted], [start for _, start, _ in wanted], [stop for *_, stop in wanted]
        )
        assert found == [plain(4 * CHUNK, seed=paths.index(one))[start:stop] for one, start, stop in wanted]
        missing, there = fs.cat_ranges([f"{path}/none", paths[0]], [0, 0], [1, 1])
        assert isinstance(missing, FileNotFoundError)
        assert there == plain(4 * CHUNK)[:1]

    def test_failed_write_adds_no_member(
        self, store: Store, filled: tuple[connectors.EncryptedFileSystem, str]
    ) -> None:
        fs, path = filled
        with pytest.raises(ZeroDivisionError), fs.open(f"{path}/four.csv", "wb") as file:
            file.write(b"four")
            1 / 0  # noqa: B018
        assert sorted(one.removeprefix(f"{path}/") for one in fs.find(path)) == NAMES
        assert store.unfinished() == []

    def test_a_transaction_adds_all_or_nothing(self, filled: tuple[connectors.EncryptedFileSystem, str]) -> None:
        fs, path = filled
        with fs.transaction:
            fs.pipe_file(f"{path}/four.csv", b"four")
            assert not fs.exists(f"{path}/four.csv")
        assert fs.cat_file(f"{path}/four.csv") == b"four"
        with pytest.raises(ZeroDivisionError), fs.transaction:
            fs.pipe_file(f"{path}/five.csv", b"five")
            1 / 0  # noqa: B018
        assert not fs.exists(f"{path}/five.csv")

    def test_the_dataset_protocol_reaches_inside(
        self, store: Store, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lay_down(tmp_path, store.folder(name), name="wards")
        monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path))
        with fsspec.open("dataset://input/wards/ward/two.csv", "wb") as file:
            file.write(b"two")
        with fsspec.open("dataset://input/wards/ward/two.csv") as file:
            assert file.read() == b"two"
        fs = fsspec.filesystem("dataset")
        assert fs.find("input") == ["input/wards/ward/two.csv"]

    def test_manifest_detects_a_removed_member(self, store: Store, name: str) -> None:
        fs, path = dataset(store.folder(name), manifest=True).filesystem()
        with fs.transaction:
            for one in NAMES:
                fs.pipe_file(f"{path}/{one}", one.encode())
        fs, path = dataset(store.folder(name), manifest=True).filesystem()
        assert sorted(one.removeprefix(f"{path}/") for one in fs.find(path)) == NAMES
        fs.fs.rm_file(f"{path}/one.csv")
        with pytest.raises(IntegrityError, match=r"'one\.csv' is in the folder's manifest but not in the storage"):
            fs.cat_file(f"{path}/one.csv")
        with pytest.raises(IntegrityError, match=r"'one\.csv' is in the folder's manifest but not in the storage"):
            fs.find(path)

    def test_a_missing_member_is_not_found(self, filled: tuple[connectors.EncryptedFileSystem, str]) -> None:
        fs, path = filled
        with pytest.raises(FileNotFoundError):
            fs.cat_file(f"{path}/none.csv")
        assert not fs.exists(f"{path}/none.csv")
