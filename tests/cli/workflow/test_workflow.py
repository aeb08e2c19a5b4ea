"""The verbs of identities and workflows: three people, each with a folder of their own, and files between them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import COMMAND, KEY, environment
from patience import PATIENCE, until
from workspaces import PATHS, Workspace

from connectors.workflow.documents.kinds import DatasetDocument
from connectors.workflow.documents.runtime import runtime_configs
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.trust.identities import Identities
from connectors.workflow.trust.verification import Bundle, trust_digest, verify

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "Patient conditions"
MEASUREMENT = "ab" * 32
PEOPLE = {"clinic": "Clinic A", "lab": "Lab B", "registry": "Registry C"}


def meet(clinic: Workspace, lab: Workspace, registry: Workspace) -> None:
    """Three people make identities, exchange their parties, and trust one another."""
    for workspace, (name, party) in zip((clinic, lab, registry), PEOPLE.items(), strict=True):
        workspace.folder.mkdir(parents=True)
        workspace.run("identity", "new", name, "--party-name", party, "--contact", f"{name}@x.example", "--unencrypted")
        workspace.run("identity", "export", "--out", f"../{name}.json")
        document = {"query_string": "c2lnPTEyMw==", "encryption": {"key": KEY}}
        (workspace.folder / "credentials.json").write_text(json.dumps(document))
    for workspace in (clinic, lab, registry):
        workspace.run("identity", "trust", *(f"../{name}.json" for name in PEOPLE), "--yes")
        workspace.run("workflow", "import", *(f"../{name}.json" for name in PEOPLE))


def draft(clinic: Workspace, lab: Workspace, registry: Workspace) -> None:
    """They put a workflow together, with a place for what the registry is still to give."""
    clinic.run(
        *("workflow", "dataset", "Conditions Data", "--location", "https://clinic.example/conditions.sealed"),
        *("--direction", "input", "--credentials", "credentials.json", "--label", "Location=East US"),
    )
    clinic.run("workflow", "export", "Conditions Data", "--out", "../conditions.json")
    lab.run("workflow", "import", "../conditions.json")
    image = f"registry.example/describe@sha256:{'cd' * 32}"
    lab.run("workflow", "application", "Describe", "--image", image, "--build", f"sgx={MEASUREMENT}")
    (lab.folder / "settings.ini").write_text("[describe]\n")
    lab.run(
        *("workflow", "app-config", "Describe conditions", "--application", "Describe"),
        *("--port", "output", "--port", "input", "--item", "settings.ini=settings.ini"),
    )
    lab.run("workflow", "new", NAME)
    lab.run("workflow", "add", NAME, "conditions", "Conditions Data")
    lab.run("workflow", "add", NAME, "describe", "Describe conditions")
    lab.run("workflow", "place", NAME, "result", "--for", "Registry C", "--purpose", "the most common conditions")
    lab.run("workflow", "connect", NAME, "conditions", "describe:input")
    lab.run("workflow", "connect", NAME, "describe:output", "result")
    lab.run("workflow", "export", NAME, "--out", "../draft.json")
    registry.run("workflow", "import", "../draft.json")


def fill(_: Workspace, lab: Workspace, registry: Workspace) -> None:
    """The registry fills the place that was kept for it."""
    registry.run(
        *("workflow", "dataset", "Conditions processing output", "--location", "https://registry.example/out.sealed"),
        *("--direction", "output", "--credentials", "credentials.json"),
    )
    registry.run("workflow", "add", NAME, "result", "Conditions processing output")
    registry.run("workflow", "export", NAME, "--out", "../draft.json", "--force")
    lab.run("workflow", "import", "../draft.json")


def ask(clinic: Workspace, lab: Workspace, registry: Workspace, *options: object) -> None:
    """The lab asks all of them, who get the request."""
    lab.run("workflow", "submit", NAME, "--yes", *options)
    lab.run("workflow", "export", NAME, "--out", "../request.json", "--force")
    for workspace in (clinic, lab, registry):
        workspace.run("workflow", "import", "../request.json")


def approve(*workspaces: Workspace) -> None:
    """All approve it, and learn of one another's approvals."""
    for workspace in workspaces:
        workspace.run("workflow", "approve", NAME, "--yes")
    exchange(*workspaces)


