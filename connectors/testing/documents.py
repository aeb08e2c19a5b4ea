"""What every store of workflow documents promises of documents and drafts, as tests."""

from __future__ import annotations

import base64
import json
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import ConfigError, InvalidDocument, ObjectChanged, ObjectExists
from connectors.testing.parties import Story, bundle_of, edge, person, requested, story, submitted
from connectors.testing.tools import Contract
from connectors.workflow.documents.canonical import MAX_SIZE, canonical_bytes, digest_of
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument, Item, Party, Submission, Workflow
from connectors.workflow.documents.requests import Request
from connectors.workflow.store.lookup import name_of
from connectors.workflow.store.records import DraftChange, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.workflow.documents.model import Document
    from connectors.workflow.store.contract import DocumentStore

__all__ = ["DAMAGE", "DocumentsContract", "draft", "held"]

WRITERS = 3
ODD_NAMES = ["Größe, 日本", "50%25", "it's (a) [copy] {1}; --", "a.json", "x" * 100]
ALIKE = ["Clinic 76931", "Clinic 179682"]
"""Names of parties, with the key of Clinic A, whose digests begin with the same eight digits."""


def some_app_config(**members: Any) -> AppConfigDocument:
    """Return an app config with some members replaced."""
    example = next(one for one in story()[0].documents.values() if isinstance(one, AppConfigDocument))
    return example.model_copy(update=members)


def draft(name: str = "x") -> Draft:
    """Return the first revision of a draft, with nothing in it."""
    return Draft(workflow=Workflow(name=name, objects={}))


