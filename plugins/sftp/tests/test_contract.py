"""The backend contract, against asyncssh's SFTP server and OpenSSH's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from connectors.testing import BackendContract, Connection, FolderContract, Store


class SFTPStore(Store):
    """A server's folder, accessed directly on this machine."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._root: Path = server.root / "contract"
        self._root.mkdir(exist_ok=True)

    def connection(self, name: str, *, write: bool = False) -> Connection:
        return self._connection(name)

    def folder(self, name: str) -> Connection:
        return self._connection(f"{name}/")

    def _connection(self, name: str, **changes: Any) -> Connection:
        document = self._server.document(**changes)
        del document["encryption"]
        return Connection(f"sftp://{self._server.endpoint}{self._root}/{name}", document)

    def get(self, name: str) -> bytes | None:
        path = self._root / name
        return path.read_bytes() if path.is_file() else None

    def put(self, name: str, data: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def unfinished(self) -> list[str]:
        return [name for _, _, names in os.walk(self._root) for name in names if name.endswith(".part")]

    def tidy(self, name: str) -> None:
        # A killed process leaves its staged file in the folder.
        for path in [self._root / name, *self._root.glob(f".{name}.*.part")]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def denied(self, name: str) -> Connection:
        return self._connection(name, private_key=None, password="not the password of that user")


class TestSFTP(BackendContract, FolderContract):
    @pytest.fixture
    def store(self, server: Any) -> Store:
        return SFTPStore(server)
