"""The result of a command: how it is published, and how it is read."""

from __future__ import annotations

import base64
import io
import json
import os
import threading

import pytest
from lab import EVERY_BYTE, KEY, python, script

import connectors
from connectors import errors, runner

# The result.


def test_the_result_is_the_article_s_json_to_the_byte(wired):
    code = "import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stderr.buffer.write(bytes(range(255, -1, -1)))"
    done = runner.run(wired.app, python(code))
    assert done == runner.RunResult(0, ("output/result",))
    expected = {
        "returncode": 0,
        "stdout": base64.b64encode(EVERY_BYTE).decode(),
        "stderr": base64.b64encode(EVERY_BYTE[::-1]).decode(),
    }
    assert wired.plain("result") == json.dumps(expected).encode()


@pytest.mark.parametrize("size", [0, 1, 2, 3, (3 << 16) - 1, 3 << 16, (3 << 16) + 1, 1_000_000])
def test_a_result_in_pieces_is_what_json_and_base64_make_at_once(wired, size):
    code = "import sys; n = int(sys.argv[1]); sys.stdout.buffer.write((bytes(range(256)) * (n // 256 + 1))[:n])"
    runner.run(wired.app, python(code, str(size)))
    data = (EVERY_BYTE * (size // 256 + 1))[:size]
    assert wired.plain("result").decode() == runner.Result(0, data, b"").to_json()
    assert wired.result() == runner.Result(0, data, b"")


def test_every_output_has_its_own_key_and_format(lab):
    lab.put("conditions")
    paths = [lab.target("one"), lab.target("two", format="gcm")]
    runner.run(lab.app, python("print('hello')"))
    assert lab.result("one") == lab.result("two") == runner.Result(0, b"hello\n", b"")
    for path in paths:
        assert b"returncode" not in path.read_bytes()
        with pytest.raises(errors.IntegrityError), connectors.open_reader(path, KEY) as file:
            file.read()


def test_memory_is_bounded_however_much_is_read_and_printed(lab):
    size = 50 << 20
    lab.put("large", bytes(size))
    lab.target("result")
    process = script(
        lab,
        """
        runner.run(app, [sys.executable, "-c", "pass"])
        before = peak()
        copy = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"
        assert runner.run(app, [sys.executable, "-c", copy], stdout=open("/dev/null", "wb", buffering=0)).returncode == 0
        print(peak() - before)
        """,
    )
    out, problem = process.communicate()
    assert process.returncode == 0, problem.decode()
    assert int(out) < 16 << 10  # KiB
    with lab.app["output"]["result"].open() as file:
        assert file.seek(0, os.SEEK_END) == len(runner.Result(0, bytes(size), b"").to_json())


@pytest.mark.parametrize(
    ("code", "returncode", "exit_code"),
    [
        ("raise SystemExit(7)", 7, 7),
        ("raise SystemExit(255)", 255, 255),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, 137),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, 143),
    ],
)
def test_a_command_that_fails_has_its_result_published_all_the_same(wired, code, returncode, exit_code):
    done = runner.run(wired.app, python("print('so far', flush=True);" + code))
    assert (done.returncode, done.exit_code) == (returncode, exit_code)
    assert wired.result().returncode == returncode
    assert wired.result().stdout == b"so far\n"


# Reading a result.


@pytest.mark.parametrize("source", ["path", "text path", "file", "pipe"])
def test_a_result_is_read_from_paths_files_and_pipes(tmp_path, source):
    expected = runner.Result(-9, EVERY_BYTE * 1000, b"\xff\n")
    path = tmp_path / "result.json"
    path.write_text(expected.to_json())
    if source in ("path", "text path"):
        assert runner.read_result(path if source == "path" else str(path)) == expected
    elif source == "file":
        with path.open("rb", buffering=0) as file:
            assert runner.read_result(file) == expected
    else:
        reading, writing = os.pipe()

        def feed():
            with open(writing, "wb") as file:
                file.write(path.read_bytes())

        thread = threading.Thread(target=feed)
        thread.start()
        with open(reading, "rb", buffering=0) as file:
            assert runner.read_result(file) == expected
        thread.join()


def test_a_result_may_have_its_members_in_any_order_and_a_byte_order_mark():
    text = '\ufeff\n{"stderr": "ZQ==", "stdout": "", "returncode": 1}\n'
    assert runner.read_result(io.BytesIO(text.encode())) == runner.Result(1, b"", b"e")


GOOD = {"returncode": 0, "stdout": "", "stderr": ""}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"", "not JSON at line 1"),
        (b"{", "not JSON at line 1, column 2"),
        (b"\xff\xfe\x00", "still encrypted"),
        (b"[]", "a JSON object"),
        (b"null", "a JSON object"),
        (b"{}", "lacks returncode and stdout and stderr"),
        (json.dumps({"returncode": 0, "stdout": ""}).encode(), "lacks stderr"),
        (json.dumps({**GOOD, "more": 1}).encode(), "members besides returncode, stdout, stderr"),
        (b'{"returncode": 0, "returncode": 1, "stdout": "", "stderr": ""}', "has a member twice"),
        (json.dumps({**GOOD, "returncode": True}).encode(), "returncode is an integer"),
        (json.dumps({**GOOD, "returncode": 0.0}).encode(), "returncode is an integer"),
        (json.dumps({**GOOD, "returncode": "0"}).encode(), "returncode is an integer"),
        (json.dumps({**GOOD, "returncode": 1 << 31}).encode(), "returncode is an integer"),
        (json.dumps({**GOOD, "stdout": "a secret"}).encode(), "stdout is text in base64"),
        (json.dumps({**GOOD, "stdout": "QQ"}).encode(), "stdout is text in base64"),
        (json.dumps({**GOOD, "stdout": "QQ==\n"}).encode(), "stdout is text in base64"),
        (json.dumps({**GOOD, "stdout": "é"}).encode(), "stdout is text in base64"),
        (json.dumps({**GOOD, "stderr": None}).encode(), "stderr is text in base64"),
        (b'{"returncode": %s, "stdout": "", "stderr": ""}' % (b"9" * 5000), "too long"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_result_is_refused_and_not_quoted(text, match):
    with pytest.raises(errors.ConfigError, match=match) as caught:
        runner.read_result(io.BytesIO(text))
    assert str(caught.value).startswith("this is not the result of a command: ")
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None  # JSON's own error would hold the whole text


def test_a_result_that_is_too_large_is_refused(monkeypatch):
    good = json.dumps(GOOD).encode()
    monkeypatch.setattr("connectors.runner.result.RESULT_LIMIT", len(good))
    assert runner.read_result(io.BytesIO(good)) == runner.Result(0, b"", b"")
    with pytest.raises(errors.ConfigError, match=f"the limit of {len(good)} bytes"):
        runner.read_result(io.BytesIO(good + b"\n"))


def test_a_result_s_bytes_are_not_in_its_repr():
    assert repr(runner.Result(0, b"patients", b"names")) == "Result(returncode=0)"


def test_a_missing_result_and_a_folder_are_named(tmp_path):
    with pytest.raises(errors.ObjectNotFound):
        runner.read_result(tmp_path / "none")
    with pytest.raises(errors.NotAnObject):
        runner.read_result(tmp_path)
