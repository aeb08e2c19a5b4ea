"""Pass a request with its statements, or documents and drafts, from one store to another in one file.

A received file is verified completely before any of it is kept, and receiving it twice changes nothing. Documents that
are not part of a request are passed in an *archive*, with all documents that they refer to::

    {"schema": "enclave-connectors workflow parcel 1", "documents": {digest: document}, "drafts": {name: draft}}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.errors import InvalidDocument, ObjectChanged
from connectors.workflow.documents.canonical import canonical_bytes, parse_canonical
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import Party
from connectors.workflow.documents.requests import KINDS, parse_documents
from connectors.workflow.store.records import DraftChange, is_draft_name
from connectors.workflow.trust.public_keys import check_party
from connectors.workflow.trust.verification import Bundle

if TYPE_CHECKING:
    from connectors.workflow.documents.model import Document
    from connectors.workflow.documents.requests import Request
    from connectors.workflow.store.contract import DocumentStore

__all__ = ["Passed", "export_documents", "export_draft", "export_request", "receive"]

_ARCHIVE = "enclave-connectors workflow parcel 1"


@dataclass
class Passed:
    """The contents of a received file, and which of them are new here.

    Attributes:
        documents: its documents by digest.
        bundle: the request and the statements on it, if the file is a bundle.
        drafts: its drafts by name.
        added: the digests of the documents and envelopes that are new here.
        drafts_changed: the names of the drafts that are new here, or newer than the revision that was here.
        drafts_dropped: the names of the drafts that were removed, because the request is their workflow.
    """

    documents: dict[str, Document] = field(default_factory=dict)
    bundle: Bundle | None = None
    drafts: dict[str, Draft] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    drafts_changed: list[str] = field(default_factory=list)
    drafts_dropped: list[str] = field(default_factory=list)


def export_request(store: DocumentStore, request: Request) -> bytes:
    """Return a bundle: a request with the statements on it."""
    return store.bundle(request).to_bytes()


def export_documents(store: DocumentStore, *documents: Document) -> bytes:
    """Return an archive of documents, with all that they refer to."""
    return _archive(store, documents, {})


def export_draft(store: DocumentStore, name: str) -> bytes:
    """Return an archive of a draft, with all that it refers to."""
    draft = store.draft(name)
    return _archive(store, (draft,), {name: draft})


def _archive(store: DocumentStore, documents: tuple[Document, ...], drafts: dict[str, Draft]) -> bytes:
    everything: dict[str, Document] = {}
    for document in documents:
        everything |= store.closure(document)
    return canonical_bytes(
        {
            "schema": _ARCHIVE,
            "documents": {digest: document.members() for digest, document in everything.items()},
            "drafts": {name: draft.members() for name, draft in drafts.items()},
        }
    )


def receive(store: DocumentStore, data: bytes) -> Passed:
    """Keep the contents of a file: a bundle, an archive, or a single document.

    Raises:
        InvalidDocument: it is none of these, or something in it breaks a rule.
        WeakKey: others could sign with a key of a party in it.
        BadSignature, InvalidStatement: a statement in a bundle is not by the party that it names.
        ObjectChanged: a draft in it and the one of that name here have diverged.
    """
    passed = _parse(data)
    for document in passed.documents.values():
        if isinstance(document, Party):
            check_party(document)
    if passed.bundle is not None:
        passed.added = store.keep(passed.bundle)
        passed.drafts_dropped = _drop_submitted(store, passed.bundle.request)
        return passed
    found = (_change(store, name, draft) for name, draft in passed.drafts.items())
    changes = [change for change in found if change is not None]
    passed.added = store.put(passed.documents.values(), changes)
    passed.drafts_changed = [change.name for change in changes]
    return passed


def _drop_submitted(store: DocumentStore, request: Request) -> list[str]:
    """Remove the drafts that somebody else has submitted, and return their names."""
    dropped = {name: draft for name, draft in store.drafts().items() if draft.workflow.digest == request.workflow}
    for name, draft in dropped.items():
        store.drop_draft(name, draft)
    return [*dropped]


def _parse(data: bytes) -> Passed:
    members = parse_canonical(data)
    schema = str(members.get("schema"))
    if schema == _ARCHIVE:
        return _parse_archive(members)
    if schema in KINDS:
        document = KINDS[schema].from_members(members)
        return Passed({document.digest: document})
    if "request" not in members or "decisions" not in members:
        message = "this is not a bundle, an archive or a document of a workflow"
        raise InvalidDocument(message)
    bundle = Bundle.from_bytes(data)
    return Passed({**bundle.request.parsed, bundle.request.digest: bundle.request}, bundle)


def _parse_archive(members: dict[str, Any]) -> Passed:
    documents, drafts = members.get("documents"), members.get("drafts")
    if set(members) != {"schema", "documents", "drafts"} or not (_holds_objects(documents) and _holds_objects(drafts)):
        message = "the archive must have the members schema, documents and drafts, the latter two mappings of documents"
        raise InvalidDocument(message)
    for name in drafts or {}:
        if not is_draft_name(name):
            message = f"the archive holds a draft named {name!r}, which is not a valid name"
            raise InvalidDocument(message)
    passed = Passed(
        parse_documents(documents or {}),
        drafts={name: Draft.from_members(one) for name, one in (drafts or {}).items()},
    )
    for draft in passed.drafts.values():
        _ = Graph(draft.workflow, passed.documents).reach()  # else it could be neither shown nor changed here
    return passed


def _holds_objects(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, dict) for one in value.values())


def _change(store: DocumentStore, name: str, draft: Draft) -> DraftChange | None:
    """Return the change that puts a draft into the store, or None if that revision or a later one is there.

    Raises:
        ObjectChanged: the two have diverged.
    """
    was = store.find_draft(name)
    if was is None:
        return DraftChange(name, None, draft)
    if draft.continues(was):
        return DraftChange(name, was, draft, own=store.own_revision(name) or was)
    if was.digest == draft.digest or was.continues(draft):
        return None
    message = (
        f"the draft {name!r} was changed both here (revision {was.revision}) and in the file (revision "
        f"{draft.revision}); nothing was kept. Make the changes of one of them in the other"
    )
    raise ObjectChanged(message)
