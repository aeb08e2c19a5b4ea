"""The disk is full, or a quota is used up: the old file stands, nothing stays, and the error says what to do."""

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
    """Let this process write no file beyond `size` bytes; Python has the signal for it ignored."""
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
        with tally("a file grows over the limit on its size", f"local file, {name}") as cases:
            for limit in LIMITS:
                with files_no_larger_than(limit):
                    error = cases.refused(write, MachineFailed)
                assert error.errno == errno.EFBIG
                assert error.filename in {str(target), str(folder / "new")}
                assert "raise the limit on the size of a file" in str(error)
                assert os.listdir(folder) == ["copy"]
                assert target.read_bytes() == full.OLD
        write()  # as soon as there is room
        (folder / "new").unlink(missing_ok=True)
        target.write_bytes(full.OLD)


def test_spool_larger_than_the_limit(store, tally):
    for name, write in full.spools(store).items():
        with tally("a spool grows over the limit on the size of files", name) as cases:
            for limit in (0, 65_536, 4 << 20):
                with files_no_larger_than(limit):
                    error = cases.refused(write, MachineFailed)
                assert error.errno == errno.EFBIG
                assert "$TMPDIR cannot hold a temporary file of sealed bytes" in str(error)


def test_errors_of_a_full_disk_travel_with_their_number(store, tmp_path):
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
    """What came of everything that `full` tries on a disk of 2 MiB, a filesystem in memory of a namespace of its own."""
    folder = tmp_path_factory.mktemp("full")
    mount = f"mount -t tmpfs -o size=2m none {folder}"
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare(1) here, to mount a small disk with")
    tried = subprocess.run(["unshare", "-Urm", "sh", "-c", mount], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no small disk can be mounted here: {tried.stderr.strip()}")
    script = f'{mount} && exec "$@"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", sys.executable, str(PROGRAM), str(folder)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_disk_is_full(on_a_full_disk, tally):
    for name, came in on_a_full_disk.items():
        if name.startswith("connectors "):
            continue
        with tally("the disk is full", name) as cases:
            assert (came["kind"], came["number"], came["ours"]) == ("MachineFailed", errno.ENOSPC, True), came
            assert "free some space, or choose another place: No space left on device" in came["said"]
            assert (came["names"], came["stands"]) == (["copy"], True), came
            cases.count(came["kind"])


def test_disk_is_full_for_the_command_line(on_a_full_disk, tally):
    for name, came in on_a_full_disk.items():
        if not name.startswith("connectors "):
            continue
        with tally(
            "the disk is full", f"`{name.partition(',')[0]}`{name.partition(',')[1]}{name.partition(',')[2]}"
        ) as cases:
            assert came["code"] == 1, came
            assert came["said"].startswith("connectors: error: "), came
            assert came["said"].count("\n") == 1, came
            assert "No space left on device" in came["said"]
            assert (came["names"], came["stands"]) == (["copy"], True), came
            cases.count("one line, exit code 1, the old file stands")


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
                    timeout=60,
                )
            assert (done.returncode, done.stderr) == (1, b"connectors: error: No space left on device\n")
            cases.count("one line, exit code 1")
