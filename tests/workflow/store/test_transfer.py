"""Files that go from one store to another: verified as a whole, kept once, and drafts that nobody loses a change of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parties import bundle_of, decided, edge, person, requested, story

from connectors.errors import InvalidDocument, NotApproved, ObjectChanged
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import DatasetDocument, Workflow
from connectors.workflow.documents.requests import make_request
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.store.transfer import export_documents, export_draft, export_request, receive


def a_store(folder: Path) -> FolderStore:
    return FolderStore(str(folder))


@pytest.fixture
def here(tmp_path) -> FolderStore:
    return a_store(tmp_path / "here")


@pytest.fixture
def there(tmp_path) -> FolderStore:
    return a_store(tmp_path / "there")


def everything(store: FolderStore) -> set[str]:
    return {str(path.relative_to(store.folder)) for path in Path(store.folder).rglob("*.json")}


def test_request_arrives_with_what_was_said_to_it_and_arrives_once(here, there):
    told, request = requested()
    here.keep(bundle_of(request, decided(request, told.clinic)))
    data = export_request(here, request)
    first = receive(there, data)
    assert first.bundle.request == request
    assert len(first.added) == len(request.documents) + 3
    kept = everything(there)
    again = receive(there, data)
    assert (again.added, again.drafts_changed) == ([], [])
    assert everything(there) == kept
    assert there.bundle(request) == here.bundle(request)


def test_what_two_people_said_apart_from_each_other_comes_together(here, there, tmp_path):
    told, request = requested()
    for store, who in ((here, told.clinic), (there, told.lab)):
        store.keep(bundle_of(request, decided(request, who)))
    third = a_store(tmp_path / "third")
    receive(third, export_request(here, request))
    receive(third, export_request(there, request))
    receive(here, export_request(there, request))
    assert third.bundle(request) == here.bundle(request)
    assert len(third.statements(request)) == 3


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda members: members["request"]["documents"].popitem(), InvalidDocument),
        (lambda members: members["request"].update(expires="2099-01-01T00:00:00Z"), NotApproved),
        (lambda members: members["decisions"][0].update(payload="e30="), InvalidDocument),
        (lambda members: members["decisions"][0]["signatures"][0].update(sig="AAAA"), NotApproved),
        (lambda members: members["decisions"].append(members["decisions"][0]), NotApproved),
        (lambda members: members.update(revocations=members["decisions"]), InvalidDocument),
        (lambda members: members.update(submission=members["decisions"][0]), InvalidDocument),
        (lambda members: members["submission"].update(signatures=members["decisions"][0]["signatures"]), NotApproved),
        (lambda members: members.pop("submission"), InvalidDocument),
        (lambda members: members.update(schema="x"), InvalidDocument),
        (lambda members: members.update(more=1), InvalidDocument),
    ],
    ids=[
        *("a document less", "another date", "another decision", "another signature", "one twice", "another list"),
        *("an approval for a submission", "a submission by another", "no submission", "schema", "more"),
    ],
)
def test_nothing_is_kept_of_a_bundle_that_was_changed(here, there, change, error):
    told, request = requested()
    here.keep(bundle_of(request, decided(request, told.clinic)))
    members = json.loads(export_request(here, request))
    change(members)
    with pytest.raises(error):
        receive(there, canonical_bytes(members))
    assert everything(there) == set()


def test_documents_arrive_with_all_that_they_refer_to(here, there):
    told, workflow = story()
    for document in told.documents.values():
        here.add(document)
    here.add(workflow)
    conditions = here.find("Conditions Data", DatasetDocument)
    passed = receive(there, export_documents(here, conditions))
    assert set(passed.documents) == {conditions.digest, told.clinic.party.digest}
    receive(there, export_documents(here, workflow))
    assert there.graph(workflow).owners() == here.graph(workflow).owners()
    receive(there, person("Dr. Eve").party.to_bytes())
    assert there.get(person("Dr. Eve").party.digest) == person("Dr. Eve").party


@pytest.mark.parametrize(
    "change",
    [
        lambda members: next(iter(members["documents"].values())).update(name="Dr. Eve"),
        lambda members: members["documents"].update({"00" * 32: {}}),
        lambda members: members["documents"].update({"../x": next(iter(members["documents"].values()))}),
        lambda members: members.update(documents=[]),
        lambda members: members.pop("drafts"),
        lambda members: members.update(more={}),
        lambda members: members["drafts"].update(x={}),
        lambda members: members["drafts"].update({"../x": Draft(workflow=story()[1]).members()}),
    ],
    ids=["name", "no document", "no digest", "documents", "without drafts", "more", "no draft", "no draft's name"],
)
def test_nothing_is_kept_of_a_archive_that_was_changed(here, there, change):
    told, _ = story()
    for document in told.documents.values():
        here.add(document)
    members = json.loads(export_documents(here, *told.documents.values()))
    change(members)
    with pytest.raises(InvalidDocument):
        receive(there, canonical_bytes(members))
    assert everything(there) == set()


def test_draft_goes_forth_and_back_and_the_later_one_stays(here, there):
    told, workflow = story()
    for document in told.documents.values():
        here.add(document)
    first = Draft(workflow=workflow)
    here.save_draft("x", first, None)
    assert receive(there, export_draft(here, "x")).drafts_changed == ["x"]
    second = first.without_object("result")
    third = second.with_place("result", told.receiver.party, "dataset")
    there.save_draft("x", second, first)
    there.save_draft("x", third, second)
    old = export_draft(here, "x")
    assert receive(here, export_draft(there, "x")).drafts_changed == ["x"]
    assert here.draft("x") == third
    assert receive(here, old).drafts_changed == []
    assert here.draft("x") == third


def test_draft_that_was_changed_on_both_sides_is_refused(here, there):
    told, workflow = story()
    for document in told.documents.values():
        here.add(document)
    first = Draft(workflow=workflow)
    here.save_draft("x", first, None)
    receive(there, export_draft(here, "x"))
    here.save_draft("x", first.without_object("result"), first)
    there.save_draft("x", first.without_edge(edge("conditions", "describe:input")), first)
    before = here.draft("x")
    with pytest.raises(
        ObjectChanged, match=r"changed here \(revision 2\) and where the file comes from \(revision 2\)"
    ):
        receive(here, export_draft(there, "x"))
    assert here.draft("x") == before


def test_draft_that_was_submitted_elsewhere_is_one_no_more(here, there):
    told, workflow = story()
    there.save_draft("x", Draft(workflow=workflow), None)
    there.save_draft("y", Draft(workflow=Workflow(name="y", objects={})), None)
    request = make_request(workflow, told.documents, told.lab.party)
    receive(there, bundle_of(request).to_bytes())
    assert set(there.drafts()) == {"y"}


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"schema":"x"}', b"\xff", b'{"decisions":[],"request":{}}'])
def test_what_is_no_such_file_is_refused(there, data):
    with pytest.raises(InvalidDocument):
        receive(there, data)
    assert everything(there) == set()


# The changes that a draft takes


def test_place_is_filled_by_whom_it_is_kept_for_with_what_it_is_kept_for():
    told, workflow = story()
    datasets = {one.name: one for one in told.documents.values() if isinstance(one, DatasetDocument)}
    draft = Draft(workflow=workflow).without_object("result").with_place("result", told.receiver.party, "dataset")
    with pytest.raises(InvalidDocument, match="waits for what another party owns"):
        draft.with_object("result", datasets["Conditions Data"])
    filled = draft.with_object("result", datasets["Conditions processing output"])
    assert filled.workflow.objects["result"].dataset == datasets["Conditions processing output"].digest
    with pytest.raises(InvalidDocument, match="has an object 'result' already"):
        filled.with_object("result", datasets["Conditions processing output"])
    with pytest.raises(InvalidDocument, match="has an object 'result' already"):
        filled.with_place("result", told.receiver.party, "app")
    with pytest.raises(InvalidDocument, match="waits for an app, and"):
        draft.without_object("result").with_place("x", told.clinic.party, "app").with_object(
            "x", datasets["Conditions Data"]
        )


def test_changes_that_make_no_sense_are_refused():
    told, workflow = story()
    draft = Draft(workflow=workflow)
    for use, message in (
        (lambda: draft.without_object("x"), "has no object 'x'; it has conditions, describe, result"),
        (lambda: draft.with_edge(edge("conditions", "x:input")), "has no object 'x'"),
        (lambda: draft.with_edge(workflow.edges[0]), "has this connection already"),
        (lambda: draft.without_edge(edge("result", "conditions")), "has no such connection"),
        (lambda: draft.with_place("a/b", told.clinic.party, "app"), "becomes a folder's name"),
        (lambda: draft.with_place("x", told.clinic.party, "table"), "wanted"),
    ):
        with pytest.raises(InvalidDocument, match=message):
            use()
    assert draft.without_object("describe").workflow.edges == ()
