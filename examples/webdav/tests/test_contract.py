"""The contract of backends and of folders, on wsgidav as it is, and where its MOVE is one step."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import connectors
from connectors.testing import BackendContract, Connection, FolderContract, Store, overrides_contract

MISREADS = "wsgidav takes a ? or ; in a Destination for its end; such names are refused: see test_writing.py"
ODD_NAMES = ["a name with spaces", "Krankenhaus Süd, 日本", "100%", "50%25", "item#1", "it's (a) [copy] {1}"]
KEY = "c0ffee" * 10 + "1234"
STAGED = re.compile(r"\.[0-9a-f]{32}\.part")


def dataset(connection: Connection) -> connectors.Dataset:
    return connectors.Dataset(connection.location, {**connection.document, "encryption": {"key": KEY}})


class DavStore(Store):
    """The folder that the server serves."""

    def __init__(self, server: Any, document: dict[str, Any]) -> None:
        self._server = server
        self._document = document

    def connection(self, name: str, *, write: bool = False) -> Connection:
        return Connection(self._server.location(name), self._document)

    def folder(self, name: str) -> Connection:
        return Connection(self._server.location(f"{name}/"), self._document)

    def _path(self, name: str) -> Path:
        return self._server.folder / name

    def get(self, name: str) -> bytes | None:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, name: str, data: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(data)
        new.replace(path)

    def unfinished(self) -> list[str]:
        return [str(path) for path in self._server.folder.rglob("*") if STAGED.fullmatch(path.name)]

    def denied(self, name: str) -> Connection:
        return Connection(self._server.location(name), {**self._document, "password": "another password"})

    def tidy(self, name: str) -> None:
        shutil.rmtree(self._path(name), ignore_errors=True)
        for path in [self._path(name), *map(Path, self.unfinished())]:
            if path.is_file():
                path.unlink()


class TestStock(BackendContract, FolderContract):
    @pytest.fixture
    def store(self, stock, document) -> Store:
        return DavStore(stock, document)

    @overrides_contract(MISREADS)
    @pytest.mark.parametrize("odd", ODD_NAMES)
    def test_special_characters_in_names(self, store, name, odd) -> None:
        dataset(store.connection(f"{name}/{odd}")).write_bytes(odd.encode())
        assert store.get(f"{name}/{odd}") is not None
        assert dataset(store.connection(f"{name}/{odd}")).read_bytes() == odd.encode()

    @overrides_contract(MISREADS)
    def test_special_characters_in_names_of_members(self, store, name) -> None:
        fs, path = dataset(store.folder(name)).filesystem()
        for odd in ODD_NAMES:
            fs.pipe_file(f"{path}/{odd}", odd.encode())
        assert fs.find(path) == sorted(f"{path}/{odd}" for odd in ODD_NAMES)
        assert [fs.cat_file(f"{path}/{odd}") for odd in ODD_NAMES] == [odd.encode() for odd in ODD_NAMES]


class TestStrict(BackendContract, FolderContract):
    @pytest.fixture
    def store(self, strict, document) -> Store:
        return DavStore(strict, {**document, "atomic_replace": True, "exclusive_create": True})
