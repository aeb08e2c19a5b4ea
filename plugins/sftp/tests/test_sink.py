from __future__ import annotations

import gc
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from forked import use
from patience import PATIENCE

from connectors.errors import (
    AccessDenied,
    NotAnObject,
    NotSupported,
    ObjectExists,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import MultipartSink
from connectors.testing.tools import in_child
from connectors_sftp import sessions
from connectors_sftp.filesystem import SFTP
from connectors_sftp.loop import run
from connectors_sftp.names import STAGED
from connectors_sftp.store import PART_SIZE

MIB = 1 << 20
Server = Any  # tests/conftest.py's SSHServer, which no test can import


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "FIRST_PAUSE", 0.001)


def beside(path: str) -> list[str]:
    return sorted(os.listdir(os.path.dirname(path)))


def begun(fs: SFTP, path: str) -> MultipartSink:
    """Return a sink that has sent its first part."""
    sink = fs.open_sink(path)
    sink.write(memoryview(bytes(PART_SIZE + 1)))
    return sink


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Remove an extension from asyncssh's server."""

    def without(name: str) -> None:
        handler = asyncssh.sftp.SFTPServerHandler
        left = [one for one in handler._extensions if not one[0].startswith(name.encode())]
        monkeypatch.setattr(handler, "_extensions", left)

    return without


@pytest.mark.parametrize("size", [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE, 3 * PART_SIZE + 17])
def test_file_of_any_size_is_stored_completely(fs: SFTP, path: str, size: int) -> None:
    data = os.urandom(size)
    sink = fs.open_sink(path)
    for start in range(0, size, 3_000_001):
        sink.write(memoryview(data)[start : start + 3_000_001])
    assert not os.path.exists(path)
    sink.commit()
    assert Path(path).read_bytes() == data
    assert beside(path) == ["object"]


def test_caller_may_reuse_its_buffer(fs: SFTP, path: str) -> None:
    buffer = bytearray(b"first")
    sink = fs.open_sink(path)
    sink.write(memoryview(buffer))
    buffer[:] = b"-----"
    sink.commit()
    assert Path(path).read_bytes() == b"first"


def test_staged_file_is_hidden_and_private_to_its_owner(fs: SFTP, path: str) -> None:
    sink = fs.open_sink(path)
    assert beside(path) == []
    sink.write(memoryview(bytes(PART_SIZE + 1)))
    (name,) = beside(path)
    assert STAGED.fullmatch(name)
    assert name.startswith(".object.")
    assert mode_of(f"{os.path.dirname(path)}/{name}") == 0o600
    assert fs.ls(os.path.dirname(path)) == fs.find(os.path.dirname(path)) == []
    sink.discard()
    assert beside(path) == []
    sink.discard()
    with pytest.raises(StorageUnavailable, match="already discarded"):
        sink.write(memoryview(b"x"))


def test_longest_name_can_be_written(fs: SFTP, path: str) -> None:
    for name in ("n" * 255, "病" * 85):
        whole = f"{os.path.dirname(path)}/{name}"
        fs.pipe_file(whole, b"37.2")
        assert fs.cat_file(whole) == b"37.2"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_permissions_of_a_replaced_file_are_kept(fs: SFTP, path: str, mode: int) -> None:
    Path(path).write_bytes(b"before")
    os.chmod(path, mode)
    fs.pipe_file(path, b"after")
    assert (mode_of(path), Path(path).read_bytes()) == (mode, b"after")


def test_new_file_has_the_server_s_default_permissions(fs: SFTP, path: str) -> None:
    fs.pipe_file(path, b"37.2")
    Path(f"{path}-2").touch()
    assert mode_of(path) == mode_of(f"{path}-2")


def test_missing_folders_are_made_and_removed_on_discard(fs: SFTP, path: str) -> None:
    sink = begun(fs, f"{path}/a/b/c")
    assert os.path.isdir(f"{path}/a/b")
    other = begun(fs, f"{path}/a/d")
    sink.discard()
    assert beside(f"{path}/a/x") != []
    other.commit()
    assert beside(f"{path}/a/x") == ["d"]
    begun(fs, f"{path}/e/f").discard()
    assert beside(f"{path}/x") == ["a"]


