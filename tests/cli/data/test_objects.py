"""The verbs on objects of datasets: ls, cat, cp."""

from __future__ import annotations

import json
import os
import subprocess

from command_line import COMMAND, connectors, environment
from dataset_commands import PLAIN, mistake

import connectors as sdk


def test_ls_lists_what_there_is(run):
    everything = "dataset://input/broken\ndataset://input/conditions\ndataset://output/result\n"
    assert run("ls").text == everything
    assert run("ls", "dataset://").text == everything
    assert run("ls", "dataset://output").text == "dataset://output/result\n"
    assert run("ls", "dataset://output/result").text == "dataset://output/result\n"
    assert json.loads(run("ls", "--json", "dataset://output").out) == [{"url": "dataset://output/result"}]
    assert "has no port 'nope'" in mistake(run("ls", "dataset://nope/x", code=2))
    assert "is not a dataset's URL, dataset://PORT/NAME" in mistake(run("ls", "store", code=2))


def test_ls_with_sizes_shows_the_reachable_beside_the_others(run):
    done = run("ls", "-l", code=2)
    assert [line.split() for line in done.text.splitlines()] == [
        ["?", "dataset://input/broken"],
        [str(len(PLAIN)), "dataset://input/conditions"],
        ["?", "dataset://output/result"],
    ]
    assert [line.split(": ")[2] for line in done.err.splitlines()] == ["input/broken", "output/result"]
    done = run("ls", "-l", "--json", "dataset://input/conditions")
    assert json.loads(done.out) == [{"url": "dataset://input/conditions", "size": len(PLAIN)}]


def test_cat_gives_the_plain_bytes(run):
    assert run("cat", "dataset://input/conditions").out == PLAIN


def test_cat_and_cp_name_what_is_missing_or_a_folder(home, run):
    assert "there is no dataset://input/nope" in mistake(run("cat", "dataset://input/nope", code=2))
    assert "is a folder; name an object" in mistake(run("cat", "dataset://input", code=2))
    assert "output/result: there is no file" in mistake(run("cat", "dataset://output/result", code=2))
    assert "credentials.encryption.key" in mistake(run("cat", "dataset://input/broken", code=2))
    assert "there is no file nothing" in mistake(run("cp", "nothing", "dataset://output/result", code=2))
    assert "store is a folder" in mistake(run("cp", "store", "dataset://output/result", code=2))
    assert "is a folder; name a file" in mistake(run("cp", "dataset://input/conditions", "store", code=2))
    assert "there is no folder" in mistake(run("cp", "dataset://input/conditions", "no/x", code=2))
    assert "is a folder; name an object" in mistake(run("cp", "key.hex", "dataset://output", code=2))
    assert "use `cp` for two local files" in mistake(run("cp", "key.hex", "x", code=2))
    assert "add s3://clinic/x as one" in mistake(run("cp", "s3://clinic/x", "y", code=2))
    assert "is a URL" in mistake(run("cp", "dataset://input/conditions", "s3://clinic/x", code=2))
    assert os.listdir(home / "store") == ["conditions"]


def test_cp_goes_every_way(home, run):
    assert run("cp", "dataset://input/conditions", "copy").out == b""
    assert (home / "copy").read_bytes() == PLAIN
    run("cp", "copy", "dataset://output/result")
    assert sdk.load("app")["output"]["result"].read_bytes() == PLAIN
    assert PLAIN not in (home / "store/result").read_bytes()
    (home / "store/result").unlink()
    run("cp", "dataset://input/conditions", "dataset://output/result")
    assert run("cat", "dataset://output/result").out == PLAIN
    run("cp", "dataset://input/conditions", "dataset://input/conditions")
    assert run("cp", "dataset://input/conditions", "-").out == PLAIN
    done = connectors("cp", "-", "dataset://output/result", "--app-config", "app", cwd=home, stdin=b"from a pipe")
    assert done.code == 0
    assert run("cat", "dataset://output/result").out == b"from a pipe"


def test_damaged_dataset_copies_to_nothing(home, run):
    sealed = bytearray((home / "store/conditions").read_bytes())
    sealed[40000] ^= 1
    (home / "store/conditions").write_bytes(sealed)
    for target in ("copy", "dataset://output/result"):
        assert "input/conditions: chunk 2 does not verify" in mistake(
            run("cp", "dataset://input/conditions", target, code=3)
        )
    assert not (home / "copy").exists()
    assert os.listdir(home / "store") == ["conditions"]
    done = run("cat", "dataset://input/conditions", code=3)
    assert PLAIN.startswith(done.out)
    assert len(done.out) < len(PLAIN)


def test_interrupted_upload_leaves_what_stood_there(home):
    before = (home / "store/conditions").read_bytes()
    words = ["cp", "-", "dataset://input/conditions", "--app-config", "app"]
    with subprocess.Popen(
        [*COMMAND, *words], cwd=home, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdin.write(b"x" * (1 << 20))
        process.send_signal(2)
        assert process.communicate()[1] == b"connectors: error: interrupted\n"
    assert process.returncode == 130
    assert (home / "store/conditions").read_bytes() == before
    assert os.listdir(home / "store") == ["conditions"]


def test_folders_are_listed_by_name_and_inside_when_asked_for(home, run):
    (home / "wards").mkdir()
    run("dataset", "new", "app", "input", "wards", "--location", f"file://{home}/wards/", "--credentials", "file.json")
    assert "dataset://input/wards/\n" in run("ls").text
    assert run("ls", "dataset://input/wards").text == ""
    run("cp", "key.hex", "dataset://input/wards/north/one.hex")
    assert run("ls", "dataset://input/wards").text == "dataset://input/wards/north/one.hex\n"
    assert run("ls", "-l", "dataset://input/wards/north").text == "64  dataset://input/wards/north/one.hex\n"
    assert run("cat", "dataset://input/wards/north/one.hex").out == (home / "key.hex").read_bytes()
    checked = json.loads(run("dataset", "check", "dataset://input/wards", "--online", "--json").out)
    assert (checked["good"], checked["plain_size"]) == (True, 64)
    assert "has no dataset 'none'" in mistake(run("ls", "dataset://input/none", code=2))
    sealed = home / "wards" / "north" / "one.hex"
    sealed.write_bytes(sealed.read_bytes()[:-1])
    assert not json.loads(run("dataset", "check", "dataset://input/wards", "--online", "--json", code=3).out)["good"]
