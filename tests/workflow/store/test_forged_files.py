"""Files that forgers pass on to a store: kept as a whole or not at all, and nobody is made to say what they have not."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from changes import change, envelopes, opened
from forgeries import EFFORTS, Forger
from generated_workflows import TRYING, agreed, graphs, some
from hypothesis import given, settings
from hypothesis import strategies as st
from lies import ANYWHERE, LIES
from parties import person

from connectors.errors import InvalidDocument, NotApproved, ObjectChanged
from connectors.workflow.documents.canonical import canonical_bytes, digest_of
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import Workflow
from connectors.workflow.documents.requests import Request
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.store.transfer import export_draft, receive

Files = dict[str, bytes | None]


def held(store: FolderStore) -> Files:
    """All that is in a store's folder, and the folders in it."""
    root = Path(store.folder)
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


def parts_of(members: Any) -> set[bytes]:
    """What is in a bundle, or in a archive, that a store keeps."""
    if "request" in members:
        parts = [*members["request"]["documents"].values(), members["request"], *envelopes(members)]
    else:
        parts = [*members["documents"].values(), *members["drafts"].values()]
    return {canonical_bytes(one) for one in parts}


def is_received(store: FolderStore, data: bytes) -> bool:
    """Tell whether a store takes a file; then all of it is there, under its digests, and else nothing."""
    before = held(store)
    try:
        receive(store, data)
    except (InvalidDocument, NotApproved, ObjectChanged):
        assert held(store) == before
        return False
    after = held(store)
    assert before.items() <= after.items()
    assert {one for one in after.values() if one} == {one for one in before.values() if one} | parts_of(
        json.loads(data)
    )
    for name, one in after.items():
        assert one is None or name.startswith("drafts/") or digest_of(one) == Path(name).stem
    return True


def begun(folder: str) -> FolderStore:
    """A store that somebody works with."""
    store = FolderStore(folder)
    store.add(person("Dr. Eve").party)
    store.save_draft("begun", Draft(workflow=Workflow(name="x", objects={})), None)
    return store


@settings(TRYING, max_examples=150)
@given(agreed(), st.data())
def test_bundle_is_kept_as_a_whole_and_what_is_said_in_it_was_said(true, data):
    forger = Forger(data.draw, true)
    what, effort = data.draw(some(*LIES)), data.draw(some(*EFFORTS))
    LIES[what](forger)
    forger.make_fit(EFFORTS[0] if what == ANYWHERE else effort)
    with tempfile.TemporaryDirectory() as folder:
        store = begun(folder)
        if not is_received(store, forger.to_bytes()):
            return
        # Another request may be made of it, by whoever likes; but nobody is made to say anything.
        signed = {canonical_bytes(envelope["payload"]) for envelope in map(json.loads, forger.signed)}
        for request in store.documents(Request):
            for one in opened({"said": [json.loads(envelope.to_bytes()) for envelope in store.statements(request)]})[
                "said"
            ]:
                assert one["payload"]["party"] not in true.people or canonical_bytes(one["payload"]) in signed


@settings(TRYING, max_examples=150)
@given(graphs(), st.data())
def test_archive_is_kept_as_a_whole_and_of_documents_as_they_were(graph, data):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        source = FolderStore(other)
        for document in graph.documents.values():
            source.add(document)
        source.save_draft("Größe", Draft(workflow=graph.workflow), None)
        members = json.loads(export_draft(source, "Größe"))
        true = json.loads(canonical_bytes(members["documents"]))
        change(data.draw, members)
        if is_received(begun(folder), canonical_bytes(members)):
            # Drafts are nobody's word, and anybody may change them; a document is what its digest says.
            assert members["documents"].items() <= true.items()
