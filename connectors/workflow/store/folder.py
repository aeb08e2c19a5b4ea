"""A folder of documents, called by their digests: safe for many writers, for git, and for anybody's hands.

::

    documents/1f/1f0c….json      a document, in its canonical bytes
    said/<request>/9a41….json    a signed submission, decision or revocation, called by the digest of its envelope
    drafts/<name>.json           a workflow that is still being put together

All but drafts are written once and never changed, so two copies of the folder are merged by taking the files of both.
Nothing that is read is believed: a file that is not what its name says, or breaks a rule, is an error that names it.
Signatures are held against the parties of the request; whether these are who they say they are, the store cannot know.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, TypeVar

from connectors.errors import ConfigError, InvalidDocument, NotApproved, ObjectChanged, ObjectExists
from connectors.names import is_name
from connectors.workflow.documents.canonical import digest_of, parse_canonical
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import (
    STATEMENTS,
    AppConfigDocument,
    Application,
    DatasetDocument,
    Decision,
    Placeholder,
    Revocation,
    Statement,
    Submission,
    Workflow,
)
from connectors.workflow.documents.model import Document
from connectors.workflow.documents.requests import KINDS, Request
from connectors.workflow.files import locked, read, replace, write_once
from connectors.workflow.trust.refusals import not_submitted
from connectors.workflow.trust.signing import Envelope, payload_type
from connectors.workflow.trust.verification import Bundle, status, verified

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Store", "is_draft_name", "name_of", "references"]

D = TypeVar("D", bound=Document)

_KINDS: dict[str, type[Document]] = {**KINDS, Request.schema_name(): Request}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{8,64}")
_FILE = re.compile(r"([0-9a-f]{64})\.json")
_DRAFT_SIZE = 100
"""Bytes that a draft's name may have: with what is put around it, it is a file's."""


def is_draft_name(name: str) -> bool:
    """Tell whether a draft can be called that."""
    return is_name(name) and len(os.fsencode(name)) <= _DRAFT_SIZE


def name_of(document: Document) -> str:
    """Return what people call a document; of a request, what they call its workflow."""
    if isinstance(document, Request):
        return name_of(document.parsed[document.workflow])
    return str(getattr(document, "name", document.digest))


def references(document: Document) -> set[str]:
    """Return the digests of the documents that one needs to be understood; a request holds its own."""
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


class Store:
    """A folder of documents.

    Args:
        folder: its path; it need not be there yet.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    # Documents

    def add(self, document: Document) -> str:
        """Keep a document, and return its digest; a request is kept with what was said to it, see `keep`.

        Raises:
            InvalidDocument: something else stands in its place.
        """
        digest = document.digest
        self._write(self._path(digest), document.to_bytes())
        return digest

    def _write(self, path: str, data: bytes) -> bool:
        """Write a file unless it is there, and tell whether it is new."""
        new = write_once(path, data)
        if not new and read(path) != data:
            message = f"{path} is not what its name says: it was changed, or not written whole; move it away"
            raise InvalidDocument(message)
        return new

    def get(self, digest: str) -> Document | None:
        """Return a document, or None if it is not there.

        Raises:
            InvalidDocument: it is there, but is not what it is called, or breaks a rule.
        """
        if not _DIGEST.fullmatch(digest):
            return None
        path = self._path(digest)
        with _naming(path):
            data = read(path)
            if data is None:
                return None
            _check_digest(data, digest)
            members = parse_canonical(data)
            kind = _KINDS.get(str(members.get("schema")))
            if kind is None:
                message = "no such document is kept here"
                raise InvalidDocument(message)
            document = kind.from_members(members)
            if isinstance(document, Request):
                _ = document.graph
        return document

    def documents(self, *kinds: type[D]) -> Iterator[D]:
        """Yield all documents of some kinds, in the order of their digests.

        Raises:
            InvalidDocument: a file is not what it is called, or breaks a rule.
        """
        for digest in self._digests():
            document = self.get(digest)
            if isinstance(document, kinds):
                yield document

    def find(self, text: str, *kinds: type[D]) -> D:
        """Return the document of some kinds with this digest, unique beginning of a digest (8 digits or more), or name.

        Raises:
            ConfigError: there is none, or more than one; the message lists these.
        """
        by_digest = [digest for digest in self._digests() if digest.startswith(text)] if _PREFIX.fullmatch(text) else []
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

    def _path(self, digest: str) -> str:
        return os.path.join(self.folder, "documents", digest[:2], f"{digest}.json")

    def _digests(self) -> list[str]:
        root = os.path.join(self.folder, "documents")
        return sorted(digest for part in _listed(root) for digest in _digests_in(os.path.join(root, part)))

    # Requests, and what was said to them

    def keep(self, bundle: Bundle) -> list[str]:
        """Keep a request with what was said to it, once all of it is verified; return the digests of what is new here.

        The request is written last: wherever one lies, who asks has signed it, and that lies there too.

        Raises:
            InvalidDocument, NotApproved: as `status` says, whoever is trusted.
            InvalidDocument: something else stands in the place of a document.
        """
        request = bundle.request
        status(bundle, request.documents)
        files: list[tuple[str, Envelope | Document]] = [
            *((self._statement_path(request, one.digest), one) for one in bundle.statements),
            *((self._path(one.digest), one) for one in (*request.parsed.values(), request)),
        ]
        return [one.digest for path, one in files if self._write(path, one.to_bytes())]

    def submit(self, bundle: Bundle, name: str, was: Draft) -> None:
        """Keep a request in the place of the draft that it was made from.

        Raises:
            ObjectChanged: the draft is not any more what it was; nothing is kept.
            InvalidDocument, NotApproved: as `keep` says.
        """
        with locked(self._drafts):
            self._expect(name, was)
            self.keep(bundle)
            os.unlink(self._draft_path(name))

    def say(self, request: Request, envelope: Envelope) -> str:
        """Keep what a party has signed, once that is verified; return the digest of the envelope.

        Raises:
            InvalidDocument, NotApproved: it is not about the request, or not by who is named in it.
        """
        verified(request, envelope, *STATEMENTS)
        self._write(self._statement_path(request, envelope.digest), envelope.to_bytes())
        return envelope.digest

    def statements(self, request: Request) -> list[Envelope]:
        """Return all that was said to a request, each verified, in the order of the envelopes' digests.

        Raises:
            InvalidDocument: a file is not what it is called, or breaks a rule.
            BadSignature, InvalidStatement: as for `verified`; the message names the file.
        """
        found = []
        for digest in _digests_in(os.path.join(self.folder, "said", request.digest)):
            path = self._statement_path(request, digest)
            with _naming(path):
                data = read(path)
                if data is not None:
                    _check_digest(data, digest)
                    envelope = Envelope.from_bytes(data)
                    verified(request, envelope, *STATEMENTS)
                    found.append(envelope)
        return found

    def bundle(self, request: Request) -> Bundle:
        """Return a request with what was said to it: one submission, and of each party one decision and one revocation.

        Of somebody who has said more, on two machines perhaps, a decline counts before an approval, and the earlier one
        before the later. So it does not matter in which order copies of the store are merged.

        Raises:
            InvalidDocument, BadSignature, InvalidStatement: as `statements` says.
            NotSubmitted: the requester has not signed the request, as far as is known here.
        """
        statements = self.statements(request)
        submissions = _first(statements, Submission)
        if not submissions:
            raise not_submitted(request, self._path(request.digest))
        return Bundle(request, submissions[0], _first(statements, Decision), _first(statements, Revocation))

    def _statement_path(self, request: Request, digest: str) -> str:
        return os.path.join(self.folder, "said", request.digest, f"{digest}.json")

    # Drafts

    def drafts(self) -> dict[str, Draft]:
        """Return all drafts by their names.

        Raises:
            InvalidDocument: a file is no draft.
        """
        names = [name.removesuffix(".json") for name in _listed(self._drafts) if name.endswith(".json")]
        return {name: self.draft(name) for name in names}

    def draft(self, name: str) -> Draft:
        """Return a draft.

        Raises:
            ConfigError: there is none of that name; the message lists those there are.
            InvalidDocument: the file is no draft: two people's changes that git could not merge, for one.
        """
        found = self.find_draft(name)
        if found is None:
            known = ", ".join(repr(other.removesuffix(".json")) for other in _listed(self._drafts)) or "none"
            message = f"there is no draft {name!r}; there are {known}"
            raise ConfigError(message)
        return found

    def save_draft(self, name: str, draft: Draft, was: Draft | None) -> None:
        """Write a revision of a draft.

        Args:
            name: the draft's.
            draft: what it is to be.
            was: the revision that it was made from; None for a new one.

        Raises:
            ObjectExists: it is to be new, and there is one of that name.
            ObjectChanged: it is not any more what the revision was made from.
        """
        with locked(self._drafts):
            self._expect(name, was)
            replace(self._draft_path(name), draft.to_bytes())

    def drop_draft(self, name: str, was: Draft) -> None:
        """Remove a draft.

        Raises:
            ObjectChanged: it is not any more what it was.
        """
        with locked(self._drafts):
            self._expect(name, was)
            os.unlink(self._draft_path(name))

    def _expect(self, name: str, was: Draft | None) -> None:
        now = self.find_draft(name)
        if was is None and now is not None:
            message = f"there is a draft {name!r} already; it stays as it is"
            raise ObjectExists(message)
        if was is not None and (now is None or now.digest != was.digest):
            state = "is gone" if now is None else f"is at revision {now.revision}"
            message = (
                f"the draft {name!r} was at revision {was.revision} when it was read, and {state} now: somebody else "
                "has changed it; nothing was written, so try again"
            )
            raise ObjectChanged(message)

    def find_draft(self, name: str) -> Draft | None:
        """Return a draft, or None if there is none of that name.

        Raises:
            InvalidDocument: the file is no draft.
        """
        path = self._draft_path(name)
        with _naming(path):
            data = read(path)
            return None if data is None else Draft.from_bytes(data)

    @property
    def _drafts(self) -> str:
        return os.path.join(self.folder, "drafts")

    def _draft_path(self, name: str) -> str:
        if not is_draft_name(name):
            message = (
                f"a draft cannot be called {name!r}: its name becomes a file's, so it has no slashes, no dot in front, "
                f"no space around it, and at most {_DRAFT_SIZE} bytes"
            )
            raise ConfigError(message)
        return os.path.join(self._drafts, f"{name}.json")


def _listed(folder: str) -> list[str]:
    """Return the names in a folder, sorted; none if it is not there. What begins with a dot is somebody else's."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _digests_in(folder: str) -> list[str]:
    return [found[1] for found in map(_FILE.fullmatch, _listed(folder)) if found]


def _check_digest(data: bytes, digest: str) -> None:
    if digest_of(data) != digest:
        message = "its bytes have another digest than its name says: it was changed, or not written whole"
        raise InvalidDocument(message)


def _first(statements: list[Envelope], kind: type[Statement]) -> tuple[Envelope, ...]:
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


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Name the file in what is wrong with it."""
    try:
        yield
    except (InvalidDocument, NotApproved) as error:
        if not str(error).startswith(path):
            error.args = (f"{path}: {error}",)
        raise