def exchange(*workspaces: Workspace) -> None:
    """Everybody gets what everybody has said."""
    for workspace in workspaces:
        workspace.run("workflow", "export", NAME, "--out", f"../{workspace.folder.name}-said.json", "--force")
    for workspace in workspaces:
        workspace.run("workflow", "import", *(f"../{name}-said.json" for name in PEOPLE))
    workspaces[0].run("workflow", "export", NAME, "--out", "../all-said.json", "--force")


def files(workspace: Workspace) -> dict[str, bytes]:
    """All that is in a person's store."""
    store = workspace.folder / "store"
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


STAGES = {"people": meet, "drafted": draft, "filled": fill, "asked": ask, "approved": approve}


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Callable[[str], Path]:
    """The folders of all three as they are after a step of the story, made once for all tests."""
    root = tmp_path_factory.mktemp("story")

    def made(name: str) -> Path:
        folder = root / name
        if not folder.exists():
            names = list(STAGES)
            if name != names[0]:
                shutil.copytree(made(names[names.index(name) - 1]), folder)
            STAGES[name](*(Workspace(folder / person) for person in PEOPLE))
        return folder

    return made


def desks_after(name: str) -> Callable[..., dict[str, Workspace]]:
    @pytest.fixture(name=name)
    def workspaces(stage, tmp_path) -> dict[str, Workspace]:
        shutil.copytree(stage(name), tmp_path / "story")
        return {person: Workspace(tmp_path / "story" / person) for person in PEOPLE}

    return workspaces


people, drafted, filled, asked, approved = map(desks_after, STAGES)


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


# The ways it stops


def stops(workspace: Workspace, *parts: str) -> None:
    """Make sure that there is no identifier, and that the message says who and what."""
    message = workspace.mistake("workflow", "identifiers", NAME)
    for part in parts:
        assert part in message


def test_it_stops_where_somebody_has_not_decided(asked):
    asked["clinic"].run("workflow", "approve", NAME, "--yes")
    asked["lab"].run("workflow", "approve", NAME, "--yes")
    exchange(*asked.values())
    for workspace in asked.values():
        stops(workspace, "not approved yet", "'Registry C' has not decided")


def test_it_stops_where_somebody_declines(asked):
    asked["clinic"].run("workflow", "approve", NAME, "--yes")
    text = asked["registry"].run("workflow", "decline", NAME, "--reason", "the purpose is not ours", "--yes")
    assert text.startswith("Registry C declines (the purpose is not ours):")
    exchange(*asked.values())
    for workspace in asked.values():
        stops(workspace, "the request was declined by 'Registry C': the purpose is not ours")
    message = asked["lab"].mistake("workflow", "approve", NAME, "--yes")
    assert message == "the request was declined by 'Registry C': the purpose is not ours; nothing was signed"
    assert asked["clinic"].json("workflow", "tasks") == []


def test_an_approver_can_decline_until_all_others_have_decided(asked):
    asked["clinic"].run("workflow", "approve", NAME, "--yes")
    asked["clinic"].run("workflow", "decline", NAME, "--reason", "too soon", "--yes")
    stops(asked["clinic"], "declined by 'Clinic A': too soon")


def test_it_stops_where_the_time_is_over(filled):
    ask(*filled.values(), "--expires-in", "1")
    filled["clinic"].run("workflow", "show", NAME)
    expires = filled["clinic"].json("workflow", "status", NAME)["expires"]
    until(lambda: filled["clinic"].json("workflow", "status", NAME)["state"] != "pending", "the request expires")
    for workspace in filled.values():
        stops(workspace, f"expired on {expires} before 'Clinic A', 'Lab B', 'Registry C' approved it")
    message = filled["clinic"].mistake("workflow", "approve", NAME, "--yes")
    assert "expired on" in message
    assert "nothing was signed" in message


def test_it_stops_where_an_approval_is_taken_back(approved):
    assert (
        approved["clinic"]
        .mistake("workflow", "decline", NAME, "--reason", "x", "--yes")
        .startswith("the request is approved by 'Clinic A', 'Lab B', 'Registry C'; nothing was signed")
    )
    approved["clinic"].run("workflow", "revoke", NAME, "--reason", "patients have withdrawn", "--yes")
    stops(approved["clinic"], "the request was revoked by 'Clinic A': patients have withdrawn")
    exchange(*approved.values())
    for workspace in approved.values():
        stops(workspace, "the request was revoked by 'Clinic A': patients have withdrawn")
    assert "revoked" in approved["lab"].mistake("workflow", "revoke", NAME, "--reason", "x", "--yes")


