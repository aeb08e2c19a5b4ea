"""A request: a workflow and all that it refers to, frozen, as the parties are asked to approve it.

It is self-contained: whoever has the bytes of a request has everything that its digest stands for, and needs nobody to
tell what a name means.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes, digest_of
from connectors.workflow.documents.graph import Graph, find
from connectors.workflow.documents.kinds import AppConfigDocument, Application, DatasetDocument, Party, Workflow
from connectors.workflow.documents.model import Digest, Document, Moment, moment_of, moment_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "Request", "make_request", "parse_documents"]

KINDS: dict[str, type[Document]] = {
    f"enclave-connectors workflow {kind.kind} 1": kind
    for kind in (Party, DatasetDocument, Application, AppConfigDocument, Workflow)
}
"""What a request holds, by the schema."""


class Request(Document):
    """A workflow that its parties are asked to approve.

    Attributes:
        workflow: the digest of the workflow.
        documents: the members of everything it refers to, itself among them, by digest.
        requester: the party that asks.
        approvers: the parties that all have to approve: those that own something in it. Sorted.
    """

    kind = "request"

    workflow: Digest
    documents: dict[Digest, dict[str, Any]]
    requester: Digest
    created: Moment
    expires: Moment
    approvers: Annotated[tuple[Digest, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if moment_of(self.expires) <= moment_of(self.created):
            message = "expires: it is not after the request was created"
            raise ValueError(message)
        for digest, members in self.documents.items():
            if digest_of(canonical_bytes(members)) != digest:
                message = f"documents: what is called {digest} has another digest"
                raise ValueError(message)
        return self

    @cached_property
    def parsed(self) -> dict[str, Document]:
        """The documents, by digest.

        Raises:
            InvalidDocument: one of them breaks a rule.
        """
        return parse_documents(self.documents)

    @cached_property
    def graph(self) -> Graph:
        """The workflow with its documents.

        Raises:
            InvalidDocument: it does not hold together, or the request holds more or less than it refers to.
        """
        graph = Graph(find(self.parsed, self.workflow, Workflow, "the request"), self.parsed)
        unfilled = graph.unfilled()
        if unfilled:
            waiting = "; ".join(
                f"{name!r} is {place.what} that {_name_of(self.parsed, place.reserved_for)} has not given yet"
                for name, place in unfilled.items()
            )
            message = f"places in the workflow are still to be filled: {waiting}"
            raise InvalidDocument(message)
        needed = {self.workflow, self.requester, *graph.references()}
        if needed != set(self.documents):
            odd = ", ".join(sorted(needed ^ set(self.documents)))
            message = f"the request holds other documents than its workflow refers to: {odd}"
            raise InvalidDocument(message)
        owners = graph.owners()
        if list(self.approvers) != sorted(owners):
            odd = ", ".join(sorted(owners ^ {*self.approvers})) or "they are the right ones in another order"
            message = (
                f"the request's approvers are not those who own something in its workflow, each once and sorted: {odd}"
            )
            raise InvalidDocument(message)
        return graph

    def party(self, digest: str) -> Party:
        """Return one of its parties."""
        return find(self.parsed, digest, Party, "the request")


def parse_documents(documents: Mapping[str, dict[str, Any]]) -> dict[str, Document]:
    """Return documents from their members, by digest.

    Raises:
        InvalidDocument: one of them breaks a rule, or has another digest than it is called by.
    """
    parsed: dict[str, Document] = {}
    for digest, members in documents.items():
        kind = KINDS.get(str(members.get("schema")))
        if kind is None:
            message = f"{digest} is no document that a workflow refers to"
            raise InvalidDocument(message)
        parsed[digest] = kind.from_members(members)
        if parsed[digest].digest != digest:
            message = f"what is called {digest} has another digest: {parsed[digest].digest}"
            raise InvalidDocument(message)
    return parsed


def make_request(
    workflow: Workflow,
    documents: Mapping[str, Document],
    requester: Party,
    *,
    created: datetime | None = None,
    lifetime: timedelta = timedelta(days=30),
) -> Request:
    """Freeze a workflow into a request.

    Args:
        workflow: a draft, with all its places filled.
        documents: what it refers to, by digest; others may be among them, and are left out.
        requester: who asks.
        created: when; now, if not given.
        lifetime: how long the parties have to approve.

    Raises:
        InvalidDocument: the workflow does not hold together, or has a place that is still to be filled.
    """
    graph = Graph(workflow, documents)
    everything = {**documents, workflow.digest: workflow, requester.digest: requester}
    needed = {workflow.digest, requester.digest, *graph.references()}
    asked = (created or datetime.now(UTC)).replace(microsecond=0)
    request = Request(
        workflow=workflow.digest,
        documents={digest: everything[digest].members() for digest in sorted(needed)},
        requester=requester.digest,
        created=moment_text(asked),
        expires=moment_text(asked + lifetime),
        approvers=tuple(sorted(graph.owners())),
    )
    _ = request.graph
    return request


def _name_of(documents: Mapping[str, Document], digest: str) -> str:
    return find(documents, digest, Party, "the workflow").name
