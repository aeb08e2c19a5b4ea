"""Sealing and opening: files, pipes and devices, and what is not replaced."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess

import command_line
import pytest
from command_line import COMMAND, KEY, PLAIN, connectors, environment

import connectors as sdk


@pytest.mark.parametrize("spelling", [("-in", "-out"), ("--in", "--out")])
def test_round_trip_in_every_spelling(home, spelling):
    to, back = spelling
    assert connectors("encrypt", "-K", "key.hex", to, "plain", back, "new", cwd=home).code == 0
    assert connectors("decrypt", "--key-file", "key.hex", to, "new", back, "copy", cwd=home).code == 0
    assert (home / "copy").read_bytes() == PLAIN
    assert len((home / "new").read_bytes()) > len(PLAIN)
    assert connectors("encrypt", "-K", "key.hex", "plain", "new", "--force", cwd=home).code == 0
    assert connectors("decrypt", "-K", "key.hex", "new", "again", cwd=home) == command_line.Done(0, b"", "")
    assert (home / "again").read_bytes() == PLAIN


@pytest.mark.parametrize(
    "options",
    [
        ["--format", "gcm"],
        ["--format", "cobblestone-256", "--context", "ward 7 – Süd"],
        ["--format", "tink-gcm-hkdf", "--segment-size", "4096", "--context", "x"],
    ],
    ids=" ".join,
)
def test_formats_and_contexts_are_the_librarys(home, options):
    assert connectors("encrypt", "-K", "key.hex", "plain", "new", *options, cwd=home).code == 0
    chosen = dict(zip(options[::2], options[1::2], strict=True))
    with sdk.open_reader(
        home / "new",
        KEY,
        format=chosen["--format"],
        context=chosen.get("--context", "").encode(),
        segment_size=int(chosen.get("--segment-size", 1 << 20)),
    ) as file:
        assert file.read() == PLAIN
    assert connectors("decrypt", "-K", "key.hex", "new", "copy", *options, cwd=home).code == 0
    assert (home / "copy").read_bytes() == PLAIN


def test_pipes_on_both_sides(home):
    sealed = connectors("encrypt", "-K", "key.hex", "-", "-", cwd=home, stdin=PLAIN)
    assert (sealed.code, sealed.err) == (0, "")
    assert connectors("decrypt", "-K", "key.hex", "-in", "-", "-out", "-", cwd=home, stdin=sealed.out).out == PLAIN
    assert connectors("decrypt", "-K", "-", "sealed", "-", cwd=home, stdin=KEY.encode()).out == PLAIN


def test_named_pipes_and_devices_are_written_to_and_not_replaced(home):
    os.mkfifo(home / "pipe")
    with subprocess.Popen(
        [*COMMAND, "decrypt", "-K", "key.hex", "sealed", "pipe"], cwd=home, env=environment()
    ) as writer:
        assert (home / "pipe").read_bytes() == PLAIN
    assert writer.returncode == 0
    assert stat.S_ISFIFO((home / "pipe").stat().st_mode)
    with subprocess.Popen(
        [*COMMAND, "decrypt", "-K", "key.hex", "pipe", "copy"], cwd=home, env=environment()
    ) as reader:
        (home / "pipe").write_bytes((home / "sealed").read_bytes())
    assert reader.returncode == 0
    assert (home / "copy").read_bytes() == PLAIN


def test_file_may_be_sealed_in_place_and_through_a_link(home):
    (home / "link").symlink_to("plain")
    (home / "plain").chmod(0o600)
    assert connectors("encrypt", "-K", "key.hex", "plain", "link", cwd=home).code == 0
    assert (home / "link").is_symlink()
    assert stat.S_IMODE((home / "plain").stat().st_mode) == 0o600
    assert connectors("decrypt", "-K", "key.hex", "plain", "plain", cwd=home).code == 0
    assert (home / "plain").read_bytes() == PLAIN


WRITERS = {
    "encrypt": ["encrypt", "-K", "key.hex", "plain"],
    "decrypt": ["decrypt", "-K", "key.hex", "sealed"],
    "cp": ["cp", "--app-config", "app", "dataset://input/conditions"],
}


@pytest.fixture
def stored(home):
    (home / "app/input/conditions/dataset").mkdir(parents=True)
    (home / "app/input/conditions/dataset/location.txt").write_text(f"file://{home}/sealed")
    (home / "app/input/conditions/dataset/credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
    return home


@pytest.mark.parametrize("there", ["a file", "an empty file", "a link", "a hard link to the source"])
@pytest.mark.parametrize("verb", WRITERS)
def test_existing_file_is_replaced_only_with_force(stored, verb, there):
    two = stored / "two.csv"
    (stored / "real").write_bytes(b"" if there == "an empty file" else b"another's")
    if there == "a link":
        two.symlink_to("real")
    else:
        os.link(stored / (WRITERS[verb][3] if "source" in there and verb != "cp" else "real"), two)
    before = two.read_bytes()
    message = connectors(*WRITERS[verb], "two.csv", cwd=stored).error()
    assert message == "'two.csv' already exists and was not changed; --force replaces it"
    assert two.read_bytes() == before
    assert connectors(*WRITERS[verb], "two.csv", "--force", cwd=stored).code == 0
    assert two.read_bytes() != before
    assert two.is_symlink() == (there == "a link")
    assert not [name for name in os.listdir(stored) if name.endswith(".part")]


def test_failed_decryption_leaves_nothing_where_nothing_was(stored):
    (stored / "sealed").write_bytes((stored / "sealed").read_bytes()[:-1])
    connectors("decrypt", "-K", "key.hex", "sealed", "new", cwd=stored).error(3)
    assert not [name for name in os.listdir(stored) if "new" in name]


def test_redirected_standard_output_is_no_existing_file(stored):
    with (stored / "out").open("wb") as out:
        words = [*COMMAND, "decrypt", "-K", "key.hex", "sealed", "/dev/stdout"]
        assert subprocess.run(words, cwd=stored, env=environment(), stdout=out, check=False).returncode == 0
    assert (stored / "out").read_bytes() == PLAIN


@pytest.mark.parametrize("source", ["-", "/dev/stdin"])
@pytest.mark.parametrize("words", [["encrypt", "-K", "key.hex"], ["cp", "--app-config", "app"]], ids=["encrypt", "cp"])
def test_empty_standard_input_is_refused_unless_it_is_allowed(stored, words, source):
    target = "new" if words[0] == "encrypt" else "dataset://input/conditions"
    before = (stored / "sealed").read_bytes()
    told = connectors(*words, source, target, cwd=stored, stdin=b"").error()
    assert told.startswith("standard input is empty, so nothing was written: ")
    assert told.endswith("--allow-empty accepts empty input")
    assert not (stored / "new").exists()
    assert (stored / "sealed").read_bytes() == before
    assert connectors(*words, source, target, "--allow-empty", cwd=stored, stdin=b"").code == 0
    with sdk.open_reader(stored / ("new" if target == "new" else "sealed"), KEY) as file:
        assert file.read() == b""


def test_failed_decrypt_in_a_pipe_seals_no_empty_object(stored):
    command = f"{shlex.join(COMMAND)} decrypt -K key.hex key.hex - | {shlex.join(COMMAND)} encrypt -K key.hex - new"
    done = subprocess.run(["sh", "-c", command], cwd=stored, env=environment(), capture_output=True, check=False)
    assert done.returncode == 2
    assert b"standard input is empty" in done.stderr
    assert not (stored / "new").exists()


def test_empty_named_pipe_is_refused_and_empty_file_is_not(home):
    os.mkfifo(home / "pipe")
    words = [*COMMAND, "encrypt", "-K", "key.hex", "pipe", "new"]
    with subprocess.Popen(words, cwd=home, env=environment(), stderr=subprocess.PIPE) as reader:
        (home / "pipe").write_bytes(b"")
        assert b"pipe is empty, so nothing was written" in reader.stderr.read()
    assert (reader.returncode, (home / "new").exists()) == (2, False)
    (home / "empty").touch()
    assert connectors("encrypt", "-K", "key.hex", "empty", "new", cwd=home).code == 0
