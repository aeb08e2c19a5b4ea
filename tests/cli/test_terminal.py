"""The command at a terminal: what is shown there alone."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from command_line import COMMAND, KEY, PLAIN, connectors, environment, flipped


def on_a_terminal(*words: str, cwd: Path, stdout: int | None = None) -> tuple[int, bytes]:
    """Run the command with a terminal for standard error, and unless `stdout` says otherwise for output too."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = bytearray()
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that nobody holds the other end any more
                break
            if not piece:
                break
            shown += piece
    os.close(ours)
    return process.returncode, bytes(shown)


def test_terminal_shows_progress_and_pipes_do_not(home):
    code, shown = on_a_terminal("encrypt", "-K", "key.hex", "plain", "new", cwd=home)
    assert code == 0
    assert b"encrypting" in shown
    assert b"100%" in shown or f"{len(PLAIN) / 1024:.1f}/{len(PLAIN) / 1024:.1f}".encode() in shown
    assert connectors("encrypt", "-K", "key.hex", "plain", "other", cwd=home).err == ""


def test_terminal_is_told_about_a_new_key_and_spared_sealed_bytes(home):
    code, shown = on_a_terminal("keygen", "new.hex", cwd=home)
    assert code == 0
    assert b"Keep a copy" in shown
    code, shown = on_a_terminal("encrypt", "-K", "key.hex", "plain", "-", cwd=home)
    assert code == 2
    assert b"sealed bytes are not written to a terminal" in shown
    code, shown = on_a_terminal("keygen", cwd=home)
    assert re.fullmatch(rb"[0-9A-F]{64}\r\n", shown)


def test_progress_bar_is_gone_before_an_error_is_told(home):
    (home / "sealed").write_bytes(flipped((home / "sealed").read_bytes(), 40000))
    code, shown = on_a_terminal("decrypt", "-K", "key.hex", "sealed", "copy", cwd=home)
    assert code == 3
    assert shown.rstrip().splitlines()[-1].find(b"connectors: error: chunk 2") >= 0
    assert not (home / "copy").exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_any_encoding_shows_every_text(tmp_path, encoding):
    for name in ("Größe", "体温"):
        folder = tmp_path / "input" / name / "dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text("memory://ward/x")
        (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
    given = environment(PYTHONIOENCODING=encoding, PYTHONUTF8="1", CONNECTORS_APP_CONFIG=str(tmp_path))
    for words, code in (
        (["ls"], 0),
        (["ls", "--json"], 0),
        (["presign", "--help"], 0),
        (["run", "--help"], 0),
        (["workflow", "--help"], 0),
        (["dataset", "check", "dataset://input/体温"], 0),
        (["cat", "dataset://input/Größe"], 2),
    ):
        done = subprocess.run([*COMMAND, *words], cwd=tmp_path, env=given, capture_output=True, check=False)
        # Typer writes help as UTF-8 to a terminal that claims to have only ASCII.
        text = (done.stdout + done.stderr).decode(encoding, "replace" if "--help" in words else "strict")
        assert done.returncode == code, text
        assert "defect" not in text
        if words == ["ls", "--json"]:
            assert "体温" in json.dumps(json.loads(done.stdout.decode(encoding)), ensure_ascii=False)
        elif words == ["ls"]:
            assert ("体温" if encoding == "utf-8" else "\\u4f53\\u6e29") in text
            assert ("Gr\\xf6\\xdfe" if encoding == "ascii" else "Größe") in text
