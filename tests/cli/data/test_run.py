"""`connectors run` and `connectors result` as a person meets them: bytes, exit codes, terminals, signals, mistakes."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import COMMAND, KEY, OTHER_KEY, Done, connectors, environment

import connectors as sdk
from connectors import runner
from connectors.cli import main

BEFORE = b"what stood there before"
EVERY_BYTE = bytes(range(256))
EVERY = "import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stderr.buffer.write(bytes(range(128)))"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with an app config of an input and two outputs, a key, and a place for private folders."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "key.hex").write_text(KEY)
    (tmp_path / "other.hex").write_text(OTHER_KEY)
    for port, name in (("input", "conditions"), ("output", "result"), ("output", "table")):
        folder = tmp_path / "app" / port / name / "dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text(f"{(tmp_path / name).as_uri()}\n")
        (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
        sdk.load(tmp_path / "app")[port][name].write_bytes(b"plain" if port == "input" else BEFORE)
    yield tmp_path
    assert os.listdir(tmp_path / "tmp") == []


def run(home: Path, *words: str) -> Done:
    return connectors("run", *words, cwd=home, CONNECTORS_APP_CONFIG="app", TMPDIR=str(home / "tmp"))


def plain(home: Path, name: str) -> bytes:
    return sdk.load(home / "app")["output"][name].read_bytes()


def result(home: Path, name: str = "result") -> runner.Result:
    return runner.read_result(io.BytesIO(plain(home, name)))


def untouched(home: Path, *names: str) -> bool:
    return all(plain(home, name) == BEFORE for name in names or ("result", "table"))


def at_a_terminal(home: Path, *words: str) -> tuple[int, bytes]:
    """Run the command with a terminal for its standard output and error, and return its exit code and what it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=home,
        env=environment(CONNECTORS_APP_CONFIG="app", TMPDIR=str(home / "tmp")),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = bytearray()
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # Linux says so at the end of a terminal
            break
        if not data:
            break
        shown += data
    os.close(ours)
    return process.wait(), bytes(shown)


# Running.


def test_what_the_command_prints_is_passed_on_byte_for_byte_and_published(home):
    done = subprocess.run(
        [*COMMAND, "run", "--", sys.executable, "-c", EVERY],
        cwd=home,
        env=environment(CONNECTORS_APP_CONFIG="app", TMPDIR=str(home / "tmp")),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, EVERY_BYTE, bytes(range(128)))
    assert result(home) == result(home, "table") == runner.Result(0, EVERY_BYTE, bytes(range(128)))


def test_options_behind_the_command_are_its_own(home):
    show = "import sys; print(sys.argv[1:-1])"
    for words in (["--", sys.executable], [sys.executable]):
        done = run(home, *words, "-c", show, "--output", "--help", "--", "-x")
        assert (done.code, done.text, done.err) == (0, "['--output', '--help', '--', '-x']\n", "")


def test_ports_app_config_and_files_are_options(home):
    (home / "app" / "input").rename(home / "app" / "from")
    (home / "app" / "output").rename(home / "app" / "to")
    (home / "app").rename(home / "config")
    script = 'cp "$1" "$CONNECTORS_OUTPUTS/made"; echo done'
    options = ["--app-config", "config", "--input-port", "from", "--output-port", "to", "--output", "table=made"]
    done = run(home, *options, "--", "sh", "-c", script, "sh")
    assert (done.code, done.text, done.err) == (0, "done\n", "")
    to = sdk.load(home / "config")["to"]
    assert to["table"].read_bytes() == b"plain"
    assert runner.read_result(io.BytesIO(to["result"].read_bytes())) == runner.Result(0, b"done\n", b"")


@pytest.mark.parametrize(("script", "code", "returncode"), [("exit 7", 7, 7), ("kill -9 $$", 137, -9)])
def test_the_command_s_exit_code_is_ours_and_its_file_is_not_published(home, script, code, returncode):
    done = run(home, "--output", "table=made", "--", "sh", "-c", f"echo x > $CONNECTORS_OUTPUTS/made; {script}")
    assert done.code == code
    reason = "exit code 7" if code == 7 else "ended by SIGKILL"
    stand = "so these datasets were not changed: output/table"
    assert done.err == f"connectors: warning: the command failed ({reason}), {stand}\n"
    assert result(home).returncode == returncode
    assert untouched(home, "table")


