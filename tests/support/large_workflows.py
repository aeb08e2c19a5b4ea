"""Workflows of any size, for tests of how work grows with it, and for the benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parties import MEASUREMENT, NOW, bundle_of, decided, person

from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    Build,
    BuildReference,
    Connected,
    DatasetDocument,
    Edge,
    End,
    Workflow,
)
from connectors.workflow.documents.requests import Request, make_request

if TYPE_CHECKING:
    from parties import Person

    from connectors.workflow.documents.model import Document
    from connectors.workflow.trust.verification import Bundle

__all__ = ["approved_by_all", "in_order", "large", "owners_of", "request_of"]

ROW = 4
"""Applications that hand on to one another; a row is connected with no other."""


def owners_of(count: int) -> list[Person]:
    """Return people who own what is in a large workflow."""
    return [person(f"Hospital {number}") for number in range(count)]


def in_order(*edges: Edge) -> tuple[Edge, ...]:
    """Return edges as a workflow has them."""
    return tuple(sorted(edges, key=lambda one: canonical_bytes(one.model_dump(exclude_none=True))))


def large(applications: int, parties: int = 50) -> tuple[Workflow, dict[str, Document], list[Person]]:
    """Return a workflow of as many applications, five datasets for each, and who owns them.

    Each application reads four datasets and writes one; rows of four hand on to the next.
    """
    people = owners_of(parties)
    documents: dict[str, Document] = {one.party.digest: one.party for one in people}
    names = list(documents)
    objects: dict[str, Connected] = {}
    edges: list[Edge] = []

    def add(document: Document) -> str:
        digest = document.digest
        documents[digest] = document
        return digest

    build = Build(platform="simulated", measurement=MEASUREMENT)
    program = Application(
        name="Anonymise", owner=names[0], image=f"registry.example/anonymise@sha256:{'cd' * 32}", builds=(build,)
    )
    reference = BuildReference(application=add(program), measurement=MEASUREMENT)
    for number in range(applications):
        app = f"app-{number:04}"
        config = AppConfigDocument(
            name=f"Anonymise the records of ward {number}",
            owner=names[number % parties],
            build=reference,
            ports=("input", "next", "output", "previous"),
            labels={"ward": str(number)},
        )
        objects[app] = Connected(app=add(config))
        for place in range(5):
            written = place == 4
            dataset = DatasetDocument(
                name=f"{'Anonymous' if written else 'Identified'} records {place} of ward {number}",
                description="Synthetic records, as the hospital keeps them, one line for each visit",
                owner=names[(number + place) % parties],
                location=f"s3://hospital-{number}/records-{place}.sealed",
                direction="output" if written else "input",
                credentials_digest=f"{number * 5 + place:064x}",
                encryption="cobblestone-256",
                labels={"ward": str(number), "year": "2026"},
            )
            name = f"records-{number:04}-{place}"
            objects[name] = Connected(dataset=add(dataset))
            here, there = End(id=app, port="output" if written else "input"), End(id=name)
            edges.append(Edge(source=here, target=there) if written else Edge(source=there, target=here))
        if number % ROW:
            before = End(id=f"app-{number - 1:04}", port="next")
            edges.append(Edge(source=before, target=End(id=app, port="previous")))
    workflow = Workflow(name="Records of many wards", objects=objects, edges=in_order(*edges))
    return workflow, documents, people


def request_of(applications: int, parties: int = 50) -> tuple[Request, list[Person]]:
    """Return a request for a large workflow, and whom it asks."""
    workflow, documents, people = large(applications, parties)
    request = make_request(workflow, documents, people[0].party, created=NOW)
    asked = set(request.approvers)
    return request, [one for one in people if one.party.digest in asked]


def approved_by_all(applications: int, parties: int = 50) -> tuple[Bundle, set[str]]:
    """Return a large workflow that all have approved, and the digests of them."""
    request, people = request_of(applications, parties)
    return bundle_of(request, *(decided(request, one) for one in people)), {one.party.digest for one in people}