def test_what_is_not_approved_cannot_be_revoked(asked):
    message = asked["clinic"].mistake("workflow", "revoke", NAME, "--reason", "x", "--yes")
    assert message.endswith("only an approved request can be revoked; nothing was signed")


def test_what_was_asked_about_is_not_edited_but_asked_about_anew(approved):
    lab = approved["lab"]
    message = lab.mistake("workflow", "remove", NAME, "conditions")
    assert "was submitted as" in message
    assert "connectors workflow clone" in message
    first = lab.json("workflow", "status", NAME)["request"]
    lab.run("workflow", "clone", NAME, "Second")
    shown = lab.json("workflow", "show", "Second")
    assert (shown["version"], shown["draft"], set(shown["objects"])) == (
        2,
        "Second",
        {"conditions", "describe", "result"},
    )
    lab.run("workflow", "disconnect", "Second", "describe:output", "result")
    lab.run("workflow", "submit", "Second", "--yes")
    # What was said to the first version says nothing of the second.
    assert "'Clinic A', 'Lab B', 'Registry C' have not decided" in lab.mistake("workflow", "identifiers", "Second")
    assert lab.run("workflow", "identifiers", first)


def test_request_that_was_edited_on_the_way_is_not_taken(asked):
    members = json.loads(asked["clinic"].read("../request.json"))
    for document in members["request"]["documents"].values():
        if document["schema"].endswith("dataset 1"):
            document["location"] = "https://eve.example/out.sealed"
    (asked["clinic"].folder / "edited.json").write_text(json.dumps(members, separators=(",", ":"), sort_keys=True))
    message = asked["clinic"].mistake("workflow", "import", "edited.json")
    assert "documents: the document named" in message
    assert "has another digest" in message


def test_approval_of_another_request_or_by_another_key_is_not_taken(approved):
    members = json.loads(approved["clinic"].read("../all-said.json"))
    first = members["decisions"][0]["signatures"]
    members["decisions"][0]["signatures"] = members["decisions"][1]["signatures"]
    members["decisions"][1]["signatures"] = first
    (approved["clinic"].folder / "edited.json").write_text(json.dumps(members, separators=(",", ":"), sort_keys=True))
    message = approved["clinic"].mistake("workflow", "import", "edited.json")
    assert "has no valid signature" in message
    assert " is not theirs" in message


def test_request_in_the_name_of_somebody_who_has_not_asked_is_not_taken(asked):
    """The clinic has all that the lab has signed, and asks for what the lab has not asked for."""
    clinic = asked["clinic"]
    clinic.run("workflow", "clone", NAME, "Again")
    clinic.run("workflow", "disconnect", "Again", "describe:output", "result")
    clinic.run("workflow", "submit", "Again", "--yes")
    clinic.run("workflow", "export", "Again", "--out", "own.json")
    ours, theirs = (json.loads(clinic.read(name)) for name in ("own.json", "../request.json"))
    lab = theirs["request"]["requester"]
    in_their_name = {**ours["request"], "requester": lab}
    in_their_name["documents"] = {**ours["request"]["documents"], lab: theirs["request"]["documents"][lab]}
    for request, submission, message in (
        (ours["request"], theirs["submission"], "a submission is about the request"),
        (in_their_name, theirs["submission"], "a submission is about the request"),
        (in_their_name, ours["submission"], "a submission is about the request"),
    ):
        members = {**ours, "request": request, "submission": submission}
        (clinic.folder / "forged.json").write_text(json.dumps(members, separators=(",", ":"), sort_keys=True))
        before = files(asked["registry"])
        assert message in asked["registry"].mistake("workflow", "import", "../clinic/forged.json")
        assert files(asked["registry"]) == before
    members = {name: one for name, one in ours.items() if name != "submission"}
    (clinic.folder / "forged.json").write_text(json.dumps(members, separators=(",", ":"), sort_keys=True))
    assert "with the members schema, request, submission" in clinic.mistake("workflow", "import", "forged.json")


