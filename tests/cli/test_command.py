"""The command as a person meets it: keys, files, pipes, terminals, interruptions, and every mistake in one line."""

from __future__ import annotations

import importlib
import io
import json
import os
import pty
import re
import resource
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import command_line
import pytest
import typer
from command_line import COMMAND, KEY, OTHER_KEY, connectors, environment

import connectors as sdk
from connectors.cli import command, main
from connectors.cli.common import console, exit_codes
from connectors.cli.common.lazy import LazyGroup

PLAIN = b"".join(b"%d,Viral sinusitis (disorder)\n" % row for row in range(3000))
VERBS = [
    ["keygen"],
    ["encrypt"],
    ["decrypt"],
    ["presign"],
    ["ls"],
    ["cat"],
    ["cp"],
    ["backends"],
    ["schema"],
    ["dataset", "check"],
    ["dataset", "new"],
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "key.hex").write_text(KEY)
    (tmp_path / "other.hex").write_text(OTHER_KEY)
    (tmp_path / "plain").write_bytes(PLAIN)
    sdk.encrypt(tmp_path / "plain", tmp_path / "sealed", KEY)
    (tmp_path / "folder").mkdir()
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Help.


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example_on_lines_of_its_own(verb, capsys):
    assert main([*verb, "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert f"\n    connectors {' '.join(verb)}" in shown.out
    assert main([*verb, "-h"]) == 0
    assert capsys.readouterr().out == shown.out


def test_help_lists_every_verb_and_comes_without_arguments_too(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr().out == listed
    for verb in VERBS:
        assert re.search(rf"^  {verb[0]} ", listed, re.MULTILINE)


def test_exit_codes_in_the_help_and_the_docs_are_those_of_the_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    table = shown.partition("Exit codes:\n")[2]
    told = {int(code): meaning for code, meaning in re.findall(r"^ +(\d+) +(.+)$", table, re.MULTILINE)}
    page = Path(__file__).parents[2].joinpath("docs", "running.md").read_text()
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)}
    assert told == rows == dict(exit_codes.MEANINGS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (sdk.errors.MachineFailed("the disk is full"), 1),
        (OSError(28, "No space left on device"), 1),
        (RuntimeError(), 1),
        (sdk.errors.ConfigError("no such port"), 2),
        (sdk.errors.InvalidDocument("a rule is broken"), 2),
        (sdk.errors.Declined("too much"), 2),
        (sdk.errors.AccessDenied("not yours"), 2),
        (sdk.errors.WrongKey("another key"), 3),
        (KeyboardInterrupt(), 130),
        (exit_codes.OutputClosed(), 141),
    ],
    ids=lambda one: type(one).__name__,
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert exit_codes.describe(error)[0] == code
    assert code in exit_codes.MEANINGS


def test_version_names_the_release(tmp_path):
    done = connectors("--version", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"connectors \d+\.\d+\.\d+\S*\n", done.text)


def test_help_loads_no_cloud_library_and_no_pandas(tmp_path):
    code = (
        "import sys; from connectors.cli import main; code = main(['encrypt', '--help'])\n"
        "heavy = {'pandas', 'numpy', 's3fs', 'botocore', 'aiobotocore', 'aiohttp', 'urllib3', 'moto', 'flask',\n"
        "         'fsspec'}\n"
        "sys.exit(code or ' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_and_completion_import_no_verb():
    code = (
        "import sys; from connectors.cli import main; main(['--help']); main(['encrpt']); main(['--version'])\n"
        "folders = ('connectors.cli.data.', 'connectors.cli.workflow.', 'connectors.cli.dev.', 'cryptography')\n"
        "sys.exit(' '.join(name for name in sys.modules if name.startswith(folders)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        0,
        "connectors: error: no such command 'encrpt'. Did you mean 'encrypt', 'decrypt'? (see connectors --help)\n",
    )


def test_listed_verbs_and_their_texts_are_those_of_their_modules():
    groups = [typer.main.get_command(command.application())]
    for group in groups:
        assert isinstance(group, LazyGroup)
        added = []
        for module in group.modules:
            app = typer.Typer()
            importlib.import_module(module).register(app)
            added += typer.main.get_group(app).commands.values()
        assert list(group.commands) == [verb.name for verb in added]
        for verb in added:
            listed = group.commands[verb.name].help
            assert listed == re.split(r"(?<=\.) ", " ".join(verb.help.split("\n\n")[0].split()))[0]
        groups += [verb for verb in added if isinstance(verb, LazyGroup)]
    assert len(groups) == 3


def test_shell_completion_offers_the_verbs(tmp_path):
    done = connectors(cwd=tmp_path, _CONNECTORS_COMPLETE="complete_bash", COMP_WORDS="connectors enc", COMP_CWORD="1")
    assert (done.code, done.text.split()) == (0, ["encrypt"])


def test_shell_completion_offers_the_options_of_a_verb(tmp_path):
    words = {"COMP_WORDS": "connectors workflow approve --ye", "COMP_CWORD": "3"}
    done = connectors(cwd=tmp_path, _CONNECTORS_COMPLETE="complete_bash", **words)
    assert (done.code, done.text.split()) == (0, ["--yes"])


# Keys.


def test_keygen_writes_64_digits_readable_by_the_owner_only(tmp_path):
    done = connectors("keygen", "new.hex", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, b"", "")
    assert re.fullmatch(rb"[0-9A-F]{64}", (tmp_path / "new.hex").read_bytes())
    assert stat.S_IMODE((tmp_path / "new.hex").stat().st_mode) == 0o600
    assert names(tmp_path) == {"new.hex"}


def test_keygen_without_a_file_prints_a_new_key_each_time(tmp_path):
    first, second = connectors("keygen", cwd=tmp_path), connectors("keygen", "-", cwd=tmp_path)
    assert re.fullmatch(rb"[0-9A-F]{64}", first.out)
    assert re.fullmatch(rb"[0-9A-F]{64}", second.out)
    assert first.out != second.out


def test_keygen_refuses_to_lose_a_key(home):
    assert (
        "key.hex' already exists and was not changed; --force replaces it"
        in connectors("keygen", "key.hex", cwd=home).error()
    )
    assert (home / "key.hex").read_text() == KEY
    assert connectors("keygen", "key.hex", "--force", cwd=home).code == 0
    assert (home / "key.hex").read_text() != KEY
    assert stat.S_IMODE((home / "key.hex").stat().st_mode) == 0o600


def test_keygen_names_a_missing_folder_and_a_folder_in_the_way(home):
    assert "there is no folder" in connectors("keygen", "nowhere/key.hex", cwd=home).error()
    assert "'folder' is a folder" in connectors("keygen", "folder", cwd=home).error()
    assert "--force needs the name of a file to replace" in connectors("keygen", "--force", cwd=home).error()
    assert list((home / "folder").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [KEY, KEY.lower(), KEY + "\n", f"\n {KEY[:60]}\n{KEY[60:]}\n", "\ufeff" + KEY],
    ids=["plain", "lower", "newline", "xxd's lines", "byte order mark"],
)
def test_key_files_may_hold_white_space_and_either_case(home, text):
    (home / "key.hex").write_text(text, encoding="utf-8")
    assert connectors("decrypt", "-K", "key.hex", "-in", "sealed", "-out", "copy", cwd=home).code == 0
    assert (home / "copy").read_bytes() == PLAIN


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (KEY[:-1].encode(), "a key is 64 hexadecimal digits; this one has 63 characters"),
        (KEY.encode() + b"0", "a key is 64 hexadecimal digits; this one has 65 characters"),
        (b"G" * 64, "a key is 64 hexadecimal digits; this one has characters other than"),
        (b"\xfe" * 31, "a key is 64 hexadecimal digits; this is not text"),
        (b" \n", "the key file 'key.hex' is empty"),
        (b"0" * (1 << 21), "larger than"),
    ],
)
@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_bad_key_is_an_error_that_names_file_and_rule(home, content, rule, verb):
    (home / "key.hex").write_bytes(content)
    message = connectors(verb, "-K", "key.hex", "-in", "sealed", "-out", "copy", cwd=home).error()
    assert rule in message
    assert "key.hex" in message
    assert not (home / "copy").exists()


def test_missing_key_file_and_key_folder_are_named(home):
    assert connectors("encrypt", "-K", "no.hex", "plain", "x", cwd=home).error() == "there is no key file 'no.hex'"
    assert "the key file 'folder' is a folder" in connectors("encrypt", "-K", "folder", "plain", "x", cwd=home).error()
    assert "missing option" in connectors("encrypt", "plain", "x", cwd=home).error()
    assert not (home / "x").exists()


# Sealing and opening.


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


def test_force_replaces_no_device_or_pipe_by_a_key(home):
    os.mkfifo(home / "pipe")
    for words in (["keygen", "pipe"], ["keygen", "pipe", "--force"]):
        assert "is a device or a pipe" in connectors(*words, cwd=home).error()
    assert stat.S_ISFIFO((home / "pipe").stat().st_mode)


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


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


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


# The system fails, or somebody leaves.


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


# Terminals.


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
