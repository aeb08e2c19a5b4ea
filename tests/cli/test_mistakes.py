"""Mistakes: each is one line, without secrets, and writes nothing."""

from __future__ import annotations

import pytest
from command_line import KEY, PLAIN, connectors, flipped, names

from connectors.cli import main
from connectors.cli.common import exit_codes

# Mistakes.

SEALING_MISTAKES = [
    (["-in", "nothing", "-out", "x"], "there is no file nothing"),
    (["-in", "folder", "-out", "x"], "folder is a folder; name a file"),
    (["-in", "plain", "-out", "folder"], "is a folder; name a file"),
    (["-in", "plain", "-out", "no/x"], "there is no folder"),
    (["-in", "plain"], "name the file to write"),
    (["-out", "x"], "name the file to read"),
    (["plain"], "name the file to write"),
    (["plain", "x", "y"], "expected two files, IN and OUT, not 3"),
    (["plain", "-out", "x"], "or as IN OUT, not both"),
    (["-in", "plain", "-out", "key.hex"], "-out is the key file"),
    (["-in", "plain", "-out", "./folder/../key.hex"], "-out is the key file"),
    (
        ["plain", "x", "--format", "rot13"],
        "unknown format 'rot13'; the formats are auto, cobblestone-256, tink-gcm-hkdf, gcm",
    ),
    (["plain", "x", "--segment-size", "4096"], "--segment-size needs --format tink-gcm-hkdf"),
    (["plain", "x", "--segment-size", "many"], "a whole number is expected"),
    (["plain", "x", "--format", "tink-gcm-hkdf", "--segment-size", "3"], "segment_size"),
    (["plain", "x", "--format", "gcm", "--context", "x"], "context"),
    (["s3://clinic/plain", "x"], "s3://clinic/plain is a URL, but a local file is expected"),
    (["plain", "https://h/x?sig=5ec2e7"], "https://h/x?… is a URL"),
    (["plain", "x", "--fromat", "gcm"], "--format"),
]


@pytest.mark.parametrize(("words", "rule"), SEALING_MISTAKES, ids=[" ".join(words) for words, _ in SEALING_MISTAKES])
@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_mistake_is_one_line_and_writes_nothing(home, verb, words, rule):
    if verb == "decrypt":
        words = [word.replace("plain", "sealed") for word in words]
        rule = rule.replace("plain", "sealed")
    before = {path: path.read_bytes() for path in home.iterdir() if path.is_file()}
    message = connectors(verb, "-K", "key.hex", *words, cwd=home).error()
    assert rule in message
    assert {path: path.read_bytes() for path in home.iterdir() if path.is_file()} == before
    assert list((home / "folder").iterdir()) == []


def test_usage_mistakes_say_where_the_help_is(tmp_path):
    assert connectors("nope", cwd=tmp_path).error() == "no such command 'nope' (see connectors --help)"
    assert connectors("dataset", "nope", cwd=tmp_path).error().endswith("(see connectors dataset --help)")
    assert connectors("dataset", cwd=tmp_path).error() == "missing command (see connectors dataset --help)"
    assert connectors("encrypt", "--zz", cwd=tmp_path).error().endswith("(see connectors encrypt --help)")
    assert connectors("cp", "a", "b", cwd=tmp_path).error().endswith("(see connectors cp --help)")


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda data: flipped(data, 20000), "chunk 1 does not verify"),
        (lambda data: data[:-1], "does not verify"),
        (lambda data: data[:20], "fewer than the 28 that any format needs"),
        (lambda data: b"", "fewer than the 28 that any format needs"),
        (lambda data: flipped(data, 0), "wrong key"),
    ],
    ids=["flipped bit", "last byte cut", "cut short", "empty", "flipped header"],
)
def test_damaged_object_ends_with_3_and_no_file(home, damage, rule):
    (home / "sealed").write_bytes(damage((home / "sealed").read_bytes()))
    before = names(home)
    assert rule in connectors("decrypt", "-K", "key.hex", "sealed", "copy", cwd=home).error(3)
    assert names(home) == before
    (home / "copy").write_bytes(b"stands")
    connectors("decrypt", "-K", "key.hex", "sealed", "copy", "--force", cwd=home).error(3)
    assert (home / "copy").read_bytes() == b"stands"


def test_wrong_key_and_wrong_context_end_with_3(home):
    assert "wrong key" in connectors("decrypt", "-K", "other.hex", "sealed", "copy", cwd=home).error(3)
    assert "context" in connectors("decrypt", "-K", "key.hex", "--context", "x", "sealed", "copy", cwd=home).error(3)
    short = connectors("decrypt", "-K", "key.hex", "--format", "cobblestone-256", "key.hex", "copy", cwd=home).error(3)
    assert "64 bytes" in short
    assert not (home / "copy").exists()


def test_pipe_is_given_only_what_verified(home):
    (home / "sealed").write_bytes(flipped((home / "sealed").read_bytes(), 40000))
    done = connectors("decrypt", "-K", "key.hex", "sealed", "-", cwd=home)
    assert done.code == 3
    assert len(done.out) < len(PLAIN)
    assert PLAIN.startswith(done.out)


# Secrets.