def test_request_without_submission_is_named_and_others_stay_usable(asked):
    clinic = asked["clinic"]
    clinic.run("workflow", "clone", NAME, "Again")
    workflow = clinic.json("workflow", "show", "Again")["workflow"]
    second = clinic.json("workflow", "submit", "Again", "--workflow", workflow, "--yes")["request"]
    (submission,) = (clinic.folder / "store" / "said" / second).iterdir()
    submission.rename(clinic.folder / "away.json")
    path = f"store/documents/{second[:2]}/{second[:12]}….json"
    problem = (
        f"{path}: the signed submission of its requester, 'Clinic A', is missing; import the bundle that they exported"
    )
    for verb in (("approve",), ("decline", "--reason", "x"), ("status",), ("identifiers",), ("export",)):
        yes = ["--yes"] if verb[0] in ("approve", "decline") else []
        assert clinic.mistake("workflow", verb[0], second, *verb[1:], *yes).startswith(problem)
    assert "not verified: store/documents/" in clinic.run("workflow", "show", second)
    assert clinic.json("workflow", "show", second)["state"] is None
    done = clinic.call("workflow", "tasks", "--json")
    (task,) = json.loads(done.out)
    assert (task["task"], task["name"]) == ("decide", NAME)
    assert done.err.startswith(f"connectors: warning: {problem}")
    assert done.err.count("\n") == 1
    clinic.run("workflow", "approve", task["what"], "--yes")
    submission.write_bytes(b"{}")
    done = clinic.call("workflow", "tasks")
    assert done.err.startswith("connectors: warning: store/said/")
    (clinic.folder / "away.json").replace(submission)
    clinic.run("workflow", "approve", second, "--yes")


def test_file_that_was_changed_in_the_store_is_named(approved):
    request = approved["lab"].json("workflow", "status", NAME)["request"]
    (path,) = (approved["lab"].folder / "store" / "documents").rglob(f"{request}.json")
    path.write_bytes(path.read_bytes().replace(b"registry.example/out", b"eve.example/outs..."))
    message = approved["lab"].mistake("workflow", "identifiers", NAME)
    assert message.startswith("store/documents/")
    assert "its bytes have another digest than its name" in message


def test_it_stops_where_a_place_is_not_filled(drafted):
    message = drafted["lab"].mistake("workflow", "submit", NAME)
    assert message == "the workflow has places that are not filled yet: 'result', a dataset from 'Registry C'"
    (task,) = drafted["registry"].json("workflow", "tasks")
    assert (task["task"], task["what"], task["name"], task["wanted"]) == ("fill", "result", NAME, "dataset")
    assert drafted["clinic"].json("workflow", "tasks") == []
    lines = drafted["lab"].run("workflow", "show", NAME).splitlines()
    assert lines[0] == "'Patient conditions', version 1, a draft at revision 6"
    assert any("a dataset that 'Registry C' will provide: 'the most common conditions'" in line for line in lines)
    message = drafted["lab"].mistake("workflow", "add", NAME, "result", "Conditions Data")
    assert "is reserved for another party than the owner" in message


def test_people_who_are_not_trusted_are_not_signed_with(asked):
    clinic = asked["clinic"]
    trusted = clinic.json("identity", "list")["trusted"]
    digest = next(one["digest"] for one in trusted if one["name"] == "Registry C")
    clinic.run("identity", "distrust", digest)
    for words in (("approve", NAME, "--yes"), ("status", NAME), ("identifiers", NAME)):
        message = clinic.mistake("workflow", *words)
        assert message.startswith(f"'Registry C' ({digest[:12]}…) is not among the trusted parties; compare")
    shown = clinic.run("workflow", "show", NAME)
    assert f"not verified: 'Registry C' ({digest}) is not among the trusted parties" in shown
    assert clinic.json("workflow", "show", NAME)["state"] is None
    (task,) = clinic.json("workflow", "tasks")
    assert task["state"] == "has an untrusted party"
    clinic.run("identity", "trust", digest, "--yes")
    assert clinic.run("workflow", "approve", NAME, "--yes")
    clinic.run("identity", "distrust", digest)
    clinic.run("workflow", "decline", NAME, "--reason", "I do not know the registry", "--yes")
    clinic.run("identity", "trust", digest, "--yes")
    stops(clinic, "declined by 'Clinic A': I do not know the registry")
    assert clinic.mistake("identity", "distrust", "00" * 32).startswith("you do not trust a party with this digest")


