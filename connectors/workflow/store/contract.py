"""The contract of a store of workflow documents: what each store provides, and what all of them do with it.

Nothing that is read is believed: what is not what its digest says, or breaks a rule, is an error that names it.
Signatures are verified with the keys of the request's parties; whether these are who they say they are, a store cannot
know.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from connectors.errors import ConfigError
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import STATEMENTS, Decision, Revocation, Submission
from connectors.workflow.documents.model import Document
from connectors.workflow.documents.requests import Request
from connectors.workflow.store.lookup import counting, name_of, references
from connectors.workflow.store.records import (
    DraftChange,
    Record,
    check_draft_name,
    locating,
    parse_document,
    parse_statement,
)
from connectors.workflow.trust.refusals import not_submitted
from connectors.workflow.trust.verification import Bundle, status, verified

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connectors.workflow.documents.kinds import Workflow
    from connectors.workflow.trust.signing import Envelope

__all__ = ["DocumentStore"]

D = TypeVar("D", bound=Document)

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{8,64}")


class DocumentStore(ABC):
    """A store of workflow documents, of signed statements on requests, and of drafts.

    A store implements the six abstract methods, which deal in bytes and know nothing of what these mean. All other
    methods are built on them, and verify what goes in and what comes out. `connectors.testing.document_store` tests it.
    """

    # What a store provides.

    @abstractmethod
    def read_document(self, digest: str) -> bytes | None:
        """Return the bytes of a document, or None if it is not there.

        Raises:
            InvalidDocument: something that cannot be a document is in its place.
        """

    @abstractmethod
    def list_documents(self, prefix: str = "") -> list[str]:
        """Return the digests of all documents that begin with `prefix`, sorted."""

    @abstractmethod
    def read_statements(self, request: str) -> Iterable[tuple[str, bytes]]:
        """Return the digests and bytes of all statements on a request, given by its digest, sorted by digest.

        Raises:
            InvalidDocument: something that cannot be a statement is in the place of one.
        """

    @abstractmethod
    def read_draft(self, name: str) -> bytes | None:
        """Return the bytes of a draft, or None if it is not there.

        Raises:
            InvalidDocument: something that cannot be a draft is in its place.
        """

    @abstractmethod
    def list_drafts(self) -> list[str]:
        """Return the names of all drafts, sorted."""

    @abstractmethod
    def commit(self, records: Sequence[Record], drafts: Sequence[DraftChange] = ()) -> list[str]:
        """Write records that are not there yet and change drafts, and return the digests of the records that are new.

        A store with transactions does it in one. A store without takes a lock for the drafts, checks them all, writes
        the records in the given order, each whole or not at all, and changes the drafts last. In both, `check` of each
        change is called before anything is written, and no other writer comes between it and the change.

        Raises:
            InvalidDocument: other bytes are in the place of a record.
            ObjectExists, ObjectChanged: as `DraftChange.check` says; nothing is written then.
        """

    def locate(self, digest: str, request: str | None = None) -> str:
        """Return what errors call a document, or a statement on a request."""
        return f"the document {digest}" if request is None else f"the statement {digest} on the request {request}"

    def locate_draft(self, name: str) -> str:
        """Return what errors call a draft."""
        return f"the draft {name!r}"

    # Documents

    def add(self, document: Document) -> str:
        """Keep a document, and return its digest; a request is kept with its statements by `keep`.

        Raises:
            InvalidDocument: it cannot be kept, or something else stands in its place.
        """
        self.put([document])
        return document.digest

    def put(self, documents: Iterable[Document], drafts: Sequence[DraftChange] = ()) -> list[str]:
        """Keep documents and change drafts together, and return the digests of the documents that are new.

        Raises:
            InvalidDocument: a document cannot be kept, or something else stands in its place.
            ObjectExists, ObjectChanged: as `DraftChange.check` says; nothing is kept then.
        """
        return self.commit([Record.of_document(one) for one in documents], drafts)

    def get(self, digest: str) -> Document | None:
        """Return a document, or None if it is not there.

        Raises:
            InvalidDocument: it is there, but is not what it is called, or breaks a rule.
        """
        if not _DIGEST.fullmatch(digest):
            return None
        with locating(self.locate(digest)):
            data = self.read_document(digest)
            return None if data is None else parse_document(data, digest)

    def documents(self, *kinds: type[D]) -> Iterator[D]:
        """Yield all documents of some kinds, in the order of their digests.

        Raises:
            InvalidDocument: one is not what it is called, or breaks a rule.
        """
        for digest in self.list_documents():
            document = self.get(digest)
            if isinstance(document, kinds):
                yield document

    def find(self, text: str, *kinds: type[D]) -> D:
        """Return the document of some kinds with this digest, unique beginning of a digest (8 digits or more), or name.

        Raises:
            ConfigError: there is none, or more than one; the message lists these.
        """
        by_digest = self.list_documents(text) if _PREFIX.fullmatch(text) else []
        found = {one.digest: one for one in map(self.get, by_digest) if isinstance(one, kinds)}
        if not _DIGEST.fullmatch(text):
            found |= {one.digest: one for one in self.documents(*kinds) if name_of(one) == text}
        if len(found) == 1:
            return next(iter(found.values()))
        what = " or ".join(kind.kind for kind in kinds)
        if not found:
            message = f"the store has no {what} {text!r}; a digest (its first 8 digits will do) or a name is expected"
            raise ConfigError(message)
        listed = "; ".join(f"{one.digest[:12]} {self._described(one)}" for one in found.values())
        message = f"there is more than one {what} {text!r}; give the first digits of one: {listed}"
        raise ConfigError(message)

    def _described(self, document: Document) -> str:
        if isinstance(document, Request):
            return f"({document.kind}, {name_of(document)!r}, created {document.created})"
        owner = self.get(getattr(document, "owner", ""))
        of = f", of {name_of(owner)!r}" if owner is not None else ""
        return f"({document.kind}, {name_of(document)!r}{of})"

    def closure(self, document: Document) -> dict[str, Document]:
        """Return a document and all that it refers to, by digest, as far as it is here; a draft itself is left out."""
        found: dict[str, Document] = {}
        waiting = [document]
        while waiting:
            one = waiting.pop()
            if not isinstance(one, Draft):
                found[one.digest] = one
            for digest in references(one) - found.keys():
                ahead = self.get(digest)
                if ahead is not None:
                    waiting.append(ahead)
        return found

    def graph(self, workflow: Workflow) -> Graph:
        """Return a workflow with what it refers to.

        Raises:
            InvalidDocument: it does not hold together, or something is missing here.
        """
        return Graph(workflow, self.closure(workflow))

    # Requests, and the statements on them

    def keep(self, bundle: Bundle) -> list[str]:
        """Keep a request with the statements on it once all of it is verified; return the digests of what is new here.

        The request is the last record: if a store has it, the store also has its requester's signed submission.

        Raises:
            InvalidDocument, NotApproved: as `status` says, with all the request's parties trusted.
            InvalidDocument: something else stands in the place of a document.
        """
        return self.commit(_records(bundle))

    def submit(self, bundle: Bundle, name: str, was: Draft) -> None:
        """Keep a request in the place of the draft that it was made from.

        Raises:
            ObjectChanged: the draft was changed since it was read; nothing is kept.
            InvalidDocument, NotApproved: as `keep` says.
        """
        self.commit(_records(bundle), [DraftChange(name, was, None)])

    def say(self, request: Request, envelope: Envelope) -> str:
        """Keep a party's signed statement once it is verified; return the digest of the envelope.

        Raises:
            InvalidDocument, NotApproved: it is not about the request, or not by the party that it names.
        """
        verified(request, envelope, *STATEMENTS)
        record = Record.of_statement(request, envelope)
        self.commit([record])
        return record.digest

    def statements(self, request: Request) -> list[Envelope]:
        """Return all statements on a request, each verified, in the order of the envelopes' digests.

        Raises:
            InvalidDocument: one is not what it is called, or not by the party that it names.
        """
        found = []
        for digest, data in self.read_statements(request.digest):
            with locating(self.locate(digest, request.digest)):
                found.append(parse_statement(data, digest, request))
        return found

    def bundle(self, request: Request) -> Bundle:
        """Return a request with the statements that count: a submission, and of each party a decision and a revocation.

        Raises:
            InvalidDocument: as `statements` says.
            NotSubmitted: the requester's signed submission is not in this store.
        """
        statements = self.statements(request)
        submissions = counting(statements, Submission)
        if not submissions:
            raise not_submitted(request, self.locate(request.digest))
        return Bundle(request, submissions[0], counting(statements, Decision), counting(statements, Revocation))

    # Drafts

    def drafts(self) -> dict[str, Draft]:
        """Return all drafts by their names.

        Raises:
            InvalidDocument: one is no draft.
        """
        return {name: self.draft(name) for name in self.list_drafts()}

    def draft(self, name: str) -> Draft:
        """Return a draft.

        Raises:
            ConfigError: there is none of that name; the message lists those there are.
            InvalidDocument: it is no draft: two people's changes that git could not merge, for one.
        """
        found = self.find_draft(name)
        if found is None:
            known = ", ".join(map(repr, self.list_drafts())) or "none"
            message = f"there is no draft {name!r}; there are {known}"
            raise ConfigError(message)
        return found

    def find_draft(self, name: str) -> Draft | None:
        """Return a draft, or None if there is none of that name.

        Raises:
            ConfigError: a draft cannot be called that.
            InvalidDocument: it is no draft.
        """
        check_draft_name(name)
        with locating(self.locate_draft(name)):
            data = self.read_draft(name)
            return None if data is None else Draft.from_bytes(data)

    def save_draft(self, name: str, draft: Draft, was: Draft | None) -> None:
        """Write a revision of a draft.

        Args:
            name: the draft's.
            draft: the new revision.
            was: the revision that it was made from; None for a new draft.

        Raises:
            ObjectExists: it should be new, and there is one of that name.
            ObjectChanged: the draft was changed since it was read.
        """
        self.commit([], [DraftChange(name, was, draft)])

    def drop_draft(self, name: str, was: Draft) -> None:
        """Remove a draft.

        Raises:
            ObjectChanged: the draft was changed since it was read.
        """
        self.commit([], [DraftChange(name, was, None)])


def _records(bundle: Bundle) -> list[Record]:
    """Return what a store keeps of a bundle, in the order in which it is written, once all of it is verified."""
    request = bundle.request
    status(bundle, request.documents)
    return [
        *(Record.of_statement(request, one) for one in bundle.statements),
        *(Record.of_document(one) for one in (*request.parsed.values(), request)),
    ]
