"""Keys: making them, and the files that they are read from."""

from __future__ import annotations

import os
import re
import stat

import pytest
from command_line import KEY, PLAIN, connectors, names


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


def test_force_replaces_no_device_or_pipe_by_a_key(home):
    os.mkfifo(home / "pipe")
    for words in (["keygen", "pipe"], ["keygen", "pipe", "--force"]):
        assert "is a device or a pipe" in connectors(*words, cwd=home).error()
    assert stat.S_ISFIFO((home / "pipe").stat().st_mode)