def test_who_owns_nothing_in_it_has_nothing_to_say(asked):
    eve = Workspace(asked["lab"].folder.parent / "eve")
    eve.folder.mkdir()
    eve.run("identity", "new", "eve", "--contact", "eve@x.example", "--unencrypted")
    eve.run("workflow", "import", "../request.json")
    for verb in (("approve",), ("decline", "--reason", "x"), ("revoke", "--reason", "x")):
        message = eve.mistake("workflow", verb[0], NAME, *verb[1:], "--yes")
        assert message.startswith("'eve' owns nothing in the workflow, so need not decide; the approvers are ")


# Objects


def test_credentials_stay_with_their_owner(people):
    clinic = people["clinic"]
    words = ("workflow", "dataset", "Conditions Data", "--location", "https://clinic.example/c", "--direction", "input")
    made = clinic.json(*words, "--credentials", "credentials.json")
    identity = Identities(str(clinic.folder / "identities")).choose(None)
    opened = identity.credentials(made["credentials_digest"])
    assert opened.credentials == json.loads(clinic.read("credentials.json"))
    assert (made["encryption"], made["owner"]) == ("auto", identity.party.digest)
    for path in (clinic.folder / "store").rglob("*.json"):
        assert KEY.lower() not in path.read_text().lower()
        assert "c2lnPTEyMw==" not in path.read_text()
        assert opened.salt.hex() not in path.read_text()
    clinic.run("workflow", "export", "Conditions Data", "--out", "../out.json")
    assert KEY.lower() not in clinic.read("../out.json").decode().lower()


def test_dataset_tells_what_it_is_and_takes_what_a_person_wrote_of_it(people):
    clinic = people["clinic"]
    (clinic.folder / "about.md").write_text("# Conditions\n\n~~old~~ \u202enew\n")
    credentials = {"query_string": "c2lnPTEyMw==", "encryption": {"key": KEY, "pin": "12" * 32}}
    (clinic.folder / "pinned.json").write_text(json.dumps(credentials))
    clinic.run(
        *("workflow", "dataset", "Conditions", "--location", "https://clinic.example/c", "--direction", "both"),
        *("--credentials", "pinned.json", "--long-description", "about.md", "--description", "of patients"),
        *("--label", "Location=East US", "--label", "k=v=w", "--group", "north"),
    )
    text = clinic.run("workflow", "show", "Conditions")
    for part in ("of patients", "    # Conditions", "    k  v=w", f"pin  {'12' * 32}", "~~old~~ \\u202enew"):
        assert part in text
    shown = clinic.json("workflow", "show", "Conditions")
    assert (shown["labels"], shown["group"]) == ({"Location": "East US", "k": "v=w"}, "north")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--direction", "sideways"], "direction: Input should be 'input', 'output' or 'both'"),
        (["--label", "x"], "--label expects NAME=VALUE, each name once"),
        (["--label", "x=1", "--label", "x=2"], "--label expects NAME=VALUE, each name once"),
        (["--long-description", "http://x.example/about.md"], "use https://"),
        (["--long-description", "nowhere.md"], "there is no long description 'nowhere.md'"),
        (["--credentials", "nowhere.json"], "there is no credentials document"),
        (["--location", "https://clinic.example/c?sig=5EC2E7"], "location"),
        (["--as", "eve"], "there is no identity 'eve'; there are clinic"),
        (["--group", "a\nb"], "group: it must be one line of text"),
    ],
    ids=["direction", "label", "label twice", "URL", "no text", "no credentials", "query", "nobody", "two lines"],
)
def test_dataset_that_breaks_a_rule_is_not_kept(people, words, message):
    clinic = people["clinic"]
    given = {"--location": "https://clinic.example/c", "--direction": "input", "--credentials": "credentials.json"}
    rest = [word for name, value in given.items() if name not in words for word in (name, value)]
    found = clinic.mistake("workflow", "dataset", "x", *rest, *words)
    assert message in found
    assert "5EC2E7" not in found
    assert list(FolderStore(str(clinic.folder / "store")).documents(DatasetDocument)) == []
    assert not (clinic.folder / "identities" / "clinic" / "credentials").exists()