def revisions() -> tuple[Draft, ...]:
    """Return four revisions of a draft, each made from the one before it."""
    found = [draft()]
    for place in "abc":
        found.append(found[-1].with_place(place, person("Clinic A").party, "dataset"))
    return tuple(found)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    "half of it": lambda data: data[: len(data) // 2],
    "nothing": lambda _: b"",
    "a new line at its end": lambda data: data + b"\n",
    "indented": lambda data: json.dumps(json.loads(data), indent=1).encode(),
    "another document": lambda _: person("Dr. Eve").party.to_bytes(),
    "no document": lambda _: b"\xff\x00" * 40,
    "too large": lambda _: b" " * (MAX_SIZE + 1),
}
RULE_BREAKERS: dict[str, Callable[[], bytes]] = {
    "a party without keys": lambda: canonical_bytes({**person("Clinic A").party.members(), "keys": []}),
    "another schema": lambda: canonical_bytes({"schema": "something else"}),
    "not canonical": lambda: b'{"a": 1}',
    "no object": lambda: b"[]",
    "a draft": lambda: draft().to_bytes(),
    "too large": lambda: b" " * (MAX_SIZE + 1),
}
UNREADABLE: dict[str, Callable[[], Document]] = {
    "too large": lambda: some_app_config(
        items={"x": Item(contents=base64.b64encode(bytes(MAX_SIZE * 3 // 4)).decode())}
    ),
    "a draft": draft,
    "a statement": lambda: submitted(requested()[1]).document(Submission),
    "a request with a document less": lambda: requested()[1].model_copy(update={"documents": {}}),
}


def held(store: DocumentStore, request: Request | None = None) -> object:
    """Return all that a store holds, of statements those on one request."""
    return (
        {digest: store.read_document(digest) for digest in store.list_documents()},
        dict(store.read_statements(request.digest)) if request else {},
        {name: (store.read_draft(name), store.read_own_revision(name)) for name in store.list_drafts()},
    )


def write_documents(open_store: Callable[[], DocumentStore], count: int) -> list[str]:
    """Add documents, the same for each writer, and return those that were new; it can be sent to another process."""
    store = open_store()
    known = person("Clinic A").party
    return [
        digest
        for number in range(count)
        for digest in store.put([known.model_copy(update={"name": f"Clinic {number}"})])
    ]


def edit_draft(open_store: Callable[[], DocumentStore], who: str, count: int) -> None:
    """Put places into a draft, each time again until nobody else has changed it meanwhile."""
    store = open_store()
    for number in range(count):
        while True:
            was = store.draft("x")
            try:
                store.save_draft("x", was.with_place(f"{who}-{number}", person("Clinic A").party, "dataset"), was)
                break
            except ObjectChanged:
                continue


class DocumentsContract(Contract):
    """What a store promises of documents and drafts. A subclass gives the fixture `store`, and the methods below."""

    @pytest.fixture
    def store(self) -> DocumentStore:
        """The store under test, empty, which a subclass gives."""
        message = f"{type(self).__name__} needs a fixture `store` that returns an empty DocumentStore"
        raise NotImplementedError(message)

    def opener(self, store: Any) -> Callable[[], DocumentStore]:
        """Return what opens the same store a second time; it can be pickled if `executor` has processes."""
        raise NotImplementedError

    def executor(self) -> Executor:
        """Return what runs several writers: threads, unless a subclass returns processes."""
        return ThreadPoolExecutor(WRITERS)

    def overwrite(self, store: Any, record: Record) -> None:
        """Put a record's bytes into the store unchecked, as somebody could who holds it."""
        raise NotImplementedError

    def overwrite_draft(self, store: Any, name: str, data: bytes) -> None:
        """Put a draft's bytes into the store unchecked."""
        raise NotImplementedError

    def overwrite_own_revision(self, store: Any, name: str, data: bytes) -> None:
        """Put the bytes of a draft's own revision into the store unchecked."""
        raise NotImplementedError

    @pytest.fixture
    def filled(self, store: DocumentStore) -> tuple[Story, Request]:
        """What is in the store: a request that its requester has submitted, and all that it refers to."""
        told, request = requested()
        store.keep(bundle_of(request))
        return told, request

    # Documents

    def test_documents_are_found_by_digest_prefix_and_name(
        self, store: DocumentStore, filled: tuple[Story, Request]
    ) -> None:
        told, request = filled
        for document in request.parsed.values():
            assert store.get(document.digest) == document
            for text in (document.digest, document.digest[:8], name_of(document)):
                assert store.find(text, type(document)) == document
        assert store.find("Patient conditions", Request) == request
        assert store.list_documents() == sorted([request.digest, *request.documents])
        assert store.list_documents(request.digest[:8]) == [request.digest]
        parties = [one.party for one in (told.clinic, told.lab, told.receiver)]
        assert list(store.documents(Party)) == sorted(parties, key=lambda party: party.digest)
        assert store.closure(request.graph.workflow).keys() == request.documents.keys()

    def test_a_name_of_two_documents_is_ambiguous_and_both_are_listed(
        self, store: DocumentStore, filled: tuple[Story, Request]
    ) -> None:
        first = store.find("Conditions Data", DatasetDocument)
        second = first.model_copy(update={"owner": filled[0].lab.party.digest})
        store.add(second)
        with pytest.raises(ConfigError, match="there is more than one dataset 'Conditions Data'") as caught:
            store.find("Conditions Data", DatasetDocument)
        for expected in (first.digest[:12], second.digest[:12], "of 'Clinic A'", "of 'Lab B'"):
            assert expected in str(caught.value)
        assert store.find(second.digest[:8], DatasetDocument) == second

    def test_a_prefix_of_two_digests_is_ambiguous(self, store: DocumentStore) -> None:
        keys = person("Clinic A").party.keys
        first, second = (Party(name=name, contact="clinic@example.org", keys=keys) for name in ALIKE)
        store.put([first, second])
        assert first.digest[:8] == second.digest[:8]
        with pytest.raises(ConfigError, match="there is more than one party"):
            store.find(first.digest[:8], Party)
        assert store.find(first.digest[:12], Party) == first

    @pytest.mark.parametrize("text", ["nobody", "00" * 32, "0" * 8, "", "../../etc/passwd", "1f0c", "%", "________"])
    def test_what_is_not_there_is_not_found(
        self, store: DocumentStore, filled: tuple[Story, Request], text: str
    ) -> None:
        assert store.get(text) is None
        for missing in (text, filled[0].clinic.party.digest[:7]):
            with pytest.raises(ConfigError, match="the store has no party"):
                store.find(missing, Party)

    def test_a_document_is_written_once_and_seen_by_others(self, store: DocumentStore) -> None:
        party = person("Clinic A").party
        assert store.put([party]) == [party.digest]
        assert store.put([party]) == []
        again = self.opener(store)()
        assert again.read_document(party.digest) == party.to_bytes()
        assert again.put([party]) == []

    def test_writers_of_the_same_documents_write_each_once(self, store: DocumentStore) -> None:
        with self.executor() as pool:
            writing = [pool.submit(write_documents, self.opener(store), 20) for _ in range(WRITERS)]
            added = [digest for one in writing for digest in one.result(timeout=120)]
        assert sorted(added) == store.list_documents()
        assert {one.name for one in store.documents(Party)} == {f"Clinic {number}" for number in range(20)}

    @pytest.mark.parametrize("how", DAMAGE)
    @pytest.mark.parametrize("name", ["Clinic A", "Patient conditions"])
    def test_a_damaged_document_is_an_error_that_names_it(
        self, store: DocumentStore, filled: tuple[Story, Request], name: str, how: str
    ) -> None:
        document = store.find(name, *(Party, Request))
        self.overwrite(store, Record(document.digest, DAMAGE[how](document.to_bytes())))
        uses: list[Callable[[], object]] = [
            lambda: store.get(document.digest),
            lambda: store.find(document.digest[:8], type(document)),
            lambda: list(store.documents(Party)),
            lambda: store.add(document),
        ]
        for use in uses:
            with pytest.raises(InvalidDocument, match=document.digest):
                use()
        self.overwrite(store, Record(document.digest, document.to_bytes()))
        assert store.get(document.digest) == document

    @pytest.mark.parametrize("what", RULE_BREAKERS)
    def test_a_document_that_breaks_a_rule_is_refused_under_its_own_digest(
        self, store: DocumentStore, what: str
    ) -> None:
        data = RULE_BREAKERS[what]()
        self.overwrite(store, Record(digest_of(data), data))
        with pytest.raises(InvalidDocument, match=digest_of(data)):
            store.get(digest_of(data))

    @pytest.mark.parametrize("what", UNREADABLE)
    def test_what_could_not_be_read_back_is_not_kept(self, store: DocumentStore, what: str) -> None:
        with pytest.raises(InvalidDocument):
            store.put([person("Clinic A").party, UNREADABLE[what]()])
        assert held(store) == ({}, {}, {})

    # Drafts

    def test_a_draft_that_was_changed_meanwhile_is_not_overwritten(self, store: DocumentStore) -> None:
        first = Draft(workflow=story()[1])
        store.save_draft("x", first, None)
        mine = first.without_object("result")
        theirs = first.without_edge(edge("conditions", "describe:input"))
        self.opener(store)().save_draft("x", theirs, first)
        with pytest.raises(ObjectChanged, match="was at revision 1 when it was read, but is at revision 2 now"):
            store.save_draft("x", mine, first)
        with pytest.raises(ObjectChanged, match="somebody else changed it"):
            store.drop_draft("x", first)
        with pytest.raises(ObjectExists, match="the draft 'x' exists already"):
            store.save_draft("x", first, None)
        assert store.drafts() == {"x": theirs}
        store.drop_draft("x", theirs)
        with pytest.raises(ObjectChanged, match="is gone now"):
            store.save_draft("x", mine, theirs)
        assert store.drafts() == {}

    def test_no_change_of_a_draft_is_lost_between_writers(self, store: DocumentStore) -> None:
        store.save_draft("x", draft(), None)
        with self.executor() as pool:
            editing = [pool.submit(edit_draft, self.opener(store), str(who), 6) for who in range(WRITERS)]
            for one in editing:
                one.result(timeout=120)
        assert set(store.draft("x").workflow.objects) == {f"{who}-{n}" for who in range(WRITERS) for n in range(6)}
        assert store.draft("x").revision == 1 + 6 * WRITERS

    def test_nothing_is_written_if_one_of_several_drafts_was_changed(self, store: DocumentStore) -> None:
        store.save_draft("x", draft(), None)
        store.save_draft("y", draft(), None)
        before = held(store)
        changed = draft().with_place("a", person("Clinic A").party, "app")
        for was in (None, changed):
            with pytest.raises((ObjectExists, ObjectChanged)):
                store.put(
                    [person("Clinic A").party], [DraftChange("x", draft(), changed), DraftChange("y", was, changed)]
                )
            assert held(store) == before
        added = store.put(
            [person("Clinic A").party], [DraftChange("x", draft(), changed), DraftChange("z", None, changed)]
        )
        assert added == [person("Clinic A").party.digest]
        assert store.drafts() == {"x": changed, "y": draft(), "z": changed}

    def test_own_revision_of_a_draft_is_kept_until_the_next_change_is_made_here(self, store: DocumentStore) -> None:
        first, second, third, fourth = revisions()
        store.save_draft("x", first, None)
        store.save_draft("y", first, None)
        assert store.own_revision("x") is None
        for was, now in ((first, second), (second, third)):
            store.commit([], [DraftChange("x", was, now, own=first)])
            assert self.opener(store)().own_revision("x") == first
        assert store.drafts() == {"x": third, "y": first}
        assert store.own_revision("y") is None
        store.save_draft("x", fourth, third)
        assert store.own_revision("x") is None

    def test_own_revision_of_a_draft_is_gone_with_the_draft(self, store: DocumentStore) -> None:
        first, second, *_ = revisions()
        for _ in range(2):
            store.save_draft("x", first, None)
            assert store.own_revision("x") is None
            store.commit([], [DraftChange("x", first, second, own=first)])
            store.drop_draft("x", second)
            assert store.own_revision("x") is None

    def test_own_revision_is_not_written_without_its_draft(self, store: DocumentStore) -> None:
        first, second, third, _ = revisions()
        store.save_draft("x", second, None)
        before = held(store)
        for was in (None, first):
            with pytest.raises((ObjectExists, ObjectChanged)):
                store.commit([], [DraftChange("x", was, third, own=first)])
        assert held(store) == before

    @pytest.mark.parametrize("how", DAMAGE)
    def test_a_damaged_own_revision_is_an_error_that_names_it(self, store: DocumentStore, how: str) -> None:
        first, second, third, _ = revisions()
        store.save_draft("Größe", first, None)
        store.commit([], [DraftChange("Größe", first, second, own=first)])
        self.overwrite_own_revision(store, "Größe", DAMAGE[how](first.to_bytes()))
        with pytest.raises(InvalidDocument, match="Größe"):
            store.own_revision("Größe")
        assert store.draft("Größe") == second
        store.save_draft("Größe", third, second)
        assert store.own_revision("Größe") is None

    def test_drafts_have_the_names_that_files_can_have(self, store: DocumentStore) -> None:
        first, second, *_ = revisions()
        for name in ODD_NAMES:
            store.save_draft(name, first, None)
            store.commit([], [DraftChange(name, first, second, own=first)])
        assert store.list_drafts() == sorted(ODD_NAMES)
        for name in ODD_NAMES:
            assert (store.find_draft(name), store.own_revision(name)) == (second, first)
            store.drop_draft(name, second)
        for name in ("", "..", ".git", "a/b", "a\nb", "x" * 101, "ü" * 51, " x"):
            with pytest.raises(ConfigError, match="a draft cannot be called"):
                store.draft(name)
            with pytest.raises(ConfigError, match="a draft cannot be called"):
                store.save_draft(name, draft(), None)
            with pytest.raises(ConfigError, match="a draft cannot be called"):
                store.own_revision(name)
        assert held(store) == ({}, {}, {})

    def test_an_unknown_draft_is_an_error_that_lists_the_others(self, store: DocumentStore) -> None:
        assert store.find_draft("x") is None
        with pytest.raises(ConfigError, match="there is no draft 'x'; there are none"):
            store.draft("x")
        store.save_draft("y", draft(), None)
        with pytest.raises(ConfigError, match="there are 'y'"):
            store.draft("x")

    @pytest.mark.parametrize("how", DAMAGE)
    def test_a_damaged_draft_is_an_error_that_names_it(self, store: DocumentStore, how: str) -> None:
        store.save_draft("Größe", draft(), None)
        damaged = DAMAGE[how](draft().to_bytes())
        self.overwrite_draft(store, "Größe", damaged)
        uses: list[Callable[[], object]] = [
            lambda: store.draft("Größe"),
            store.drafts,
            lambda: store.save_draft("Größe", draft("y"), draft()),
            lambda: store.drop_draft("Größe", draft()),
        ]
        for use in uses:
            with pytest.raises(InvalidDocument, match="Größe"):
                use()
