"""The system fails, somebody leaves or interrupts: one line at most, and nothing is left behind."""

from __future__ import annotations

import io
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import COMMAND, KEY, environment, names

import connectors as sdk
from connectors.cli.common import console


def test_full_disk_is_one_line_and_leaves_nothing(home):
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

    (home / "copy").write_bytes(b"stands")
    before = names(home)
    done = subprocess.run(
        [*COMMAND, "decrypt", "-K", "key.hex", "sealed", "copy", "--force"],
        cwd=home,
        env=environment(),
        capture_output=True,
        preexec_fn=small_files,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert re.fullmatch(rb"connectors: error: [^\n]*File too large\n", done.stderr)
    assert names(home) == before
    assert (home / "copy").read_bytes() == b"stands"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["backends", "--json"], ["decrypt", "-K", "key.hex", "sealed", "-"]], ids=" ".join)
def test_full_output_is_one_line(home, words):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, *words], cwd=home, env=environment(), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"connectors: error: No space left on device\n")


@pytest.mark.parametrize("words", [["decrypt", "-K", "key.hex", "sealed", "-"], ["schema"], ["--help"]], ids=" ".join)
def test_reader_that_leaves_ends_it_without_a_word(home, words):
    sdk.encrypt(home / "plain", home / "sealed", KEY)
    readable, writable = os.pipe()
    os.close(readable)
    with os.fdopen(writable, "wb") as gone:
        done = subprocess.run(
            [*COMMAND, *words], cwd=home, env=environment(), stdout=gone, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [(signal.SIGINT, 130, b"connectors: error: interrupted\n"), (signal.SIGTERM, 143, b""), (signal.SIGHUP, 129, b"")],
)
def test_signal_ends_it_and_leaves_nothing_behind(home, number, code, line):
    os.mkfifo(home / "pipe")
    (home / "copy").write_bytes(b"stands")
    before = names(home)
    with (
        subprocess.Popen(
            [*COMMAND, "encrypt", "-K", "key.hex", "pipe", "copy", "--force"],
            cwd=home,
            env=environment(),
            stderr=subprocess.PIPE,
        ) as process,
        open(home / "pipe", "wb") as pipe,
    ):
        # Once it has taken more than the pipe itself holds, it is in the middle of its work.
        pipe.write(b"x" * (1 << 20))
        process.send_signal(number)
        said = process.communicate()[1]
    assert (process.returncode, said) == (code, line)
    assert names(home) == before
    assert (home / "copy").read_bytes() == b"stands"


class Sips(io.RawIOBase):
    """A raw file that takes three bytes at a time, as a pipe or a full disk may."""

    def __init__(self):
        super().__init__()
        self.taken = b""

    def writable(self):
        return True

    def write(self, data, /):
        self.taken += bytes(data[:3])
        return min(3, len(data))


def test_unbuffered_output_loses_nothing(monkeypatch):
    sips = Sips()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=sips, encoding="utf-8", errors="strict"))
    assert console.Stdout().write(b"abcdefgh") == 8
    console.print_line("Fieber ä")
    assert sips.taken == "abcdefghFieber ä\n".encode()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_disturb_nothing(tmp_path, closed):
    (tmp_path / "plain").write_bytes(b"37.2")
    command = f"{shlex.quote(sys.executable)} -m connectors"
    script = f"{command} keygen key.hex {closed} && {command} encrypt -K key.hex plain sealed {closed}"
    assert subprocess.run(["bash", "-c", script], cwd=tmp_path, check=False).returncode == 0
    assert len((tmp_path / "key.hex").read_bytes()) == 64
    with sdk.open_reader(tmp_path / "sealed", (tmp_path / "key.hex").read_text()) as file:
        assert file.read() == b"37.2"
