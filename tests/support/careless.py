"""A storage that is careless, as a backend: it replaces objects in place, and looks before it creates one.

What it declares is in its credentials. It is a folder on this machine, which the kit reaches past it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from fsspec.implementations.local import LocalFileSystem

from connectors.errors import ObjectExists
from connectors.storage import AbstractFileSystem, Backend, Credentials, Guarded

__all__ = ["CarelessBackend", "CarelessCredentials"]

PIECE = 1 << 16


class CarelessCredentials(Credentials):
    """What it does, and what it declares."""

    type: Literal["careless"] = "careless"
    root: str
    own_sink: bool
    atomic_replace: bool
    exclusive_create: bool


class InPlace:
    """An object that is written over the old one when it is committed."""

    def __init__(self, path: str, *, exclusive: bool) -> None:
        self._path = path
        self._exclusive = exclusive
        self._data = bytearray()

    def write(self, data: memoryview) -> None:
        self._data += data

    def commit(self) -> None:
        if self._exclusive and os.path.exists(self._path):
            message = f"{self._path} exists"
            raise ObjectExists(message)
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        with open(self._path, "wb", buffering=0) as file:
            file.writelines(self._data[start : start + PIECE] for start in range(0, len(self._data), PIECE))

    def discard(self) -> None:
        self._data.clear()


class Spooled(Guarded, AbstractFileSystem):
    """Objects that the SDK spools, and fsspec's own `put_file` writes."""

    def __init__(self, credentials: CarelessCredentials) -> None:
        super().__init__()
        self.atomic_replace, self.exclusive_create = credentials.atomic_replace, credentials.exclusive_create
        self._files = LocalFileSystem(auto_mkdir=True, skip_instance_cache=True)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return self._files.open(path, mode)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return self._files.info(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        return self._files.ls(path, detail=detail)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self._files.makedirs(path, exist_ok=exist_ok)

    mkdirs = makedirs

    def rm_file(self, path: str) -> None:
        self._files.rm_file(path)

    def rmdir(self, path: str) -> None:
        self._files.rmdir(path)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        self._files.cp_file(path1, path2)


class Sinking(Spooled):
    """Objects that its own sink writes."""

    def open_sink(self, path: str, *, exclusive: bool = False) -> InPlace:
        if exclusive and os.path.exists(path):
            message = f"{path} exists"
            raise ObjectExists(message)
        return InPlace(path, exclusive=exclusive)


class CarelessBackend(Backend):
    """Objects of a careless storage."""

    name = "careless"
    schemes = ("careless",)
    Credentials = CarelessCredentials

    def connect(self, location: str, credentials: CarelessCredentials) -> tuple[AbstractFileSystem, str]:
        path = Path(credentials.root) / location.removeprefix("careless://").rstrip("/")
        return (Sinking if credentials.own_sink else Spooled)(credentials), str(path)