def test_credentials_that_are_not_good_are_not_committed_to(people):
    clinic = people["clinic"]
    (clinic.folder / "bad.json").write_text('{"query_string": "c2lnPTEyMw==", "encryption": {"key": "5EC2E7"}}')
    words = ("workflow", "dataset", "x", "--location", "https://clinic.example/c", "--direction", "input")
    message = clinic.mistake(*words, "--credentials", "bad.json")
    assert message.startswith("bad.json: credentials.encryption.key: a key is 64 hexadecimal digits")
    assert not (clinic.folder / "identities" / "clinic" / "credentials").exists()


def test_build_has_to_be_named_where_there_are_several(people):
    lab = people["lab"]
    image = f"registry.example/describe@sha256:{'cd' * 32}"
    builds = ("--build", f"sgx={'AB' * 32}", "--build", f"snp={'cd' * 48}", "--debug-build", f"simulated={'ef' * 32}")
    made = lab.json("workflow", "application", "Describe", "--image", image, *builds)
    assert [build["measurement"][:2] for build in made["builds"]] == ["ab", "cd", "ef"]
    words = ("workflow", "app-config", "x", "--application", "Describe", "--port", "input")
    message = lab.mistake(*words)
    assert message == (
        "choose a build of 'Describe' by the first digits of its measurement, --measurement HEX: "
        "sgx abababababab, snp cdcdcdcdcdcd, simulated efefefefefef"
    )
    assert lab.json(*words, "--measurement", "ef")["build"]["measurement"] == "ef" * 32
    lab.run("workflow", "new", "w")
    lab.run("workflow", "add", "w", "describe", "x")
    text = lab.run("workflow", "show", "w")
    assert "simulated, which gives no protection, a debug build, whose memory the host can read" in text
    for more, problem in (
        (["--image", "describe:latest", "--build", f"sgx={'ab' * 32}"], "image"),
        (["--image", image], "builds"),
        (["--image", image, "--build", "sgx"], "--build expects PLATFORM=MEASUREMENT"),
        (["--image", image, "--build", "sgx=ab"], "builds.0.measurement"),
        (["--image", image, "--build", f"tpm={'ab' * 32}"], "builds.0.platform"),
    ):
        assert problem in lab.mistake("workflow", "application", "y", *more)


def test_app_config_items_stay_out_of_the_places_of_ports(people):
    lab = people["lab"]
    image = f"registry.example/describe@sha256:{'cd' * 32}"
    lab.run("workflow", "application", "Describe", "--image", image, "--build", f"sgx={MEASUREMENT}")
    words = ("workflow", "app-config", "x", "--application", "Describe", "--port", "input")
    (lab.folder / "file").write_text("x")
    for path in ("input/x", "../x", "/x", "app-config.json", "a/../b"):
        assert "items: a path must be relative" in lab.mistake(*words, "--item", f"{path}=file")
    assert lab.json(*words, "--item", "a/b=file")["items"] == {"a/b": {"contents": "eA=="}}
    assert "the store has no application 'Nobody'" in lab.mistake(*words[:-4], "--application", "Nobody", "--port", "p")


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


# Identities


def test_identities_are_listed_and_shown_without_their_keys(people):
    clinic = people["clinic"]
    lines = [line.split("  ")[0] for line in clinic.run("identity", "list").splitlines()]
    assert lines[:4] == ["IDENTITY", "clinic", "", "TRUSTED"]
    assert set(lines[4:]) == {"Lab B", "Registry C"}
    shown = clinic.json("identity", "show")
    assert (shown["name"], shown["identity"], len(shown["digest"])) == ("Clinic A", "clinic", 64)
    assert shown["digest"] in clinic.run("identity", "show", "clinic")
    assert "PRIVATE" not in clinic.run("identity", "export")


def test_identity_needs_one_way_to_keep_its_key(people):
    clinic = people["clinic"]
    for words, message in (
        (["--unencrypted", "--passphrase-file", "x"], "use only one of --passphrase-file, --unencrypted and --signer"),
        (["--signer", "hsm:"], "--signer and --public-key need each other"),
        (["--passphrase-file", "nowhere"], "there is no passphrase file 'nowhere'"),
        ([], "the new passphrase of x cannot be asked for without a terminal; use --passphrase-file FILE"),
    ):
        assert message in clinic.mistake("identity", "new", "x", "--contact", "x", *words)
    assert "the identity 'clinic' already exists and was not changed" in clinic.mistake(
        "identity", "new", "clinic", "--contact", "x"
    )


