"""What every store of workflow documents promises, as tests: what an author of one subclasses, and runs with pytest.

::

    class TestShelfStore(DocumentStoreContract):
        @pytest.fixture
        def store(self, database):
            return ShelfStore(database)  # empty, a `connectors.workflow.store.contract.DocumentStore`

        def opener(self, store):
            return functools.partial(ShelfStore, store.database)

        def overwrite(self, store, record):
            ...

        def overwrite_draft(self, store, name, data):
            ...

        def overwrite_own_revision(self, store, name, data):
            ...

Needs pytest and the extra for workflows: ``pip install "enclave-connectors[testing,workflow]"``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import InvalidDocument, NotApproved, ObjectChanged
from connectors.testing.documents import DAMAGE, DocumentsContract, draft, held
from connectors.testing.parties import (
    NOW,
    Story,
    bundle_of,
    decided,
    edge,
    person,
    requested,
    revoked,
    story,
    submitted,
)
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import DatasetDocument
from connectors.workflow.documents.requests import Request, make_request
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.store.records import Record
from connectors.workflow.store.transfer import export_documents, export_draft, export_request, receive
from connectors.workflow.trust.signing import Envelope, sign
from connectors.workflow.trust.verification import status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from connectors.workflow.store.contract import DocumentStore

__all__ = ["DocumentStoreContract"]

LATER = "2026-03-02T00:00:00Z"
FORGERIES: dict[str, Callable[[Story, Request], Envelope]] = {
    "signed with another's key": lambda told, request: decided(request, told.clinic, signer=told.lab.signer),
    "by a stranger": lambda _, request: decided(request, person("Dr. Eve")),
    "on another request": lambda told, request: decided(request, told.clinic, request="00" * 32),
    "of another kind": lambda told, _: sign(told.clinic.party, told.clinic.signer),
    "submitted by another": lambda told, request: submitted(request, told.clinic),
    "submitted with another's key": lambda told, request: submitted(request, signer=told.clinic.signer),
    "submitted by a stranger": lambda _, request: submitted(request, person("Dr. Eve")),
    "submission of another request": lambda _, request: submitted(request, request="00" * 32),
    "revoked by a stranger": lambda _, request: revoked(request, person("Dr. Eve")),
}
BUNDLE_CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a document less": lambda members: members["request"]["documents"].popitem(),
    "another date": lambda members: members["request"].update(expires="2099-01-01T00:00:00Z"),
    "another signature": lambda members: members["decisions"][0]["signatures"][0].update(sig="AAAA"),
    "one decision twice": lambda members: members["decisions"].append(members["decisions"][0]),
    "a decision as a revocation": lambda members: members.update(revocations=members["decisions"]),
    "a decision as the submission": lambda members: members.update(submission=members["decisions"][0]),
    "no submission": lambda members: members.pop("submission"),
}
ARCHIVE_CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another name": lambda members: next(iter(members["documents"].values())).update(name="Dr. Eve"),
    "no document": lambda members: members["documents"].update({"00" * 32: {}}),
    "no digest": lambda members: members["documents"].update({"../x": next(iter(members["documents"].values()))}),
    "no draft": lambda members: members["drafts"].update(y={}),
    "a draft of what is not there": lambda members: members["drafts"]["x"]["workflow"]["objects"].update(
        y={"dataset": "00" * 32}
    ),
    "a draft's name": lambda members: members["drafts"].update({"../x": members["drafts"]["x"]}),
}


class DocumentStoreContract(DocumentsContract):
    """What every store of workflow documents promises. A subclass gives `store` and the methods to open it."""

    @pytest.fixture
    def elsewhere(self, tmp_path: Path) -> FolderStore:
        """Another store, in a folder."""
        return FolderStore(str(tmp_path / "elsewhere"))

    # Statements

    def test_statements_come_back_verified(self, store: DocumentStore, filled: tuple[Story, Request]) -> None:
        told, request = filled
        parties = (told.clinic, told.lab, told.receiver)
        trusted = {who.party.digest for who in parties}
        for who in parties:
            for _ in range(2):
                assert store.say(request, decided(request, who)) == decided(request, who).digest
        again = self.opener(store)()
        assert status(again.bundle(request), trusted, NOW).state == "approved"
        again.say(request, revoked(request, told.lab))
        assert status(store.bundle(request), trusted, NOW).against == {told.lab.party.digest: "moved"}
        digests = [one.digest for one in store.statements(request)]
        assert digests == sorted(digests)
        assert len(digests) == 5

    @pytest.mark.parametrize("how", FORGERIES)
    def test_a_forged_statement_is_neither_kept_nor_believed(
        self, store: DocumentStore, filled: tuple[Story, Request], how: str
    ) -> None:
        told, request = filled
        forged = FORGERIES[how](told, request)
        before = held(store, request)
        with pytest.raises((NotApproved, InvalidDocument)):
            store.say(request, forged)
        assert held(store, request) == before
        self.overwrite(store, Record(forged.digest, forged.to_bytes(), request.digest))
        for read in (store.statements, store.bundle):
            with pytest.raises((NotApproved, InvalidDocument), match=forged.digest):
                read(request)

    @pytest.mark.parametrize("how", DAMAGE)
    def test_a_damaged_statement_is_an_error_that_names_it(
        self, store: DocumentStore, filled: tuple[Story, Request], how: str
    ) -> None:
        told, request = filled
        approval = decided(request, told.clinic)
        digest = store.say(request, approval)
        self.overwrite(store, Record(digest, DAMAGE[how](approval.to_bytes()), request.digest))
        uses: list[Callable[[], object]] = [
            lambda: store.statements(request),
            lambda: store.bundle(request),
            lambda: store.say(request, approval),
        ]
        for use in uses:
            with pytest.raises(InvalidDocument, match=digest):
                use()

    def test_a_decline_counts_before_an_approval_and_else_the_first(
        self, store: DocumentStore, filled: tuple[Story, Request]
    ) -> None:
        told, request = filled
        first, later = decided(request, told.clinic), decided(request, told.clinic, when=LATER)
        decline = decided(request, told.clinic, "decline", when=LATER)
        for said, counts in ((later, later), (first, first), (decline, decline)):
            store.say(request, said)
            assert store.bundle(request).decisions == (counts,)
        store.say(request, submitted(request, when=LATER))
        assert store.bundle(request).submission == submitted(request)
        store.say(request, submitted(request, when="2026-02-01T00:00:00Z"))
        assert store.bundle(request).submission == submitted(request, when="2026-02-01T00:00:00Z")

    def test_a_request_that_was_not_submitted_is_an_error_and_spoils_no_other(
        self, store: DocumentStore, filled: tuple[Story, Request]
    ) -> None:
        told, request = filled
        other = make_request(request.graph.workflow, told.documents, told.clinic.party, created=NOW)
        store.put([*other.parsed.values(), other])
        store.say(other, decided(other, told.clinic))
        with pytest.raises(NotApproved, match="signed submission of its requester, 'Clinic A', is missing") as caught:
            store.bundle(other)
        assert other.digest in str(caught.value)
        assert store.bundle(request) == bundle_of(request)
        assert store.keep(bundle_of(other)) == [submitted(other).digest]
        assert store.bundle(other) == bundle_of(other, decided(other, told.clinic))

    # Bundles and archives

    @pytest.mark.parametrize(
        "forged",
        [
            lambda told, request: {"submission": submitted(request, told.clinic)},
            lambda told, request: {"decisions": (decided(request, told.clinic, signer=told.lab.signer),)},
            lambda told, request: {"decisions": (decided(request, told.clinic),) * 2},
            lambda told, request: {"revocations": (decided(request, told.clinic),)},
        ],
        ids=["submitted by another", "signed with another's key", "one decision twice", "a decision as a revocation"],
    )
    def test_nothing_is_kept_of_a_bundle_with_a_forged_statement(
        self, store: DocumentStore, forged: Callable[[Story, Request], dict[str, Any]]
    ) -> None:
        told, request = requested()
        with pytest.raises((NotApproved, InvalidDocument)):
            store.keep(bundle_of(request, **forged(told, request)))
        assert held(store, request) == ({}, {}, {})

    def test_a_request_replaces_its_draft_and_no_later_revision(self, store: DocumentStore) -> None:
        _, request = requested()
        first = Draft(workflow=request.graph.workflow)
        later = first.without_object("result")
        store.save_draft("x", first, None)
        store.save_draft("x", later, first)
        before = held(store, request)
        with pytest.raises(ObjectChanged, match="nothing was written"):
            store.submit(bundle_of(request), "x", first)
        assert held(store, request) == before
        store.save_draft("y", first, None)
        store.submit(bundle_of(request), "y", first)
        assert store.drafts() == {"x": later}
        assert store.bundle(request) == bundle_of(request)

    def test_a_bundle_arrives_once_and_takes_its_draft_away(self, store: DocumentStore, elsewhere: FolderStore) -> None:
        told, request = requested()
        elsewhere.keep(bundle_of(request, decided(request, told.clinic)))
        store.save_draft("x", Draft(workflow=request.graph.workflow), None)
        store.save_draft("y", draft(), None)
        data = export_request(elsewhere, request)
        assert len(receive(store, data).added) == len(request.documents) + 3
        assert receive(store, data).added == []
        assert store.drafts() == {"y": draft()}
        assert export_request(store, request) == data
        store.say(request, decided(request, told.lab))
        assert receive(elsewhere, export_request(store, request)).added == [decided(request, told.lab).digest]

    @pytest.mark.parametrize("what", BUNDLE_CHANGES)
    def test_nothing_is_kept_of_a_bundle_that_was_changed(self, store: DocumentStore, what: str) -> None:
        told, request = requested()
        members = json.loads(bundle_of(request, decided(request, told.clinic)).to_bytes())
        BUNDLE_CHANGES[what](members)
        with pytest.raises((InvalidDocument, NotApproved)):
            receive(store, canonical_bytes(members))
        assert held(store, request) == ({}, {}, {})

    def test_an_archive_arrives_with_all_that_it_refers_to(self, store: DocumentStore, elsewhere: FolderStore) -> None:
        told, workflow = story()
        elsewhere.put([*told.documents.values(), workflow])
        conditions = elsewhere.find("Conditions Data", DatasetDocument)
        added = receive(store, export_documents(elsewhere, conditions)).added
        assert set(added) == {conditions.digest, told.clinic.party.digest}
        first = Draft(workflow=workflow)
        elsewhere.save_draft("x", first, None)
        data = export_draft(elsewhere, "x")
        assert receive(store, data).drafts_changed == ["x"]
        assert export_draft(store, "x") == data
        later = first.without_object("result")
        store.save_draft("x", later, first)
        assert receive(store, data).drafts_changed == []
        assert receive(elsewhere, export_draft(store, "x")).drafts_changed == ["x"]
        assert elsewhere.draft("x") == later

    def test_a_received_draft_is_compared_with_the_last_revision_made_here(
        self, store: DocumentStore, elsewhere: FolderStore
    ) -> None:
        told, workflow = story()
        for one in (store, elsewhere):
            one.put(told.documents.values())
        first = Draft(workflow=workflow)
        second = first.without_object("result")
        third = second.without_edge(edge("conditions", "describe:input"))
        mine = third.without_object("conditions")
        theirs = mine.without_object("describe")

        def passed(there: DocumentStore, here: DocumentStore) -> list[str]:
            return receive(here, export_draft(there, "x")).drafts_changed

        was = None
        for revision, own in ((first, None), (second, first), (third, first)):
            elsewhere.save_draft("x", revision, was)
            assert passed(elsewhere, store) == ["x"]
            assert (store.draft("x"), store.own_revision("x")) == (revision, own)
            was = revision
        store.save_draft("x", mine, third)
        assert store.own_revision("x") is None
        assert passed(elsewhere, store) == []
        assert store.own_revision("x") is None
        assert passed(store, elsewhere) == ["x"]
        assert elsewhere.own_revision("x") == third
        elsewhere.save_draft("x", theirs, mine)
        assert passed(elsewhere, store) == ["x"]
        for _ in range(2):
            assert (store.draft("x"), store.own_revision("x")) == (theirs, mine)
            assert passed(elsewhere, store) == []

    @pytest.mark.parametrize("what", ARCHIVE_CHANGES)
    def test_nothing_is_kept_of_an_archive_that_was_changed(
        self, store: DocumentStore, elsewhere: FolderStore, what: str
    ) -> None:
        told, workflow = story()
        elsewhere.put(told.documents.values())
        elsewhere.save_draft("x", Draft(workflow=workflow), None)
        members = json.loads(export_draft(elsewhere, "x"))
        ARCHIVE_CHANGES[what](members)
        with pytest.raises(InvalidDocument):
            receive(store, canonical_bytes(members))
        assert held(store) == ({}, {}, {})

    def test_archive_is_not_kept_if_its_draft_changed_on_both_sides(
        self, store: DocumentStore, elsewhere: FolderStore
    ) -> None:
        told, workflow = story()
        elsewhere.put(told.documents.values())
        first = Draft(workflow=workflow)
        elsewhere.save_draft("x", first.without_object("result"), None)
        store.save_draft("x", first.without_edge(edge("conditions", "describe:input")), None)
        before = held(store)
        with pytest.raises(ObjectChanged, match="was changed both here"):
            receive(store, export_draft(elsewhere, "x"))
        assert held(store) == before
