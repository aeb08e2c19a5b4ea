"""Approvals: where a workflow has no identifier, and requests and approvals that are not taken."""

from __future__ import annotations

import json

from patience import until
from three_people import NAME, ask, exchange, files
from workspaces import Workspace


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
        stops(workspace, "the request was declined by 'Registry C': 'the purpose is not ours'")
    message = asked["lab"].mistake("workflow", "approve", NAME, "--yes")
    assert message == "the request was declined by 'Registry C': 'the purpose is not ours'; nothing was signed"
    assert asked["clinic"].json("workflow", "tasks") == []


def test_an_approver_can_decline_until_all_others_have_decided(asked):
    asked["clinic"].run("workflow", "approve", NAME, "--yes")
    asked["clinic"].run("workflow", "decline", NAME, "--reason", "too soon", "--yes")
    stops(asked["clinic"], "declined by 'Clinic A': 'too soon'")


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
    stops(approved["clinic"], "the request was revoked by 'Clinic A': 'patients have withdrawn'")
    exchange(*approved.values())
    for workspace in approved.values():
        stops(workspace, "the request was revoked by 'Clinic A': 'patients have withdrawn'")
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
    stops(clinic, "declined by 'Clinic A': 'I do not know the registry'")
    assert clinic.mistake("identity", "distrust", "00" * 32).startswith("you do not trust a party with this digest")


def test_who_owns_nothing_in_it_has_nothing_to_say(asked):
    eve = Workspace(asked["lab"].folder.parent / "eve")
    eve.folder.mkdir()
    eve.run("identity", "new", "eve", "--contact", "eve@x.example", "--unencrypted")
    eve.run("workflow", "import", "../request.json")
    for verb in (("approve",), ("decline", "--reason", "x"), ("revoke", "--reason", "x")):
        message = eve.mistake("workflow", verb[0], NAME, *verb[1:], "--yes")
        assert message.startswith("'eve' owns nothing in the workflow, so need not decide; the approvers are ")
