"""The contract of a store of workflow documents: what each store implements, and what is built on that.

Nothing that is read is trusted: a document with another digest than its name, or that breaks a rule, is an error that
names it. Signatures are verified with the keys in the request; whether its parties are trusted is not a store's
concern.
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
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from connectors.workflow.documents.kinds import Workflow
    from connectors.workflow.trust.signing import Envelope

__all__ = ["DocumentStore"]

D = TypeVar("D", bound=Document)

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{8,64}")


class DocumentStore(ABC):
    """A store of workflow documents, of signed statements on requests, and of drafts.

    A store implements the seven abstract methods, which handle only bytes. All other methods are built on them, and
    verify what is written and what is read. `connectors.testing.document_store` tests it.
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
    def read_own_revision(self, name: str) -> bytes | None:
        """Return the bytes of the revision in `DraftChange.own` of the last change of a draft, or None if it had none.

        Raises:
            InvalidDocument: something that cannot be a draft is in its place.
        """

    @abstractmethod
    def list_drafts(self) -> list[str]:
        """Return the names of all drafts, sorted."""

    @abstractmethod
    def commit(self, records: Sequence[Record], drafts: Sequence[DraftChange] = ()) -> list[str]:
        """Write records that are not there yet and change drafts; return the digests of the new records.

        Each change replaces the draft's own revision, too; one without an own revision removes it.

        A store with transactions does this in one. A store without them takes a lock for the drafts, checks them all,
        writes the records in the given order, each atomically, and changes the drafts last. Both call `check` of each
        change before they write anything, and let no other writer come between the check and the change.

        Raises:
            InvalidDocument: a record exists with other bytes.
            ObjectExists, ObjectChanged: as for `DraftChange.check`; nothing is written.
        """

    def locate(self, digest: str, request: str | None = None) -> str:
        """Return the name of a document, or of a statement on a request, for errors."""
        return f"the document {digest}" if request is None else f"the statement {digest} on the request {request}"

    def locate_draft(self, name: str) -> str:
        """Return the name of a draft, for errors."""
        return f"the draft {name!r}"

    def locate_own_revision(self, name: str) -> str:
        """Return the name of a draft's own revision, for errors."""
        return f"the own revision of the draft {name!r}"

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
            InvalidDocument: it has another digest than its name, or breaks a rule.
        """
        if not _DIGEST.fullmatch(digest):
            return None
        with locating(self.locate(digest)):
            data = self.read_document(digest)
            return None if data is None else parse_document(data, digest)

    def documents(self, *kinds: type[D]) -> Iterator[D]:
        """Yield all documents of some kinds, in the order of their digests.

        Raises:
            InvalidDocument: one has another digest than its name, or breaks a rule.
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
        """Return a document and all stored documents that it refers to, by digest; a draft itself is left out."""
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
            InvalidDocument: it is not consistent, or a document is missing here.
        """
        return Graph(workflow, self.closure(workflow))

    # Requests, and the statements on them

    def keep(self, bundle: Bundle) -> list[str]:
        """Verify and keep a request with the statements on it; return the digests of what is new here.

        The request is the last record: if a store has it, the store also has its requester's signed submission.

        Raises:
            InvalidDocument, NotApproved: as `status` says, with all the request's parties trusted.
            InvalidDocument: something else stands in the place of a document.
        """
        return self.commit(_records(bundle))

    def submit(self, bundle: Bundle, name: str, was: Draft) -> None:
        """Keep a request in place of the draft that it was made from.

        Raises:
            ObjectChanged: the draft was changed since it was read; nothing is kept.
            InvalidDocument, NotApproved: as `keep` says.
        """
        self.commit(_records(bundle), [DraftChange(name, was, None)])

    def say(self, request: Request, envelope: Envelope) -> str:
        """Verify and keep a party's signed statement; return the digest of the envelope.

        Raises:
            InvalidDocument, NotApproved: it is not about the request, or not by the party that it names.
        """
        verified(request, envelope, *STATEMENTS)
        record = Record.of_statement(request, envelope)
        self.commit([record])
        return record.digest

    def statements(self, request: Request) -> list[Envelope]:
        """Verify and return all statements on a request, in the order of the envelopes' digests.

        Raises:
            InvalidDocument: one has another digest than its name, or is not by the party that it names.
        """
        found = []
        for digest, data in self.read_statements(request.digest):
            with locating(self.locate(digest, request.digest)):
                found.append(parse_statement(data, digest, request))
        return found

    def bundle(self, request: Request) -> Bundle:
        """Return a request with the statements that count: the submission, and a decision and revocation of each party.

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
            InvalidDocument: one is not a draft.
        """
        return {name: self.draft(name) for name in self.list_drafts()}

    def draft(self, name: str) -> Draft:
        """Return a draft.

        Raises:
            ConfigError: there is none of that name; the message lists those there are.
            InvalidDocument: it is not a draft, for example because git left a merge conflict in it.
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
            ConfigError: the name is not valid.
            InvalidDocument: it is not a draft.
        """
        check_draft_name(name)
        return _draft(self.read_draft, name, self.locate_draft(name))

    def own_revision(self, name: str) -> Draft | None:
        """Return the revision of a draft to which people compare a received one, or None if the draft is not newer.

        It is the last revision that was made in this store or, if none was, the first that the store received.

        Raises:
            ConfigError: the name is not valid.
            InvalidDocument: it is not a draft.
        """
        check_draft_name(name)
        return _draft(self.read_own_revision, name, self.locate_own_revision(name))

    def save_draft(self, name: str, draft: Draft, was: Draft | None) -> None:
        """Write a revision of a draft that was made in this store.

        Args:
            name: the draft's name.
            draft: the new revision.
            was: the revision that it was made from; None for a new draft.

        Raises:
            ObjectExists: it should be new, but one of that name exists.
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
    """Verify a bundle, and return its records in the order in which they are written."""
    request = bundle.request
    status(bundle, request.documents)
    return [
        *(Record.of_statement(request, one) for one in bundle.statements),
        *(Record.of_document(one) for one in (*request.parsed.values(), request)),
    ]


def _draft(read: Callable[[str], bytes | None], name: str, place: str) -> Draft | None:
    with locating(place):
        data = read(name)
        return None if data is None else Draft.from_bytes(data)
