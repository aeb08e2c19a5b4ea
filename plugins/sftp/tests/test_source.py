from __future__ import annotations

import asyncio
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from relay import relay

from connectors.credentials.model import validate
from connectors.errors import AccessDenied, NotAnObject, NotSupported, ObjectChanged, ObjectNotFound, StorageUnavailable
from connectors_sftp import SFTPCredentials, sessions
from connectors_sftp.filesystem import SFTP
from connectors_sftp.location import Endpoint

MIB = 1 << 20
Server = Any  # tests/conftest.py's SSHServer, which no test can import


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "FIRST_PAUSE", 0.001)


def at(server: Server, data: bytes = b"37.2", name: str = "object") -> str:
    path: Path = server.root / name
    path.write_bytes(data)
    return str(path)


def test_any_range_returns_the_stored_bytes(fs: SFTP, path: str) -> None:
    data = os.urandom(5 * MIB + 77)
    Path(path).write_bytes(data)
    source = fs.open_source(path)
    chance = random.Random(1)
    assert source.size == len(data)
    assert source.read_range(0, len(data)) == data
    for _ in range(20):
        start = chance.randrange(len(data) + 100)
        stop = start + chance.choice([0, 1, 1 << 15, MIB, 3 * MIB])
        assert source.read_range(start, stop) == data[start:stop]
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.read_range(0, 1)


def test_empty_file_is_read(fs: SFTP, path: str) -> None:
    Path(path).touch()
    source = fs.open_source(path)
    assert (source.size, source.read_range(0, 10)) == (0, b"")


def test_threads_share_a_source(fs: SFTP, path: str) -> None:
    data = os.urandom(2 * MIB)
    Path(path).write_bytes(data)
    source = fs.open_source(path)
    with ThreadPoolExecutor(8) as pool:
        ranges = [(start, start + 100_000) for start in range(0, len(data), 50_000)]
        assert list(pool.map(lambda one: source.read_range(*one), ranges)) == [data[a:b] for a, b in ranges]


def test_folder_or_pipe_is_not_read(fs: SFTP, path: str) -> None:
    with pytest.raises(ObjectNotFound, match="nothing is stored at sftp://127"):
        fs.open_source(path)
    with pytest.raises(NotAnObject, match="is a folder"):
        fs.open_source(os.path.dirname(path))
    os.mkfifo(path)
    with pytest.raises(NotSupported, match="pipe"):
        fs.open_source(path)


def test_link_is_followed_to_its_file(fs: SFTP, path: str) -> None:
    Path(path).write_bytes(b"37.2")
    os.symlink(path, f"{path}-link")
    assert fs.open_source(f"{path}-link").read_range(0, 10) == b"37.2"


def test_removed_file_is_read_to_its_end(fs: SFTP, path: str) -> None:
    Path(path).write_bytes(b"first")
    source = fs.open_source(path)
    fs.pipe_file(path, b"other")
    assert source.read_range(0, 5) == b"first"
    fs.rm_file(path)
    assert source.read_range(1, 5) == b"irst"


@pytest.mark.parametrize("change", ["longer", "shorter", "later"])
def test_change_of_the_file_is_detected(fs: SFTP, path: str, change: str) -> None:
    Path(path).write_bytes(bytes(MIB))
    source = fs.open_source(path)
    assert source.read_range(0, 10) == bytes(10)
    if change == "later":
        os.utime(path, (1, 1))
    else:
        os.truncate(path, {"longer": 2 * MIB, "shorter": 100}[change])
    with pytest.raises(ObjectChanged, match="was changed while it was being read"):
        source.read_range(0, MIB)


def test_reading_continues_after_a_broken_connection(own: Server) -> None:
    data = os.urandom(3 * MIB)
    source = own.filesystem().open_source(at(own, data))
    assert source.read_range(0, 10) == data[:10]
    own.cut()
    assert source.read_range(10, 3 * MIB) == data[10:]
    assert own.made == 2


def test_connection_that_breaks_during_a_range_is_replaced(own: Server) -> None:
    data = os.urandom(3 * MIB)
    broken = []

    def read(real: Any, file: Any, offset: int, size: int) -> Any:
        if offset > MIB and not broken:
            broken.append(offset)
            own.connections[-1].abort()
        return real(file, offset, size)

    own.hooks["read"] = read
    source = own.filesystem().open_source(at(own, data))
    assert source.read_range(0, 3 * MIB) == data
    assert own.made == 2


