"""The verbs of workflows: what three people do and are shown, and what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from command_line import environment
from three_people import MEASUREMENT, NAME
from workspaces import Workspace

from connectors.workflow.documents.runtime import runtime_configs
from connectors.workflow.trust.identities import Identities
from connectors.workflow.trust.verification import Bundle, trust_digest, verify

# The story


def test_three_people_in_three_folders_come_to_the_same_identifier(approved):
    printed = [workspace.run("workflow", "identifiers", NAME) for workspace in approved.values()]
    assert len(set(printed)) == 1
    identifier, name = printed[0].split()
    assert name == "describe"
    for workspace in approved.values():
        assert workspace.json("workflow", "identifiers", NAME) == {"describe": identifier}
        assert workspace.run("workflow", "status", NAME).startswith(
            "approved: the request is approved by 'Clinic A', 'Lab B', 'Registry C'\n"
        )
        assert workspace.json("workflow", "tasks") == []
    # What an enclave makes of it.
    bundle = Bundle.from_bytes(approved["clinic"].read("../all-said.json"))
    trusted = {
        Identities(str(workspace.folder / "identities")).choose(None).party.digest for workspace in approved.values()
    }
    config = verify(bundle, trusted, identifier, MEASUREMENT, platform="sgx", debug=False)
    assert config == runtime_configs(bundle.request)["describe"]
    assert len(trust_digest(trusted)) == 64


def test_who_asks_is_shown_what_they_sign_and_has_not_approved_it_by_that(filled):
    lab = filled["lab"]
    lines = lab.run("workflow", "submit", NAME, "--yes").splitlines()
    request = lab.json("workflow", "status", NAME)
    assert lines[:2] == ["Lab B asks for:", "'Patient conditions', version 1"]
    assert f"  request    {request['request']}" in lines
    assert lines[-2:] == asked_to_approve(filled)
    assert {party["name"]: party["says"] for party in request["parties"]}["Lab B"] == "has not decided"
    (task,) = lab.json("workflow", "tasks")
    assert (task["task"], task["state"]) == ("decide", "pending")


def asked_to_approve(workspaces: dict[str, Workspace]) -> list[str]:
    """What reaches whom, as the clinic is shown it when it approves."""
    workspaces["lab"].run("workflow", "export", NAME, "--out", "../request.json")
    workspaces["clinic"].run("workflow", "import", "../request.json")
    return workspaces["clinic"].run("workflow", "approve", NAME, "--yes").splitlines()[-2:]


def test_people_are_shown_who_reaches_whom_before_they_sign(asked):
    text = asked["clinic"].run("workflow", "approve", NAME, "--yes")
    request = asked["clinic"].json("workflow", "status", NAME)["request"]
    lines = text.splitlines()
    assert lines[:2] == ["Clinic A approves:", "'Patient conditions', version 1"]
    assert f"  request    {request}" in lines
    assert "  asked by   'Lab B', 'lab@x.example'" in lines
    assert any(line.startswith("  expires    ") and line.endswith("in 30 days") for line in lines)
    start = lines.index("what reaches whom")
    source, application = (
        "'conditions' (the dataset 'Conditions Data' of 'Clinic A')",
        "'Describe conditions' of 'Lab B'",
    )
    assert lines[start + 1 :] == [
        f"  {source} reaches 'describe' (the application {application}, measured abababababab…)",
        f"  {source} reaches 'result' (the dataset 'Conditions processing output' of 'Registry C') through 'describe'",
    ]
    assert lines[lines.index("connections") + 1 : start] == [
        "  'describe' reads 'conditions', on its port 'input'",
        "  'describe' writes 'result', on its port 'output'",
    ]
    assert MEASUREMENT in text
    assert "https://clinic.example/conditions.sealed" in text


def test_tasks_are_what_waits_for_oneself(asked):
    (task,) = asked["clinic"].json("workflow", "tasks")
    assert (task["task"], task["name"], task["for"], task["state"]) == ("decide", NAME, "clinic", "pending")
    asked["clinic"].run("workflow", "approve", task["what"][:8], "--yes")
    assert asked["clinic"].json("workflow", "tasks") == []
    (task,) = asked["clinic"].json("workflow", "tasks", "--all")
    assert task["task"] == "-"
    assert "pending" in asked["clinic"].run("workflow", "tasks", "--all")


def test_status_says_who_has_said_what(asked):
    asked["lab"].run("workflow", "approve", NAME, "--yes")
    first, *rest = asked["lab"].run("workflow", "status", NAME).splitlines()
    assert first == "pending: the request is not approved yet: 'Clinic A', 'Registry C' have not decided"
    assert sorted(rest) == [
        "  'Clinic A'    has not decided",
        "  'Lab B'       approved",
        "  'Registry C'  has not decided",
    ]
    found = asked["lab"].json("workflow", "status", NAME)
    assert {party["name"]: party["says"] for party in found["parties"]} == {
        "Clinic A": "has not decided",
        "Lab B": "approved",
        "Registry C": "has not decided",
    }
    assert asked["lab"].mistake("workflow", "approve", NAME, "--yes").startswith("'Lab B' has already approved it")


# What is missing


def test_store_has_to_be_named(people, monkeypatch):
    monkeypatch.setenv("CONNECTORS_STORE", "")
    message = people["clinic"].mistake("workflow", "tasks")
    assert (
        message == "name the folder of documents: --store DIR, or $CONNECTORS_STORE; it is created if it does not exist"
    )
    assert people["clinic"].json("workflow", "tasks", "--store", "store") == []


def test_where_the_extra_is_missing_the_message_says_how_to_get_it(tmp_path):
    code = "import sys; sys.modules['rfc8785'] = None; from connectors.cli import main; sys.exit(main())"
    for words in (("workflow", "tasks", "--store", "store"), ("workflow", "approve", "--help"), ("identity", "list")):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr == (
            "connectors: error: workflows need more packages; install them with: pip install 'enclave-connectors[workflow]'\n"
        )
    done = subprocess.run(
        [sys.executable, "-c", code, "workflow", "--help"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\n  approve " in done.stdout


@pytest.mark.parametrize(
    "words", [["keygen"], ["--help"], ["workflow", "--help"], ["identity", "--help"]], ids=" ".join
)
def test_other_verbs_and_help_do_not_load_the_extra(tmp_path, words):
    code = (
        f"import sys; from connectors.cli import main; main({words!r}); "
        "sys.exit(any(name.startswith(('securesystemslib', 'rfc8785', 'connectors.workflow')) for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_verb_has_its_help(people):
    text = people["clinic"].run("workflow", "--help")
    for verb in (
        *("dataset", "application", "app-config", "new", "add", "place", "connect", "disconnect", "remove", "submit"),
        *("tasks", "show", "approve", "decline", "status", "revoke", "clone", "identifiers", "export", "import"),
    ):
        assert f"  {verb} " in text
        assert "Usage: " in people["clinic"].run("workflow", verb, "--help")


def test_story_leaves_folders_that_git_keeps(approved, tmp_path):
    """Nothing but files counts: a copy of the files alone, without modes, times or empty folders, is the same store."""
    copy = tmp_path / "copy"
    for path in (approved["lab"].folder / "store").rglob("*.json"):
        target = copy / path.relative_to(approved["lab"].folder / "store")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    before = approved["lab"].run("workflow", "identifiers", NAME)
    assert approved["lab"].run("workflow", "identifiers", NAME, "--store", copy) == before