def test_party_is_trusted_by_a_file_or_its_whole_digest(people):
    clinic = people["clinic"]
    digest = people["lab"].json("identity", "show")["digest"]
    assert "there is no file" in clinic.mistake("identity", "trust", digest[:12], "--yes")
    assert [one["new"] for one in clinic.json("identity", "trust", digest, "../lab.json", "--yes")] == [False, False]
    assert "confirmation needs a terminal; --yes" in clinic.call("identity", "trust", digest).err
    (clinic.folder / "no-party.json").write_text("{}")
    assert "this is not of the kind 'party'" in clinic.mistake("identity", "trust", "no-party.json", "--yes")


def test_as_names_one_of_several_identities(asked):
    clinic = asked["clinic"]
    clinic.run("identity", "new", "other", "--contact", "o", "--unencrypted")
    assert "say as whom: --as NAME, one of clinic, other" in clinic.mistake("workflow", "approve", NAME, "--yes")
    assert "'other' owns nothing in the workflow" in clinic.mistake(
        "workflow", "approve", NAME, "--as", "other", "--yes"
    )
    clinic.run("workflow", "approve", NAME, "--as", "clinic", "--yes")


def test_signing_takes_the_passphrase_from_a_file(tmp_path):
    workspace = Workspace(tmp_path / "other")
    workspace.folder.mkdir()
    (workspace.folder / "passphrase").write_text("correct horse 5EC2E7\n")
    (workspace.folder / "wrong").write_text("wrong 5EC2E7\n")
    workspace.run("identity", "new", "me", "--contact", "m", "--passphrase-file", "passphrase")
    image = f"registry.example/describe@sha256:{'cd' * 32}"
    workspace.run("workflow", "application", "Describe", "--image", image, "--build", f"sgx={MEASUREMENT}")
    workspace.run("workflow", "app-config", "d", "--application", "Describe", "--port", "input")
    workspace.run("workflow", "new", "w")
    workspace.run("workflow", "add", "w", "d", "d")
    workspace.run("workflow", "add", "w", "e", "d")
    workspace.run("workflow", "connect", "w", "d:input", "e:input")
    before = files(workspace)
    digest = workspace.json("workflow", "show", "w")["workflow"]
    asking = ("workflow", "submit", "w", "--workflow", digest, "--yes", "--json", "--passphrase-file")
    message = workspace.mistake(*asking, "wrong")
    assert message == "the passphrase of the private key is wrong, or the file is damaged"
    assert "the passphrase of me cannot be asked for without a terminal" in workspace.mistake(*asking[:-1])
    assert files(workspace) == before
    assert (
        json.loads(workspace.run(*asking, "passphrase"))["request"]
        == workspace.json("workflow", "status", "w")["request"]
    )
    request = workspace.json("workflow", "status", "w")["request"]
    words = ("workflow", "approve", request, "--yes", "--json", "--passphrase-file")
    message = workspace.mistake(*words, "wrong")
    assert message == "the passphrase of the private key is wrong, or the file is damaged"
    assert workspace.json("workflow", "status", "w")["state"] == "pending"
    assert json.loads(workspace.run(*words, "passphrase"))["state"] == "approved"


# The terminal