def test_range_may_arrive_over_many_connections(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "ATTEMPTS", 2)
    data = os.urandom(6 * MIB)
    path = at(own, data)
    with relay(own.port, after=2 * MIB) as cutting:
        fs = SFTP(Endpoint("127.0.0.1", cutting.port), validate(SFTPCredentials, own.document()))
        assert fs.open_source(path).read_range(0, len(data)) == data
        assert len(cutting.passed) > sessions.ATTEMPTS


def test_file_replaced_while_disconnected_is_detected(own: Server) -> None:
    path = at(own, b"first")
    source = own.filesystem().open_source(path)
    own.cut()
    os.rename(at(own, b"another", "other"), path)
    with pytest.raises(ObjectChanged, match="was replaced"):
        source.read_range(0, 5)


def test_file_removed_while_disconnected_is_not_found(own: Server) -> None:
    path = at(own)
    source = own.filesystem().open_source(path)
    own.cut()
    os.unlink(path)
    with pytest.raises(ObjectNotFound):
        source.read_range(0, 4)


def test_connection_that_breaks_every_time_is_an_error(own: Server) -> None:
    def read(*_: Any) -> Any:
        own.connections[-1].abort()
        return b""

    own.hooks["read"] = read
    source = own.filesystem().open_source(at(own))
    with pytest.raises(StorageUnavailable, match="try again later") as caught:
        source.read_range(0, 4)
    assert own.made == sessions.ATTEMPTS
    assert caught.value.__context__ is None


@pytest.mark.parametrize("method", ["read", "stat"])
def test_server_that_falls_silent_is_an_error(own: Server, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    released = asyncio.Event()

    async def wait(*_: Any) -> bytes:
        await released.wait()
        return b"37.2"

    path, fs = at(own), own.filesystem()
    assert fs.cat_file(path) == b"37.2"
    monkeypatch.setattr("connectors_sftp.sessions.STALL_TIMEOUT", 0.2)
    own.hooks[method] = lambda *_: wait()
    with pytest.raises(StorageUnavailable, match="TimeoutError"):
        fs.cat_file(path)
    assert own.made == sessions.ATTEMPTS
    own._loop.call_soon_threadsafe(released.set)


def test_short_responses_are_continued(own: Server) -> None:
    data = os.urandom(100_000)
    own.hooks["read"] = lambda real, file, offset, size: real(file, offset, min(size, 777))
    assert own.filesystem().open_source(at(own, data)).read_range(5, 90_000) == data[5:90_000]


def test_early_end_of_file_is_an_error(own: Server) -> None:
    own.hooks["read"] = lambda real, file, offset, size: real(file, offset, size) if offset < 50_000 else b""
    source = own.filesystem().open_source(at(own, os.urandom(3 * MIB)))
    with pytest.raises(StorageUnavailable, match="fewer bytes"):
        source.read_range(0, 3 * MIB)


def test_more_bytes_than_requested_are_an_error(own: Server) -> None:
    own.hooks["read"] = lambda real, file, offset, size: bytes(size + 1)
    source = own.filesystem().open_source(at(own, os.urandom(100)))
    with pytest.raises(StorageUnavailable):
        source.read_range(0, 100)


def test_handles_are_closed(own: Server) -> None:
    opened, closed = [], []
    own.hooks["open"] = lambda real, *arguments: opened.append(1) or real(*arguments)
    own.hooks["close"] = lambda real, *arguments: closed.append(1) or real(*arguments)
    fs, path = own.filesystem(), at(own)
    for _ in range(3):
        with fs.open(path) as file:
            file.read()
    fs.open_source(path)  # dropped at once
    fs.ls(os.path.dirname(path))  # queued behind the closing on the one connection
    assert (len(opened), len(closed)) == (4, 4)


def test_denied_file_is_access_denied(own: Server) -> None:
    def denied(*_: Any) -> Any:
        raise asyncssh.SFTPPermissionDenied("hunter2")

    own.hooks["open"] = denied
    with pytest.raises(AccessDenied, match="does not let this user read") as caught:
        own.filesystem().open_source(at(own))
    assert caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)
