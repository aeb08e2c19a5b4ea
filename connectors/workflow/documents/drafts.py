"""Drafts: workflows that can still be changed. Each change makes a new revision, which lists all earlier ones.

People pass a draft around to fill it. Because a revision lists all earlier ones, two copies can be compared: either
one continues the other, or they have diverged, and then neither silently replaces the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Connected,
    DatasetDocument,
    Edge,
    End,
    Placeholder,
    Workflow,
)
from connectors.workflow.documents.model import Digest, Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.workflow.documents.kinds import Party

__all__ = ["Draft", "end_of"]


class Draft(Document):
    """A workflow that can still be changed.

    Attributes:
        workflow: the workflow in its current state.
        history: the digests of all earlier revisions, the first one first.
    """

    kind = "draft"

    workflow: Workflow
    history: tuple[Digest, ...] = ()

    @property
    def revision(self) -> int:
        """The number of this revision, from 1."""
        return len(self.history) + 1

    def continues(self, other: Draft) -> bool:
        """Tell whether this is a later revision of the other draft."""
        return other.digest in self.history

    def with_object(self, name: str, document: DatasetDocument | AppConfigDocument) -> Draft:
        """Return the next revision, with another object or a filled place.

        Raises:
            InvalidDocument: the object exists already, or is a place for something else or for another party.
        """
        there = self.workflow.objects.get(name)
        if isinstance(there, Connected):
            message = f"the draft has an object {name!r} already; remove it first"
            raise InvalidDocument(message)
        wanted = "dataset" if isinstance(document, DatasetDocument) else "app"
        if isinstance(there, Placeholder):
            if there.wanted != wanted:
                message = f"the place {name!r} is for {there.what}, which {document.name!r} is not"
                raise InvalidDocument(message)
            if there.reserved_for != document.owner:
                message = f"the place {name!r} is reserved for another party than the owner of {document.name!r}"
                raise InvalidDocument(message)
        return self._next(objects={**self.workflow.objects, name: Connected.model_validate({wanted: document.digest})})

    def with_place(self, name: str, party: Party, wanted: str, purpose: str | None = None) -> Draft:
        """Return the next revision, with a place for a party to fill.

        Raises:
            InvalidDocument: the object exists already.
        """
        if name in self.workflow.objects:
            message = f"the draft has an object {name!r} already; remove it first"
            raise InvalidDocument(message)
        place = {"reserved_for": party.digest, "wanted": wanted, "purpose": purpose}
        return self._next(objects={**self.workflow.objects, name: place})

    def without_object(self, name: str) -> Draft:
        """Return the next revision, without an object and its connections.

        Raises:
            InvalidDocument: there is no such object.
        """
        self._require(name)
        rest = {other: one for other, one in self.workflow.objects.items() if other != name}
        edges = [edge for edge in self.workflow.edges if name not in (edge.source.id, edge.target.id)]
        return self._next(objects=rest, edges=edges)

    def with_edge(self, edge: Edge) -> Draft:
        """Return the next revision, with another connection.

        Raises:
            InvalidDocument: the connection exists already, or the object at one of its ends does not.
        """
        self._require(edge.source.id, edge.target.id)
        if edge in self.workflow.edges:
            message = "the draft has this connection already"
            raise InvalidDocument(message)
        return self._next(edges=[*self.workflow.edges, edge])

    def without_edge(self, edge: Edge) -> Draft:
        """Return the next revision, without a connection.

        Raises:
            InvalidDocument: there is no such connection.
        """
        if edge not in self.workflow.edges:
            message = "the draft has no such connection; `connectors workflow show` lists them"
            raise InvalidDocument(message)
        return self._next(edges=[other for other in self.workflow.edges if other != edge])

    def _require(self, *names: str) -> None:
        for name in names:
            if name not in self.workflow.objects:
                known = ", ".join(sorted(self.workflow.objects)) or "none"
                message = f"the draft has no object {name!r}; it has {known}"
                raise InvalidDocument(message)

    def _next(self, *, edges: Iterable[Edge] | None = None, objects: Mapping[str, Any] | None = None) -> Draft:
        members = {name: getattr(self.workflow, name) for name in Workflow.model_fields}
        if objects is not None:
            members["objects"] = dict(objects)
        if edges is not None:
            members["edges"] = tuple(sorted(edges, key=_order))
        return Draft(workflow=Workflow.make(**members), history=(*self.history, self.digest))


def end_of(text: str, objects: Iterable[str]) -> End:
    """Parse one end of a connection, ``OBJECT`` or ``OBJECT:PORT``; an object's name may itself contain colons."""
    name, separator, port = text.rpartition(":")
    if text in objects or not separator:
        name, port = text, ""
    problem = None
    try:
        return End(id=name, port=port or None)
    except ValueError:
        problem = f"{text!r} is not the end of a connection; write OBJECT or OBJECT:PORT"
    raise InvalidDocument(problem)


def _order(edge: Edge) -> bytes:
    return canonical_bytes(edge.model_dump(exclude_none=True))