def test_key_typed_in_place_of_its_file_is_not_repeated(home):
    message = connectors("encrypt", "-K", KEY, "plain", "x", cwd=home).error()
    assert "name the file that holds the key, not the key itself" in message
    assert "make a new one" in message
    assert "5EC2E7" not in message


DOCUMENT = '{"query_string": "c2lnPTVlYzJlNw==", "encryption": {"key": "%s"}}' % KEY


@pytest.mark.parametrize(
    "words",
    [
        ["encrypt", "-K", "key.hex", KEY, "x"],
        ["encrypt", "-K", "key.hex", "plain", "x", KEY, "y"],
        ["encrypt", f"--{KEY}"],
        ["decrypt", "-K", "key.hex", "sealed", "x", "--format", KEY],
        ["decrypt", "-K", "key.hex", "sealed", "x", "--segment-size", KEY],
        [KEY],
        ["keygen", "a", KEY],
        ["schema", KEY],
        ["cat", f"https://me:5EC2E7@host/object?X-Amz-Signature=5EC2E7{KEY}"],
        ["cat", f"dataset://input/{KEY}"],
        ["ls", KEY],
        ["cp", f"s3://h/x?token=5EC2E7{KEY}", "x"],
        ["presign", f"https://me:5EC2E7@host/object?sig=5EC2E7{KEY}", "--credentials", "document"],
        ["presign", "s3://clinic/x", "--credentials", DOCUMENT],
        ["presign", "s3://clinic/x", "--credentials", "document", "-K", KEY],
        ["presign", "s3://clinic/x", "--ambient", "--method", KEY],
        ["rekey", f"https://me:5EC2E7@host/object?sig=5EC2E7{KEY}", "--to", "document"],
        ["rekey", "--location", f"https://host/object?sig=5EC2E7{KEY}", "--from", "document", "--to", "document"],
        ["rekey", "sealed", "-K", "key.hex", "--new-key-file", KEY],
        ["rekey", "--location", "file:///x", "--from", "document", "--to", DOCUMENT],
        ["dataset", "check", DOCUMENT],
        ["dataset", "check", "document", "--location", f"https://me:5EC2E7@host/object?sig=5EC2E7{KEY}"],
        ["dataset", "check", "broken"],
        ["dataset", "new", "app", "input", KEY, "--location", "nowhere", "--credentials", "document"],
        ["dataset", "new", "app", "in", "x", "--location", "https://h/x?sig=5EC2E7", "--credentials", "document"],
        ["dataset", "new", "app", "in", "x", "--location", "file:///x", "--credentials", DOCUMENT],
    ],
    ids=lambda words: " ".join(words).replace(KEY, "KEY")[:60],
)
@pytest.mark.parametrize("debug", ["0", "1"])
def test_no_error_repeats_a_secret(home, words, debug):
    (home / "document").write_text(DOCUMENT)
    (home / "broken").write_text(DOCUMENT.replace("}}", '}, "5EC2E7 = %s": 1}' % KEY))
    (home / "app").mkdir()
    done = connectors(*words, cwd=home, CONNECTORS_DEBUG=debug, CONNECTORS_APP_CONFIG="app")
    assert done.code == 2
    if debug == "0":
        done.error()
    assert "5ec2e7" not in (done.err + done.text).lower()
    assert "c2lnPTVlYzJlNw" not in done.err


def test_foreign_errors_show_their_kind_alone(monkeypatch, capsys):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"GET https://host/object?sig=5EC2E7 failed for {KEY}")

    monkeypatch.delenv("CONNECTORS_DEBUG", raising=False)
    monkeypatch.setattr("connectors.storage.registry.backends", fail)
    assert main(["backends"]) == 1
    assert capsys.readouterr().err == (
        "connectors: error: an unexpected RuntimeError, which is a defect; `connectors --debug …` shows where\n"
    )
    assert main(["--debug", "backends"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "https://host/object?…" in shown
    assert "5EC2E7" not in shown


def test_debug_shows_the_traceback_and_nothing_else_does(home):
    words = ["decrypt", "-K", "other.hex", "sealed", "copy"]
    shown = connectors("--debug", *words, cwd=home).err
    assert shown.startswith("Traceback")
    assert shown.count("connectors: error: ") == 1
    assert connectors(*words, cwd=home, CONNECTORS_DEBUG="1").err.startswith("Traceback")
    connectors(*words, cwd=home, CONNECTORS_DEBUG="0").error(3)


def test_what_libraries_log_and_warn_stays_within_one_line(monkeypatch, capsys):
    import logging  # noqa: PLC0415
    import warnings  # noqa: PLC0415

    def chatter() -> list[object]:
        logging.getLogger("urllib3").warning("retrying https://host/object?sig=5EC2E7")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old\nhttps://host/object?sig=5EC2E7", UserWarning, stacklevel=1)
        return []

    monkeypatch.setattr("connectors.storage.registry.backends", chatter)
    assert main(["backends", "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "[]\n"
    assert shown.err == "connectors: warning: old https://host/object?…\n"


def test_control_characters_never_reach_the_terminal():
    assert exit_codes.one_line("a\nb\x1b[2J\x9b\u202e") == "a b\\x1b[2J\\x9b\\u202e"
