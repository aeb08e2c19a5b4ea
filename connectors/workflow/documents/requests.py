"""A request: a frozen workflow with all documents that it refers to, for its parties to approve.

It is self-contained: its bytes hold every document that its digest covers, so no digest in it has to be looked up
elsewhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes, digest_of
from connectors.workflow.documents.deployable import check_deployable
from connectors.workflow.documents.graph import Graph, find
from connectors.workflow.documents.kinds import AppConfigDocument, Application, DatasetDocument, Party, Workflow
from connectors.workflow.documents.model import Digest, Document, Moment, moment_of, moment_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "Request", "freeze", "make_request", "parse_documents"]

KINDS: dict[str, type[Document]] = {
    f"enclave-connectors workflow {kind.kind} 1": kind
    for kind in (Party, DatasetDocument, Application, AppConfigDocument, Workflow)
}
"""The kinds of documents in a request, by schema."""


class Request(Document):
    """A workflow that its parties are asked to approve.

    Attributes:
        workflow: the digest of the workflow.
        documents: the members of the workflow and of all documents that it refers to, by digest.
        requester: the digest of the party that makes the request.
        approvers: the digests of the parties that own something in it and so must all approve, sorted.
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
            message = "expires: it must be after the request was created"
            raise ValueError(message)
        for digest, members in self.documents.items():
            if digest_of(canonical_bytes(members)) != digest:
                message = f"documents: the document named {digest} has another digest"
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
            InvalidDocument: it is not consistent, or the request holds other documents than it refers to.
        """
        graph = Graph(find(self.parsed, self.workflow, Workflow, "the request"), self.parsed)
        unfilled = graph.unfilled()
        if unfilled:
            waiting = "; ".join(
                f"{name!r}, {place.what} from {_name_of(self.parsed, place.reserved_for)!r}"
                for name, place in unfilled.items()
            )
            message = f"the workflow has places that are not filled yet: {waiting}"
            raise InvalidDocument(message)
        needed = {self.workflow, self.requester, *graph.references()}
        if needed != set(self.documents):
            odd = ", ".join(sorted(needed ^ set(self.documents)))
            message = f"the request holds other documents than its workflow refers to: {odd}"
            raise InvalidDocument(message)
        owners = graph.owners()
        if list(self.approvers) != sorted(owners):
            odd = ", ".join(sorted(owners ^ {*self.approvers})) or "the order is wrong, or one is repeated"
            message = f"the request's approvers must be those who own something in it, sorted: {odd}"
            raise InvalidDocument(message)
        return graph

    def party(self, digest: str) -> Party:
        """Return one of its parties."""
        return find(self.parsed, digest, Party, "the request")


def parse_documents(documents: Mapping[str, dict[str, Any]]) -> dict[str, Document]:
    """Return documents from their members, by digest.

    Raises:
        InvalidDocument: one of them breaks a rule, or has another digest than the one that names it.
    """
    parsed: dict[str, Document] = {}
    for digest, members in documents.items():
        kind = KINDS.get(str(members.get("schema")))
        if kind is None:
            message = f"{digest} is not a document that a workflow can refer to"
            raise InvalidDocument(message)
        parsed[digest] = kind.from_members(members)
        if parsed[digest].digest != digest:
            message = f"the document named {digest} has another digest: {parsed[digest].digest}"
            raise InvalidDocument(message)
    return parsed


def make_request(
    workflow: Workflow,
    documents: Mapping[str, Document],
    requester: Party,
    *,
    created: datetime | None = None,
    lifetime: timedelta = timedelta(days=30),
    allow_local: bool = False,
) -> Request:
    """Freeze a workflow into a request for its parties to approve.

    Args:
        workflow: a workflow whose places are all filled.
        documents: the documents that it refers to, by digest; others are left out.
        requester: the party that makes the request.
        created: the time of the request; by default, now.
        lifetime: how long the parties have to approve.
        allow_local: accept datasets on the machine that the application runs on, for development.

    Raises:
        InvalidDocument: the workflow is not consistent, has a place that is not filled yet, connects nothing, or could
            not be deployed (see `check_deployable`).
    """
    request = freeze(workflow, documents, requester, created=created, lifetime=lifetime)
    check_deployable(request.graph, allow_local=allow_local)
    return request


def freeze(
    workflow: Workflow,
    documents: Mapping[str, Document],
    requester: Party,
    *,
    created: datetime | None = None,
    lifetime: timedelta = timedelta(days=30),
) -> Request:
    """Freeze any consistent workflow, as `make_request` does, without asking whether it could be deployed.

    Requests of other versions may hold such workflows; they can still be read.

    Raises:
        InvalidDocument: the workflow is not consistent, or has a place that is not filled yet.
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
