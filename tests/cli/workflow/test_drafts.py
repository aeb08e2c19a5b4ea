"""Drafts, and how documents are passed on."""

from __future__ import annotations

import subprocess

from command_line import COMMAND, environment
from three_people import NAME
from workspaces import PATHS

# Drafts


def test_draft_that_would_not_hold_together_is_not_written(filled):
    lab = filled["lab"]
    before = lab.json("workflow", "show", NAME)
    for words, message in (
        (("connect", "result", "describe:input"), "'result' is for output and cannot be read from"),
        (("connect", "describe:nowhere", "result"), "'describe' has no port 'nowhere'; it has input, output"),
        (("connect", "describe", "result"), "does not name a port of 'describe'"),
        (("connect", "conditions", "nobody:input"), "the draft has no object 'nobody'"),
        (("connect", "conditions", "describe:input"), "the draft has this connection already"),
        (("connect", "conditions", "conditions"), "'conditions' is for input and cannot be written to"),
        (("connect", "conditions", ".x:y"), "is not the end of a connection"),
        (("disconnect", "conditions", "describe:output"), "the draft has no such connection"),
        (("remove", "nobody"), "the draft has no object 'nobody'; it has conditions, describe, result"),
        (("add", "result", "Conditions Data"), "the draft has an object 'result' already"),
        (("add", "x", "Nothing"), "the store has no dataset or app config 'Nothing'"),
        (("add", "a/b", "Conditions Data"), "it becomes a folder's name"),
        (("place", "x", "--for", "Nobody"), "the store has no party 'Nobody'"),
        (("place", "x", "--for", "Lab B", "--wanted", "table"), "wanted"),
    ):
        assert message in lab.mistake("workflow", words[0], NAME, *words[1:])
    assert lab.json("workflow", "show", NAME) == before
    assert "the draft 'Patient conditions' exists already" in lab.mistake("workflow", "new", NAME)
    assert "there is no draft 'x'; there are 'Patient conditions'" in lab.mistake("workflow", "remove", "x", "y")


def test_draft_is_taken_apart_again(filled):
    lab = filled["lab"]
    lab.run("workflow", "disconnect", NAME, "describe:output", "result")
    found = lab.json("workflow", "remove", NAME, "conditions")
    assert set(found["workflow"]["objects"]) == {"describe", "result"}
    assert found["workflow"]["edges"] == []
    lab.run("workflow", "discard", NAME)
    assert "there is no draft 'Patient conditions'; there are none" in lab.mistake("workflow", "submit", NAME)


def test_draft_and_request_of_one_name_are_told_apart(approved):
    lab = approved["lab"]
    lab.run("workflow", "clone", NAME)
    for verb in ("show", "export"):
        assert "--draft for the draft" in lab.mistake("workflow", verb, NAME)
    assert lab.json("workflow", "show", NAME, "--draft")["version"] == 2
    assert lab.json("workflow", "status", NAME)["version"] == 1
    lab.run("workflow", "submit", NAME, "--yes")
    message = lab.mistake("workflow", "status", NAME)
    assert message.startswith("there is more than one request 'Patient conditions'; give the first digits of one: ")


# Passing on


def test_importing_twice_changes_nothing_and_says_so(approved):
    for workspace in approved.values():
        assert workspace.run("workflow", "import", "../all-said.json") == "../all-said.json: nothing new\n"
        (told,) = workspace.json("workflow", "import", "../all-said.json")
        assert (told["said"], told["said_new"], any(one["new"] for one in told["documents"])) == (4, 0, False)


def test_export_and_import_use_standard_streams(asked, tmp_path):
    lab = asked["lab"]
    paths = dict(PATHS)
    given = subprocess.run(
        [*COMMAND, "workflow", "export", NAME],
        cwd=lab.folder,
        env=environment(**paths),
        capture_output=True,
        check=True,
    )
    assert given.stdout == lab.read("../request.json")
    paths["CONNECTORS_STORE"] = str(tmp_path / "fresh")
    taken = subprocess.run(
        [*COMMAND, "workflow", "import", "-"],
        cwd=lab.folder,
        env=environment(**paths),
        input=given.stdout,
        capture_output=True,
        check=True,
    )
    assert b"request 'Patient conditions'" in taken.stdout


def test_file_that_is_there_is_not_replaced_unless_asked(asked):
    lab = asked["lab"]
    for verb in (("workflow", "export", NAME), ("identity", "export")):
        assert "already exists and was not changed" in lab.mistake(*verb, "--out", "../request.json")
        assert "--force needs --out FILE, the file to replace" in lab.mistake(*verb, "--force")