def test_target_that_is_not_a_file_is_refused(fs: SFTP, path: str) -> None:
    os.mkdir(path)
    for name in (path, "/"):
        with pytest.raises(NotAnObject, match="is a folder"):
            fs.open_sink(name)
    os.mkfifo(f"{path}/pipe")
    with pytest.raises(NotSupported, match="pipe"):
        fs.open_sink(f"{path}/pipe")
    Path(f"{path}/file").touch()
    with pytest.raises(NotAnObject, match="is not a folder"):
        fs.pipe_file(f"{path}/file/below", b"37.2")
    assert beside(f"{path}/x") == ["file", "pipe"]


def test_exclusive_sink_refuses_an_existing_file(fs: SFTP, path: str) -> None:
    os.symlink("nowhere", path)
    with pytest.raises(ObjectExists):
        fs.open_sink(path, exclusive=True)
    assert beside(path) == ["object"]


def test_only_one_of_many_exclusive_writers_succeeds(fs: SFTP, path: str) -> None:
    sinks = [fs.open_sink(path, exclusive=True) for _ in range(8)]
    outcomes: list[Any] = []

    def commit(number: int, sink: MultipartSink) -> None:
        sink.write(memoryview(bytes([number])))
        try:
            sink.commit()
        except ObjectExists as error:
            outcomes.append(error)
        else:
            outcomes.append(number)

    threads = [threading.Thread(target=commit, args=one) for one in enumerate(sinks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (one for one in outcomes if isinstance(one, int))
    assert len(outcomes) == 8
    assert Path(path).read_bytes() == bytes([winner])
    assert beside(path) == ["object"]


def test_server_without_posix_rename_replaces_nothing(own: Server, without: Callable[[str], None]) -> None:
    without("posix-rename")
    fs, path = own.filesystem(), f"{own.root}/object"
    fs.pipe_file(path, b"first")
    with pytest.raises(NotSupported, match="cannot replace a file in one step"):
        fs.pipe_file(path, b"second")
    assert Path(path).read_bytes() == b"first"
    assert beside(path) == ["object"]


def test_exclusive_commit_without_hard_links_uses_plain_rename(own: Server, without: Callable[[str], None]) -> None:
    without("hardlink")
    fs, path = own.filesystem(), f"{own.root}/object"
    first, second = fs.open_sink(path, exclusive=True), fs.open_sink(path, exclusive=True)
    first.write(memoryview(b"first"))
    first.commit()
    with pytest.raises(ObjectExists):
        second.commit()
    assert Path(path).read_bytes() == b"first"
    assert beside(path) == ["object"]


def test_file_that_appears_just_before_the_commit_is_not_replaced(own: Server) -> None:
    path = own.root / "object"

    def refused(*_: Any) -> Any:
        raise asyncssh.SFTPFailure("no links here")

    def rename(real: Any, *arguments: Any) -> Any:
        path.write_bytes(b"first")
        return real(*arguments)

    own.hooks |= {"link": refused, "rename": rename}
    sink = own.filesystem().open_sink(str(path), exclusive=True)
    with pytest.raises(ObjectExists):
        sink.commit()
    assert path.read_bytes() == b"first"
    assert os.listdir(own.root) == ["object"]


def test_files_are_written_without_fsync_permissions_and_copying(own: Server, without: Callable[[str], None]) -> None:
    for name in ("fsync", "copy-data", "limits"):
        without(name)

    def refused(*_: Any) -> Any:
        raise asyncssh.SFTPFailure("no permissions here")

    own.hooks["fsetstat"] = refused
    fs, path = own.filesystem(), f"{own.root}/object"
    data = os.urandom(MIB)
    fs.pipe_file(path, data)
    fs.cp_file(path, f"{path}-2")
    assert Path(f"{path}-2").read_bytes() == data
    assert beside(path) == ["object", "object-2"]


FAILURES = {
    "write": (asyncssh.SFTPFailure("hunter2"), StorageError),
    "fsync": (asyncssh.SFTPPermissionDenied("hunter2"), AccessDenied),
    "posix_rename": (asyncssh.SFTPNoSpaceOnFilesystem("hunter2"), StorageError),
}


@pytest.mark.parametrize("method", FAILURES)
def test_failing_request_keeps_the_previous_file(own: Server, method: str) -> None:
    failure, kind = FAILURES[method]

    def fail(*_: Any) -> Any:
        raise failure

    own.hooks[method] = fail
    fs, path = own.filesystem(), f"{own.root}/object"
    Path(path).write_bytes(b"stood there")
    with pytest.raises(kind) as caught:
        fs.pipe_file(path, os.urandom(PART_SIZE + 1))
    assert caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)
    assert Path(path).read_bytes() == b"stood there"
    assert beside(path) == ["object"]


def test_bytes_lost_by_the_server_are_detected(own: Server) -> None:
    own.hooks["write"] = lambda real, file, offset, data: real(file, offset, data[:-1])
    fs, path = own.filesystem(), f"{own.root}/object"
    with pytest.raises(StorageError, match="bytes of .* were sent"):
        fs.pipe_file(path, b"37.2")
    assert beside(path) == []


def test_staged_file_that_cannot_be_removed_is_logged(own: Server, caplog: pytest.LogCaptureFixture) -> None:
    def refused(*_: Any) -> Any:
        raise asyncssh.SFTPPermissionDenied("no")

    own.hooks["remove"] = refused
    sink = begun(own.filesystem(), f"{own.root}/object")
    with caplog.at_level(logging.WARNING):
        sink.discard()
    assert "cannot remove the staged file" in caplog.text
    (name,) = os.listdir(own.root)
    assert name in caplog.text


def test_commit_succeeds_if_the_staged_name_cannot_be_removed(own: Server, caplog: pytest.LogCaptureFixture) -> None:
    def refused(*_: Any) -> Any:
        raise asyncssh.SFTPPermissionDenied("no")

    own.hooks["remove"] = refused
    sink = own.filesystem().open_sink(f"{own.root}/object", exclusive=True)
    sink.write(memoryview(b"37.2"))
    sink.commit()
    assert (own.root / "object").read_bytes() == b"37.2"
    assert "cannot remove the staged file" in caplog.text


def test_staged_name_is_removed_over_a_new_connection(own: Server) -> None:
    def cut(*_: Any) -> Any:
        own.hooks.clear()
        raise asyncssh.SFTPConnectionLost("cut")

    own.hooks["remove"] = cut
    sink = own.filesystem().open_sink(f"{own.root}/object", exclusive=True)
    sink.write(memoryview(b"37.2"))
    sink.commit()
    assert beside(f"{own.root}/object") == ["object"]


def test_sink_can_be_dropped_in_the_loop_s_thread(fs: SFTP, path: str) -> None:
    holding = [begun(fs, path)]

    async def drop() -> None:
        holding.pop().discard()
        gc.collect()

    run(drop())
    while beside(path):
        fs.exists(path)
    assert beside(path) == []


def test_forked_child_leaves_the_parent_s_sink_alone(fs: SFTP, path: str) -> None:
    sink = begun(fs, path)
    assert "was opened for writing by the parent process" in in_child("fork", use, sink)
    sink.commit()
    assert Path(path).read_bytes() == bytes(PART_SIZE + 1)


PROGRAM = """
import json, os, signal, sys
from connectors.credentials.model import validate
from connectors_sftp import SFTPCredentials
from connectors_sftp.filesystem import SFTP
from connectors_sftp.location import Endpoint
port, path, document = sys.argv[1:]
fs = SFTP(Endpoint("127.0.0.1", int(port)), validate(SFTPCredentials, json.loads(document)))
sink = fs.open_sink(path)
sink.write(memoryview(bytes(5_000_000)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_process_leaves_the_previous_file_and_a_staged_one(server: Server, path: str) -> None:
    Path(path).write_bytes(b"stood there")
    command = [sys.executable, "-c", PROGRAM, str(server.port), path, json.dumps(server.document())]
    done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL
    assert Path(path).read_bytes() == b"stood there"
    staged, kept = beside(path)
    assert STAGED.fullmatch(staged)
    assert kept == "object"
    fs = server.filesystem()
    assert fs.ls(os.path.dirname(path), detail=False) == [path]
    fs.rm(os.path.dirname(path), recursive=True)
    assert not os.path.exists(os.path.dirname(path))
