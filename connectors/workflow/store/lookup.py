"""What documents are called, what they refer to, and which of a party's statements counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    DatasetDocument,
    Decision,
    Placeholder,
    Workflow,
)
from connectors.workflow.documents.requests import Request
from connectors.workflow.trust.signing import payload_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.workflow.documents.kinds import Statement
    from connectors.workflow.documents.model import Document
    from connectors.workflow.trust.signing import Envelope

__all__ = ["counting", "name_of", "references"]


def name_of(document: Document) -> str:
    """Return the name that people gave a document; for a request, its workflow's."""
    if isinstance(document, Request):
        return name_of(document.parsed[document.workflow])
    return str(getattr(document, "name", document.digest))


def references(document: Document) -> set[str]:
    """Return the digests of the documents that one needs to be understood; a request contains its own."""
    match document:
        case DatasetDocument() | Application():
            return {document.owner}
        case AppConfigDocument():
            return {document.owner, document.build.application}
        case Workflow():
            found = set()
            for one in document.objects.values():
                found.add(one.reserved_for if isinstance(one, Placeholder) else one.dataset or one.app or "")
            return found
        case Draft():
            return references(document.workflow)
        case _:
            return set()


def counting(statements: Iterable[Envelope], kind: type[Statement]) -> tuple[Envelope, ...]:
    """Return the statements of a kind that count, one of each party, in the order of the parties' digests.

    If a party has made several, on two machines perhaps, a decline counts before an approval, and the earlier one
    before the later. So the order in which copies of a store are merged does not matter.
    """
    ordered = []
    for envelope in statements:
        if envelope.payload_type == payload_type(kind):
            one = envelope.document(kind)
            approves = isinstance(one, Decision) and one.verdict == "approve"
            ordered.append((approves, one.when, envelope.to_bytes(), one.party, envelope))
    found: dict[str, Envelope] = {}
    for *_, party, envelope in sorted(ordered, key=lambda entry: entry[:3]):
        found.setdefault(party, envelope)
    return tuple(found[party] for party in sorted(found))
