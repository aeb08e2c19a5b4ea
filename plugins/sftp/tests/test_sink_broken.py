"""Writes over connections that break: they continue, until the last step."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from connectors.errors import StorageError, StorageUnavailable
from connectors.storage import MultipartSink
from connectors_sftp import sessions
from connectors_sftp.filesystem import SFTP
from connectors_sftp.store import PART_SIZE

MIB = 1 << 20
Server = Any  # tests/conftest.py's SSHServer, which no test can import


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "FIRST_PAUSE", 0.001)


def beside(path: str) -> list[str]:
    return sorted(os.listdir(os.path.dirname(path)))


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def begun(fs: SFTP, path: str) -> MultipartSink:
    """Return a sink that has sent its first part."""
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(PART_SIZE + 1)))
    return sink


def cut(own: Server, method: str) -> None:
    """Break the connection at the next request of a kind."""

    def cut(real: Any, *arguments: Any) -> Any:
        own.hooks.pop(method)
        if method in ("close", "fsetstat"):
            real(*arguments)
        own.connections[-1].abort()
        raise asyncssh.SFTPFailure("cut")

    own.hooks[method] = cut


@pytest.mark.parametrize("method", ["open", "fsetstat", "write", "fsync", "close"])
def test_writing_continues_after_a_broken_connection(own: Server, method: str) -> None:
    fs, path, data = own.filesystem(), f"{own.root}/folder/object", os.urandom(3 * PART_SIZE + 1)
    sink = fs.open_sink(path)
    cut(own, method)
    for start in range(0, len(data), MIB):
        sink.write(memoryview(data)[start : start + MIB])
    sink.commit()
    assert Path(path).read_bytes() == data
    assert beside(path) == ["object"]
    assert own.made == 2
    Path(f"{path}-2").touch()
    assert mode_of(path) == mode_of(f"{path}-2")


def test_folders_made_before_a_broken_connection_are_removed_on_discard(own: Server) -> None:
    fs, made = own.filesystem(), []

    def mkdir(real: Any, *arguments: Any) -> Any:
        made.append(arguments)
        if len(made) == 2:
            own.connections[-1].abort()
            raise asyncssh.SFTPFailure("cut")
        return real(*arguments)

    own.hooks["mkdir"] = mkdir
    sink = begun(fs, f"{own.root}/a/b/c/object")
    assert (len(made), own.made) == (4, 2)
    sink.discard()
    assert list(own.root.iterdir()) == []


def test_connection_that_breaks_at_the_rename_keeps_the_previous_file(own: Server) -> None:
    fs, path = own.filesystem(), f"{own.root}/object"
    Path(path).write_bytes(b"stood there")
    cut(own, "posix_rename")
    with pytest.raises(StorageUnavailable):
        fs.pipe_file(path, os.urandom(PART_SIZE + 1))
    assert Path(path).read_bytes() == b"stood there"
    assert beside(path) == ["object"]
    fs.pipe_file(path, b"again")
    assert Path(path).read_bytes() == b"again"


def test_staged_file_that_somebody_removes_is_not_started_again(own: Server) -> None:
    fs, path = own.filesystem(), f"{own.root}/object"
    sink = begun(fs, path)
    own.cut()
    (staged,) = own.root.iterdir()
    staged.unlink()
    with pytest.raises(StorageError, match="was removed while it was being written"):
        sink.commit()
    assert list(own.root.iterdir()) == []
