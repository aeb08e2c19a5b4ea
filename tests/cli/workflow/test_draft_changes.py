"""A draft that goes back and forth between two people: what each is told of the other's changes, and what it shows."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from parties import NOW, bundle_of, edge, person, story
from workspaces import Workspace

from connectors.cli.workflow.render import draft_lines, request_lines
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import DatasetDocument
from connectors.workflow.documents.requests import make_request
from connectors.workflow.store.folder import FolderStore

NAME = "Patient conditions"
SINCE = "what was changed elsewhere since revision "


class Two(NamedTuple):
    """Two people, who both have the first revision of a draft that the lab has made, with a place for the registry."""

    lab: Workspace
    registry: Workspace

    def passed(self, here: Workspace, *options: object) -> str:
        """Export the draft of the other one, import it here, and return what is printed."""
        (there,) = [one for one in self if one != here]
        there.run("workflow", "export", NAME, "--out", "../draft.json", "--force")
        return here.run("workflow", "import", "../draft.json", *options)


def store_of(workspace: Workspace) -> FolderStore:
    return FolderStore(str(workspace.folder / "store"))


@pytest.fixture
def two(tmp_path) -> Two:
    told, workflow = story()
    for name in ("lab", "registry"):
        (tmp_path / name).mkdir()
    found = Two(Workspace(tmp_path / "lab"), Workspace(tmp_path / "registry"))
    for one in found:
        store_of(one).put(told.documents.values())
    members = {name: getattr(workflow, name) for name in type(workflow).model_fields}
    place = {"reserved_for": told.receiver.party.digest, "wanted": "dataset", "purpose": "the most common conditions"}
    objects = {**members["objects"], "result": place}
    first = Draft(workflow=type(workflow).make(**{**members, "objects": objects}))
    store_of(found.lab).save_draft(NAME, first, None)
    assert found.passed(found.registry).splitlines() == [f"../draft.json: draft '{NAME}', revision 1"]
    return found


def changes(text: str) -> list[str]:
    """Return the lines about changes, with their heading."""
    lines = text.splitlines()
    return lines[next(place for place, line in enumerate(lines) if line.strip().startswith(SINCE)) :]


def fill(workspace: Workspace) -> None:
    workspace.run("workflow", "add", NAME, "result", "Conditions processing output")


def test_import_says_what_was_changed_since_the_own_revision(two):
    fill(two.registry)
    lines = two.passed(two.lab).splitlines()
    assert lines[0] == f"../draft.json: draft '{NAME}', revision 2"
    assert lines[1] == f"  {SINCE}1"
    assert lines[2] == "    Objects"
    for part in ("result", "Conditions processing output", "replaces", "https://registry.example/output.sealed"):
        assert part in lines[3]
    assert len(lines) == 4
    assert two.passed(two.lab) == "../draft.json: nothing new\n"


def test_show_says_it_until_a_change_is_made_here(two):
    fill(two.registry)
    two.passed(two.lab)
    shown = changes(two.lab.run("workflow", "show", NAME))
    assert shown[0] == f"{SINCE}1"
    assert any("replaces" in line for line in shown)
    assert SINCE not in two.registry.run("workflow", "show", NAME)
    two.lab.run("workflow", "disconnect", NAME, "describe:output", "result")
    assert SINCE not in two.lab.run("workflow", "show", NAME)
    two.passed(two.registry)
    shown = changes(two.registry.run("workflow", "show", NAME))
    assert shown[0] == f"{SINCE}2"
    assert any("no longer writes" in line for line in shown)
    assert not any("replaces" in line for line in shown)


def test_changes_of_several_revisions_are_told_together(two):
    fill(two.registry)
    two.passed(two.lab)
    two.registry.run("workflow", "disconnect", NAME, "conditions", "describe:input")
    shown = changes(two.passed(two.lab))
    assert shown[0] == f"  {SINCE}1"
    assert any("replaces" in line for line in shown)
    assert any("no longer reads" in line for line in shown)


def test_someone_who_changes_nothing_is_told_what_is_new_since_the_first_revision_received(two):
    two.lab.run("workflow", "disconnect", NAME, "conditions", "describe:input")
    two.passed(two.registry)
    two.lab.run("workflow", "disconnect", NAME, "describe:output", "result")
    shown = changes(two.passed(two.registry))
    assert shown[0] == f"  {SINCE}1"
    assert shown[1] == "    No longer reaches"
    assert any("no longer reads" in line for line in shown)
    assert any("no longer writes" in line for line in shown)


def test_changes_that_were_undone_are_none(two):
    edges = ("conditions", "describe:input")
    two.registry.run("workflow", "disconnect", NAME, *edges)
    two.registry.run("workflow", "connect", NAME, *edges)
    assert two.passed(two.lab).splitlines()[1:] == ["  the workflow is the same as in revision 1"]
    assert two.lab.run("workflow", "show", NAME).splitlines()[-1] == "the workflow is the same as in revision 1"


def test_json_has_the_changes_too(two):
    assert "changed" not in two.lab.json("workflow", "show", NAME)
    fill(two.registry)
    (report,) = json.loads(two.passed(two.lab, "--json"))
    (draft,) = report["drafts"]
    assert (draft["revision"], draft["new"], draft["changed"]["since"]) == (2, True, 1)
    assert [one["path"] for one in draft["changed"]["changes"]] == [["objects", "result"]]
    assert draft["changed"]["lost"] == []
    assert two.lab.json("workflow", "show", NAME)["changed"] == draft["changed"]
    (report,) = json.loads(two.passed(two.lab, "--json"))
    assert "changed" not in report["drafts"][0]


def test_long_changes_are_cut_on_import_and_whole_in_show(two):
    store = store_of(two.registry)
    was = draft = store.draft(NAME)
    for number in range(120):
        draft = draft.with_place(f"ward {number:03}", person("Registry C").party, "dataset")
    store.save_draft(NAME, draft, was)
    printed = changes(two.passed(two.lab))
    assert sum("is new" in line for line in printed) == 100
    assert printed[-1] == f"      … and 20 more; connectors workflow show '{NAME}'"
    assert sum("is new" in line for line in changes(two.lab.run("workflow", "show", NAME))) == 120


def test_name_that_is_used_again_is_compared_with_nothing_old(two):
    fill(two.registry)
    two.passed(two.lab)
    two.lab.run("workflow", "discard", NAME)
    assert two.passed(two.lab).splitlines() == [f"../draft.json: draft '{NAME}', revision 2"]
    assert SINCE not in two.lab.run("workflow", "show", NAME)


def test_damaged_own_revision_is_named_and_the_draft_stays(two):
    fill(two.registry)
    two.passed(two.lab)
    path = two.lab.folder / "store" / "own" / f"{NAME}.json"
    path.write_text("{}")
    assert f"store/own/{NAME}.json: " in two.lab.mistake("workflow", "show", NAME)
    two.lab.run("workflow", "disconnect", NAME, "conditions", "describe:input")
    assert not path.exists()


def test_draft_shows_all_that_a_request_for_it_would_show():
    told, workflow = story()
    graph = Graph(workflow, told.documents)
    shown = draft_lines(Draft(workflow=workflow), graph)
    request = make_request(workflow, told.documents, told.lab.party, created=NOW)
    asked = request_lines(request)
    start = asked.index("documents")
    assert shown[shown.index("documents") :] == asked[start:]
    approvers = [line.split()[-1] for line in shown[2 : shown.index("documents")]]
    assert approvers == list(request.approvers)
    assert "nobody: whoever passes a draft on can change it" in shown[1]


def test_draft_with_a_place_shows_every_document_and_the_place(two):
    text = two.lab.run("workflow", "show", NAME)
    store = store_of(two.lab)
    graph = store.graph(store.draft(NAME).workflow)
    for digest in graph.references():
        assert digest in text
    for part in ("s3://clinic/conditions.csv.sealed", "East US", "lab@example.org", "the most common conditions"):
        assert part in text
    assert not any(one.digest in text for one in store.documents(DatasetDocument) if one.direction == "output")


def test_draft_that_is_not_consistent_is_not_imported(two):
    (first,) = (two.lab.folder / "store" / "drafts").iterdir()
    before = first.read_bytes()
    fill(two.registry)
    two.registry.run("workflow", "export", NAME, "--out", "../draft.json", "--force")
    members = json.loads(two.lab.read("../draft.json"))
    output = next(digest for digest, one in members["documents"].items() if one.get("direction") == "output")
    del members["documents"][output]
    (two.lab.folder / "../draft.json").write_text(
        json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    )
    message = two.lab.mistake("workflow", "import", "../draft.json")
    assert "is not consistent" in message
    assert "is missing" in message
    assert first.read_bytes() == before
    assert edge("describe:output", "result") in store_of(two.lab).draft(NAME).workflow.edges


def test_import_says_that_a_draft_was_removed_and_who_has_submitted_it(two):
    told, workflow = story()
    store = store_of(two.lab)
    store.put(told.documents.values())
    store.save_draft("the same", Draft(workflow=workflow), None)
    eve = person("Dr. Eve")
    request = make_request(workflow, told.documents, eve.party, created=NOW)
    (two.lab.folder / "eve.json").write_bytes(bundle_of(request).to_bytes())
    lines = two.lab.run("workflow", "import", "eve.json").splitlines()
    assert lines[1:] == [
        f"  the draft 'the same' was removed: 'Dr. Eve' has submitted it, as the request {request.digest}"
    ]
    assert "the same" not in store.drafts()
    store.save_draft("the same", Draft(workflow=workflow), None)
    (found,) = two.lab.json("workflow", "import", "eve.json")
    assert found["dropped"] == ["the same"]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_import_tells_what_was_kept_before_a_bad_file(two, options):
    two.registry.run("workflow", "add", NAME, "result", "Conditions processing output")
    two.registry.run("workflow", "export", NAME, "--out", "../draft.json", "--force")
    (two.lab.folder / "bad.json").write_text("{}")
    done = two.lab.call("workflow", "import", "../draft.json", "bad.json", *options)
    assert done.code == 2
    assert SINCE in done.out or json.loads(done.out)[0]["drafts"][0]["changed"]["since"] == 1
