"""The disk is full, or a limit is reached: the old file remains, nothing else does, and the error says what to do."""

from __future__ import annotations

import copy
import errno
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import full
import pytest
from command_line import COMMAND, environment
from patience import PATIENCE

import connectors
from connectors.errors import MachineFailed

PROGRAM = Path(full.__file__)


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    full.prepare(folder)
    return folder


@contextmanager
def files_no_larger_than(size: int):
    """Let this process write no file larger than `size` bytes; Python ignores the signal for that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


LIMITS = [0, 100, 65_536, (1 << 20) + 1, 4 << 20, full.SIZE - 1]


def test_file_larger_than_the_limit(store, tmp_path, tally):
    folder = tmp_path / "folder"
    folder.mkdir()
    target = folder / "copy"
    target.write_bytes(full.OLD)
    for name, write in full.targets(store, folder).items():
        with tally("a file exceeds the file size limit", f"local file, {name}") as cases:
            for limit in LIMITS:
                with files_no_larger_than(limit):
                    error = cases.refused(write, MachineFailed)
                assert error.errno == errno.EFBIG
                assert error.filename in {str(target), str(folder / "new")}
                assert "raise the limit on the size of a file" in str(error)
                assert os.listdir(folder) == ["copy"]
                assert target.read_bytes() == full.OLD
        write()  # it succeeds once there is room
        (folder / "new").unlink(missing_ok=True)
        target.write_bytes(full.OLD)


def test_spool_larger_than_the_limit(store, tally):
    for name, write in full.spools(store).items():
        with tally("a spool exceeds the file size limit", name) as cases:
            for limit in (0, 65_536, 4 << 20):
                with files_no_larger_than(limit):
                    error = cases.refused(write, MachineFailed)
                assert error.errno == errno.EFBIG
                assert "$TMPDIR cannot hold a temporary file of sealed bytes" in str(error)


def test_full_disk_errors_keep_their_errno_when_copied(store, tmp_path):
    with files_no_larger_than(100), pytest.raises(MachineFailed) as caught:
        connectors.encrypt(store / "plain", tmp_path / "copy", full.KEY)
    for other in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert (other.errno, other.strerror, other.filename) == (
            errno.EFBIG,
            os.strerror(errno.EFBIG),
            str(tmp_path / "copy"),
        )
        assert str(other) == str(caught.value)


@pytest.fixture(scope="module")
def on_a_full_disk(tmp_path_factory):
    """The outcomes of all that `full` tries on a 2 MiB disk: a tmpfs in a mount namespace of its own."""
    folder = tmp_path_factory.mktemp("full")
    mount = f"mount -t tmpfs -o size=2m none {folder}"
    if shutil.which("unshare") is None:
        pytest.skip("unshare(1), which mounts a small disk, is not installed")
    tried = subprocess.run(["unshare", "-Urm", "sh", "-c", mount], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"cannot mount a small disk here: {tried.stderr.strip()}")
    script = f'{mount} && exec "$@"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", sys.executable, str(PROGRAM), str(folder)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_disk_is_full(on_a_full_disk, tally):
    for name, result in on_a_full_disk.items():
        if name.startswith("connectors "):
            continue
        with tally("the disk is full", name) as cases:
            assert (result["kind"], result["number"], result["ours"]) == ("MachineFailed", errno.ENOSPC, True), result
            assert "free some space, or choose another place: No space left on device" in result["message"]
            assert (result["names"], result["unchanged"]) == (["copy"], True), result
            cases.count(result["kind"])


def test_disk_is_full_for_the_command_line(on_a_full_disk, tally):
    for name, result in on_a_full_disk.items():
        if not name.startswith("connectors "):
            continue
        with tally(
            "the disk is full", f"`{name.partition(',')[0]}`{name.partition(',')[1]}{name.partition(',')[2]}"
        ) as cases:
            assert result["code"] == 1, result
            assert result["message"].startswith("connectors: error: "), result
            assert result["message"].count("\n") == 1, result
            assert "No space left on device" in result["message"]
            assert (result["names"], result["unchanged"]) == (["copy"], True), result
            cases.count("one line, exit code 1, the old file remains")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_standard_output_is_full(store, tmp_path, tally):
    app = full.commands(store, tmp_path)["connectors cp, from a dataset"][0][2]
    verbs = {
        "decrypt": ["decrypt", "-K", str(store / "key"), str(store / "sealed"), "-"],
        "encrypt": ["encrypt", "-K", str(store / "key"), str(store / "plain"), "-"],
        "cat": ["cat", "--app-config", app, "dataset://input/large"],
        "cp": ["cp", "--app-config", app, "dataset://input/large", "-"],
        "ls": ["ls", "--app-config", app],
    }
    with tally("standard output is full", ", ".join(f"`{verb}`" for verb in verbs)) as cases:
        for words in verbs.values():
            with open("/dev/full", "wb") as nowhere:
                done = subprocess.run(
                    [*COMMAND, *words],
                    env=environment(),
                    stdout=nowhere,
                    stderr=subprocess.PIPE,
                    check=False,
                    timeout=PATIENCE,
                )
            assert (done.returncode, done.stderr) == (1, b"connectors: error: No space left on device\n")
            cases.count("one line, exit code 1")
