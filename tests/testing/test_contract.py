"""The contract kit: kept by the core's own backends, and a guard of its own tests' names."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from connectors.errors import ObjectExists
from connectors.testing import BackendContract, Connection, FolderContract, Store, overrides_contract
from connectors.testing.tools import MIB, dataset, plain


class FileStore(Store):
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def connection(self, name: str, *, write: bool = False) -> Connection:
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        return Connection((self._folder / name).as_uri(), {})

    def folder(self, name: str) -> Connection:
        return Connection(f"{(self._folder / name).as_uri()}/", {})

    def get(self, name: str) -> bytes | None:
        path = self._folder / name
        return path.read_bytes() if path.exists() else None

    def put(self, name: str, data: bytes) -> None:
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / name).write_bytes(data)

    def unfinished(self) -> list[str]:
        return [str(path) for path in self._folder.rglob(".*.part")]


class TestFile(BackendContract, FolderContract):
    @pytest.fixture
    def store(self, tmp_path):
        return FileStore(tmp_path / "store")


class MemoryStore(Store):
    root = f"/contract-{os.getpid()}"

    def connection(self, name: str, *, write: bool = False) -> Connection:
        return Connection(f"memory:/{self.root}/{name}", {})

    def folder(self, name: str) -> Connection:
        return Connection(f"memory:/{self.root}/{name}/", {})

    def get(self, name: str) -> bytes | None:
        path = f"{self.root}/{name}"
        return MemoryFileSystem().cat_file(path) if MemoryFileSystem().exists(path) else None

    def put(self, name: str, data: bytes) -> None:
        MemoryFileSystem().pipe_file(f"{self.root}/{name}", data)

    def tidy(self, name: str) -> None:
        if MemoryFileSystem().exists(f"{self.root}/{name}"):
            MemoryFileSystem().rm(f"{self.root}/{name}", recursive=True)


@pytest.fixture
def often():
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


class TestMemory(BackendContract, FolderContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()

    @pytest.mark.parametrize("context", ["fork"])
    @overrides_contract("memory is one process's own; a forked child has a copy, a spawned one has nothing")
    def test_other_processes_read_the_same(self, store, name, tmp_path, context):
        super().test_other_processes_read_the_same(store, name, tmp_path, context)

    @overrides_contract("memory ends with its process; its other threads see every moment of a commit")
    def test_process_killed_during_a_commit_leaves_a_whole_object(self, store, name):
        old, new = b"what stood there", plain(20 * MIB)
        store.put(name, old)
        with ThreadPoolExecutor(1) as pool:
            written = pool.submit(dataset(store.connection(name), key=None).write_bytes, new)
            while not written.done():
                assert store.get(name) in (old, new)
        assert written.exception() is None
        assert store.get(name) == new

    @overrides_contract("memory is one process's own; its threads compete")
    def test_of_two_processes_that_create_an_object_one_wins(self, store, name, often):
        def create(which: int, file: Any) -> int | None:
            together.wait()
            try:
                file.close()
            except ObjectExists:
                return None
            return which

        together = Barrier(2)
        with ThreadPoolExecutor(2) as pool:
            for number in range(300):
                given = dataset(store.connection(f"{name}/{number}"), key=None)
                files = [given.open("xb"), given.open("xb")]
                for which, file in enumerate(files):
                    file.write(bytes([which]))
                (winner,) = [one for one in pool.map(create, range(2), files) if one is not None]
                assert store.get(f"{name}/{number}") == bytes([winner])


def test_a_test_that_hides_one_of_the_contract_s_is_an_error():
    with pytest.raises(TypeError, match=r"Shelf.test_second_write_replaces_the_first hides the contract's test"):

        class Shelf(BackendContract):
            def test_second_write_replaces_the_first(self): ...


def test_a_test_may_take_the_place_of_another_if_it_says_why():
    class Shelf(BackendContract):
        @overrides_contract("a shelf holds one edition")
        def test_second_write_replaces_the_first(self): ...

    assert Shelf.test_second_write_replaces_the_first.overrides_contract == "a shelf holds one edition"
