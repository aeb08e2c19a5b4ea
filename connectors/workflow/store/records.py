"""Records and draft changes: the bytes that a store keeps. Records never change; drafts have revisions.

The same rules check a record when it is written and when it is read.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.errors import ConfigError, InvalidDocument, NotApproved, ObjectChanged, ObjectExists
from connectors.names import is_safe_name
from connectors.workflow.documents.canonical import MAX_SIZE, digest_of, parse_canonical
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import STATEMENTS
from connectors.workflow.documents.requests import KINDS, Request
from connectors.workflow.trust.signing import Envelope
from connectors.workflow.trust.verification import verified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.workflow.documents.model import Document

__all__ = [
    "DraftChange",
    "Record",
    "check_draft_name",
    "is_draft_name",
    "locating",
    "parse_document",
    "parse_statement",
]

_KINDS: dict[str, type[Document]] = {**KINDS, Request.schema_name(): Request}
_DRAFT_NAME_SIZE = 100
"""Maximum size of a draft's name, in bytes; a folder store adds a suffix to make it a file name."""


@dataclass(frozen=True, slots=True)
class Record:
    """A document, or a signed statement on a request: written once, never changed.

    Attributes:
        digest: the SHA-256 of its bytes, which names it.
        data: its canonical bytes.
        request: the digest of the request that a statement is about; None for a document.
    """

    digest: str
    data: bytes
    request: str | None = None

    @classmethod
    def of_document(cls, document: Document) -> Record:
        """Return the record of a document.

        Raises:
            InvalidDocument: it is too large, of a kind that stores do not keep, or an inconsistent request.
        """
        if _KINDS.get(document.schema_name()) is not type(document):
            message = f"a {document.kind} cannot be stored as a document"
            raise InvalidDocument(message)
        if isinstance(document, Request):
            _ = document.graph
        return cls(document.digest, _checked(document.to_bytes(), document.digest))

    @classmethod
    def of_statement(cls, request: Request, envelope: Envelope) -> Record:
        """Return the record of a party's signed statement on a request, which the caller has verified.

        Raises:
            InvalidDocument: it is too large.
        """
        data = envelope.to_bytes()
        return cls(digest_of(data), _checked(data), request.digest)


@dataclass(frozen=True, slots=True)
class DraftChange:
    """A change of a draft, made only if the draft has not changed since it was read (compare-and-swap).

    Attributes:
        name: the draft's name.
        was: the revision that was read; None if there was no such draft.
        now: the revision to write; None to remove the draft.
        own: the store's own revision, kept beside a received one (see `DocumentStore.own_revision`); None if `now` is
            the store's own, or the first one that it received.

    Raises:
        ConfigError: the name is not valid.
        InvalidDocument: the revision is too large.
    """

    name: str
    was: Draft | None
    now: Draft | None
    own: Draft | None = None

    def __post_init__(self) -> None:
        check_draft_name(self.name)
        for one in (self.now, self.own):
            if one is not None:
                _checked(one.to_bytes())

    def check(self, found: bytes | None, place: str) -> None:
        """Check that the draft in the store has not changed since it was read.

        Args:
            found: the draft's bytes in the store, read under the lock or in the transaction that writes the change.
            place: the draft's name or path, for errors.

        Raises:
            ObjectExists: the draft should be new, but one of that name exists.
            ObjectChanged: somebody else has changed or removed it.
            InvalidDocument: the bytes are not a draft.
        """
        with locating(place):
            now = None if found is None else Draft.from_bytes(found)
        if self.was is None and now is not None:
            message = f"the draft {self.name!r} exists already; it was not changed"
            raise ObjectExists(message)
        if self.was is not None and (now is None or now.digest != self.was.digest):
            state = "is gone" if now is None else f"is at revision {now.revision}"
            message = (
                f"the draft {self.name!r} was at revision {self.was.revision} when it was read, but {state} now: "
                "somebody else changed it; nothing was written, so try again"
            )
            raise ObjectChanged(message)


def is_draft_name(name: str) -> bool:
    """Tell whether a draft can have this name."""
    return is_safe_name(name) and len(os.fsencode(name)) <= _DRAFT_NAME_SIZE


def check_draft_name(name: str) -> None:
    """Refuse a name that cannot name a draft in every store: drafts pass between stores.

    Raises:
        ConfigError: the name is not valid.
    """
    if not is_draft_name(name):
        message = (
            f"a draft cannot be called {name!r}: its name becomes a file's, so it has no slashes, no leading dot, "
            f"no surrounding white space, and at most {_DRAFT_NAME_SIZE} bytes"
        )
        raise ConfigError(message)


def parse_document(data: bytes, digest: str) -> Document:
    """Return the document that a store holds under a digest.

    Raises:
        InvalidDocument: the bytes have another digest, break a rule, or are of a kind that stores do not keep.
    """
    members = parse_canonical(_checked(data, digest))
    kind = _KINDS.get(str(members.get("schema")))
    if kind is None:
        message = "documents of this kind are not kept in a store"
        raise InvalidDocument(message)
    document = kind.from_members(members)
    if isinstance(document, Request):
        _ = document.graph
    return document


def parse_statement(data: bytes, digest: str, request: Request) -> Envelope:
    """Verify and return the signed statement on a request that a store holds under a digest.

    Raises:
        InvalidDocument: the bytes have another digest, or are not an envelope with a statement.
        BadSignature, InvalidStatement: as for `verified`.
    """
    envelope = Envelope.from_bytes(_checked(data, digest))
    verified(request, envelope, *STATEMENTS)
    return envelope


def _checked(data: bytes, digest: str | None = None) -> bytes:
    if len(data) > MAX_SIZE:
        message = f"a document has at most {MAX_SIZE} bytes; this one has {len(data)}"
        raise InvalidDocument(message)
    if digest is not None and digest_of(data) != digest:
        message = "its bytes have another digest than its name: it was changed, or not written completely"
        raise InvalidDocument(message)
    return data


@contextlib.contextmanager
def locating(place: str) -> Iterator[None]:
    """Add the place that something was read from to the errors about it."""
    try:
        yield
    except (InvalidDocument, NotApproved) as error:
        if not str(error).startswith(place):
            error.args = (f"{place}: {error}",)
        raise