def at_terminal(folder: Path, answers: list[str], *words: str) -> tuple[int, str]:
    """Run the command with a terminal for standard input and standard error, and answer what it asks."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(**PATHS),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown, waiting = b"", list(answers)
    try:
        while True:
            try:
                shown += os.read(controller, 4096)
            except OSError:  # the process has closed its end
                break
            if waiting and shown.rstrip(b" ").endswith((b":", b"[y/N]")) and not shown.endswith(b"\n"):
                os.write(controller, f"{waiting.pop(0)}\n".encode())
                shown += b"\n"
        return process.wait(timeout=PATIENCE), shown.decode().replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def test_new_passphrase_is_asked_for_twice_and_not_shown(tmp_path):
    words = ("identity", "new", "clinic", "--contact", "c")
    code, shown = at_terminal(tmp_path, ["correct horse", "correct house"], *words)
    assert code == 2
    assert "the two passphrases differ; no identity was made" in shown
    assert not (tmp_path / "identities").exists()
    code, shown = at_terminal(tmp_path, ["correct horse", "correct horse"], *words)
    assert code == 0, shown
    assert "New passphrase of clinic: " in shown
    assert "horse" not in shown
    assert b"ENCRYPTED" in (tmp_path / "identities/clinic/key.pem").read_bytes()
    code, shown = at_terminal(tmp_path, [""], "identity", "new", "lab", "--contact", "c")
    assert code == 2
    assert "an empty passphrase protects nothing" in shown


def test_what_is_signed_is_confirmed_and_anything_but_yes_signs_nothing(asked):
    clinic = asked["clinic"]
    code, shown = at_terminal(clinic.folder, ["n"], "workflow", "approve", NAME)
    assert code == 2
    assert shown.index("what reaches whom") < shown.index("Sign this as Clinic A? [y/N]")
    assert "not confirmed; nothing was changed" in shown
    assert clinic.json("workflow", "status", NAME)["parties"][0]["says"] == "has not decided"
    code, shown = at_terminal(clinic.folder, ["y"], "workflow", "approve", NAME)
    assert code == 0, shown
    (said,) = [one for one in clinic.json("workflow", "status", NAME)["parties"] if one["name"] == "Clinic A"]
    assert said["says"] == "approved"
    done = asked["lab"].call("workflow", "approve", NAME)
    assert (
        done.err
        == "connectors: error: confirmation needs a terminal; --yes skips it (see connectors workflow --help)\n"
    )


def test_json_is_no_way_to_sign_unseen(filled):
    lab, clinic = filled["lab"], filled["clinic"]
    workflow = lab.json("workflow", "show", NAME)["workflow"]
    before = files(lab)
    unseen = "--yes with --json shows nothing of what is signed"
    assert unseen in lab.mistake("workflow", "submit", NAME, "--yes", "--json")
    message = lab.mistake("workflow", "submit", NAME, "--yes", "--json", "--workflow", "00" * 32)
    assert "is not the workflow that --workflow names" in message
    assert "confirmation needs a terminal" in lab.mistake("workflow", "submit", NAME, "--json")
    assert files(lab) == before
    request = json.loads(lab.run("workflow", "submit", NAME, "--yes", "--json", "--workflow", workflow))["request"]
    lab.run("workflow", "export", NAME, "--out", "../request.json")
    clinic.run("workflow", "import", "../request.json")
    before = files(clinic)
    for words in (("approve",), ("decline", "--reason", "no")):
        for name in (NAME, request[:63]):
            assert unseen in clinic.mistake("workflow", words[0], name, *words[1:], "--yes", "--json")
    assert files(clinic) == before
    code, shown = at_terminal(clinic.folder, ["n"], "workflow", "approve", NAME, "--json")
    assert code == 2
    assert shown.index("https://clinic.example/conditions.sealed") < shown.index("Sign this as Clinic A? [y/N]")
    assert files(clinic) == before
    assert json.loads(clinic.run("workflow", "approve", request, "--yes", "--json"))["state"] == "pending"


def test_the_question_is_asked_where_the_request_is_shown(asked):
    controller, terminal = pty.openpty()
    words = [*COMMAND, "workflow", "approve", NAME]
    process = subprocess.Popen(
        words,
        cwd=asked["clinic"].folder,
        env=environment(**PATHS),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(terminal)
    os.write(controller, b"n\n")
    out, err = process.communicate(timeout=PATIENCE)
    os.close(controller)
    assert out.strip() == b""
    assert err.index(b"what reaches whom") < err.index(b"Sign this as Clinic A? [y/N]")


def test_who_asks_confirms_it_and_anything_but_yes_leaves_the_draft(filled):
    lab = filled["lab"]
    before = files(lab)
    code, shown = at_terminal(lab.folder, ["n"], "workflow", "submit", NAME)
    assert code == 2
    assert shown.index("Lab B asks for:") < shown.index("what reaches whom") < shown.index("Sign this as Lab B? [y/N]")
    assert "not confirmed; nothing was changed" in shown
    assert files(lab) == before
    assert "confirmation needs a terminal" in lab.call("workflow", "submit", NAME).err
    assert files(lab) == before
    code, shown = at_terminal(lab.folder, ["y"], "workflow", "submit", NAME)
    assert code == 0, shown
    assert "Signed. The approvers are " in shown
    assert "You are one of them, and have not approved yet. Send them the request: " in shown
    assert lab.json("workflow", "status", NAME)["state"] == "pending"


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