def test_a_missing_file_is_an_error_though_the_command_succeeded(home):
    message = run(home, "--output", "table=made", "--", "true").error()
    assert message.startswith("output/table: the command succeeded but wrote no file ")
    assert untouched(home, "table")
    assert result(home).returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input-port", "in", "true"], "the app config has no port 'in'; it has 'input', 'output'"),
        (["--output", "tabel=x", "true"], "the port 'output' has no dataset 'tabel'; it has 'result', 'table'"),
        (["--output", "table", "true"], "--output expects NAME=PATH"),
        (["--output", "=x", "true"], "--output expects NAME=PATH"),
        (["--output", "table=", "true"], "--output expects NAME=PATH"),
        (["--output", "table=x", "--output", "table=y", "true"], "--output names 'table' twice"),
        (["--output", "table=../x", "true"], "'../x' must be the path of a file"),
        (["--app-config", "none", "true"], "there is no app config folder"),
        (["--nonsense", "true"], "--nonsense"),
        ([], "missing argument"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_mistakes_are_one_line_and_nothing_is_written(home, words, message):
    assert message in run(home, *words).error()
    assert untouched(home)


def test_a_command_that_cannot_run_has_the_shells_exit_codes(home):
    (home / "notes").write_text("no program")
    assert run(home, "--", "no-such-program").error(127) == "there is no command 'no-such-program'"
    assert run(home, "--", "./notes").error(126) == "the command './notes' is not executable"
    assert untouched(home)


def test_an_input_that_was_tampered_with_ends_with_3_and_nothing_runs(home):
    path = home / "conditions"
    sealed = bytearray(path.read_bytes())
    sealed[-1] ^= 1
    path.write_bytes(sealed)
    assert run(home, "--", "touch", "mark").error(3).startswith("input/conditions: ")
    assert not (home / "mark").exists()
    assert untouched(home)


def test_an_output_s_credentials_are_checked_before_the_command_runs(home):
    (home / "app/output/table/dataset/credentials.bin").write_text(json.dumps({"encryption": {"key": KEY[:-2]}}))
    message = run(home, "--", "touch", "mark").error()
    assert message.startswith("output/table: credentials.encryption.key")
    assert KEY[:-2] not in message
    assert not (home / "mark").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_command_and_the_run_and_publishes_nothing(home, number):
    process = subprocess.Popen(
        [*COMMAND, "run", "--", "sh", "-c", "echo ready; sleep 600"],
        cwd=home,
        env=environment(CONNECTORS_APP_CONFIG="app", TMPDIR=str(home / "tmp")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    said = b"connectors: error: interrupted\n" if number is signal.SIGINT else b""
    assert process.communicate() == (b"", said)
    assert process.returncode == 128 + number
    assert untouched(home)


def test_a_reader_who_leaves_does_not_end_the_run(home):
    command = f"{' '.join(COMMAND)} run -- sh -c 'seq 100000' | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=home,
        env=environment(CONNECTORS_APP_CONFIG="app", TMPDIR=str(home / "tmp")),
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"1\n0\n", b"")
    assert result(home).stdout.endswith(b"\n100000\n")


def test_a_terminal_is_told_what_was_written(home):
    code, shown = at_a_terminal(home, "run", "--", "echo", "hello")
    assert code == 0
    assert b"hello " in shown
    assert b"Wrote output/result, output/table." in shown


def test_the_help_shows_how_the_command_is_given(capsys):
    for verb in ("run", "result"):
        assert main([verb, "--help"]) == 0
        shown = capsys.readouterr().out
        assert f"\n    connectors {verb}" in shown
    assert main(["run", "--help"]) == 0
    assert "-- COMMAND..." in capsys.readouterr().out


# Looking at a result.

NASTY = b"37.2\t\xc2\xb0C\xc2\xa0\r\n\x1b[2J\x1b]0;title\x07 gone\rover \xe2\x80\xaetxet \xff\x9b1m\n"
HARMLESS = "37.2\t°C\N{NO-BREAK SPACE}\n\\x1b[2J\\x1b]0;title\\x07 gone\\rover \\u202etxet \\xff\\x9b1m\n"  # what a terminal gets
FOUND = runner.Result(3, NASTY, b"no newline")


@pytest.fixture
def shelf(home: Path) -> Path:
    """The folder with a result in it, plain and sealed."""
    (home / "result.json").write_text(FOUND.to_json())
    sdk.encrypt(home / "result.json", home / "result.sealed", KEY)
    sdk.encrypt(home / "result.json", home / "result.bound", KEY, format="gcm")
    sdk.encrypt(
        home / "result.json", home / "result.tink", KEY, format="tink-gcm-hkdf", context=b"lab", segment_size=4096
    )
    return home


def test_a_result_is_shown_with_its_exit_code_and_its_bytes(shelf):
    done = connectors("result", "result.json", cwd=shelf)
    head = b"exit code 3\n--- stdout, %d bytes ---\n" % len(NASTY)
    assert done.out == head + NASTY + b"--- stderr, 10 bytes ---\nno newline\n"
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("returncode", "shown"), [(0, "exit code 0"), (-9, "ended by SIGKILL"), (-99, "ended by signal 99")]
)
def test_a_result_says_how_the_command_ended(home, returncode, shown):
    document = runner.Result(returncode, b"", b"").to_json().encode()
    done = connectors("result", "-", cwd=home, stdin=document)
    assert done.text == f"{shown}\n--- stdout: nothing ---\n--- stderr: nothing ---\n"


def test_one_part_alone_is_just_its_bytes(shelf):
    assert connectors("result", "result.json", "--stdout", cwd=shelf).out == NASTY
    assert connectors("result", "result.json", "--stderr", cwd=shelf).out == b"no newline"
    assert connectors("result", "--json", "result.json", cwd=shelf).text == FOUND.to_json() + "\n"


@pytest.mark.parametrize("key_first", [True, False])
def test_a_sealed_result_is_opened_with_its_key(shelf, key_first):
    words = ["-K", "key.hex", "result.sealed"] if key_first else ["result.sealed", "--key-file", "key.hex"]
    assert connectors("result", "--stdout", *words, cwd=shelf).out == NASTY
    sealed = (shelf / "result.bound").read_bytes()
    assert connectors("result", "--stdout", "-K", "key.hex", "-", cwd=shelf, stdin=sealed).out == NASTY
    options = ["--format", "tink-gcm-hkdf", "--context", "lab", "--segment-size", "4096"]
    assert connectors("result", "--stdout", "-K", "key.hex", *options, "result.tink", cwd=shelf).out == NASTY
    key = KEY.encode()
    assert connectors("result", "--stdout", "-K", "-", "result.sealed", cwd=shelf, stdin=key).out == NASTY


def test_what_was_published_is_what_is_shown(home):
    assert run(home, "--", sys.executable, "-c", EVERY).code == 0
    assert connectors("result", "--stdout", "-K", "key.hex", "result", cwd=home).out == EVERY_BYTE


def test_another_key_and_a_damaged_result_end_with_3(shelf):
    assert "key" in connectors("result", "-K", "other.hex", "result.sealed", cwd=shelf).error(3)
    sealed = bytearray((shelf / "result.sealed").read_bytes())
    sealed[-1] ^= 1
    (shelf / "result.sealed").write_bytes(sealed)
    connectors("result", "-K", "key.hex", "result.sealed", cwd=shelf).error(3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["result.sealed"], "this is not the result of a command: it is not text; if it is still encrypted"),
        (["key.hex"], "this is not the result of a command"),
        (["none"], "there is no file none"),
        (["tmp"], "is a folder"),
        (["https://host/x?sig=hush"], "is a URL"),
        (["result.json", "--stdout", "--json"], "use only one of"),
        (["result.json", "--format", "gcm"], "need a key: -K FILE"),
        (["result.json", "--context", "lab"], "need a key: -K FILE"),
        (["-", "-K", "-"], "cannot both come from standard input"),
        (["result.sealed", "-K", "key.hex", "--format", "rot13"], "unknown format 'rot13'"),
        ([], "missing argument"),
    ],
    ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_mistakes_about_results_are_one_line(shelf, words, message):
    shown = connectors("result", *words, cwd=shelf).error()
    assert message in shown
    assert "hush" not in shown


@pytest.mark.parametrize("words", [[], ["--stdout"]], ids=["all", "stdout"])
def test_a_terminal_is_shown_nothing_that_it_would_obey(shelf, words):
    code, shown = at_a_terminal(shelf, "result", "result.json", *words)
    assert code == 0
    text = shown.decode().replace("\r\n", "\n")
    assert HARMLESS in text
    if words:
        assert text == HARMLESS
    else:
        assert text.startswith("exit code 3\n")
        assert "stderr, 10 bytes" in text
        assert text.endswith("no newline\n")


def test_a_reader_who_leaves_ends_it_quietly(home):
    (home / "long.json").write_text(runner.Result(0, b"line\n" * 100_000, b"").to_json())
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} result --stdout long.json | head -1; echo ${{PIPESTATUS[0]}}"],
        cwd=home,
        env=environment(PYTHONUNBUFFERED=""),
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"line\n141\n", b"")
