"""Three parties, what they own and what they sign, for tests of stores of workflow documents."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # it has no __all__

from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    Build,
    BuildReference,
    Connected,
    DatasetDocument,
    Decision,
    Edge,
    End,
    Party,
    Revocation,
    Submission,
    Workflow,
)
from connectors.workflow.documents.model import Document, moment_text
from connectors.workflow.documents.requests import Request, make_request
from connectors.workflow.trust.signing import Envelope, public_key_of, sign
from connectors.workflow.trust.verification import Bundle

if TYPE_CHECKING:
    from securesystemslib.signer import Signer  # type: ignore[attr-defined]

__all__ = [
    "MEASUREMENT",
    "NOW",
    "Person",
    "Story",
    "approved",
    "bundle_of",
    "decided",
    "edge",
    "person",
    "requested",
    "revoked",
    "story",
    "submitted",
]

MEASUREMENT = "ab" * 32
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Person:
    """A party with its key."""

    party: Party
    signer: Signer


@functools.cache
def person(name: str) -> Person:
    """Return a party whose key is derived from its name, so that digests are the same in every run."""
    signer = CryptoSigner(Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest()))
    contact = f"{name.split(maxsplit=1)[0].lower()}@example.org"
    return Person(Party(name=name, contact=contact, keys=(public_key_of(signer),)), signer)


def edge(source: str, target: str) -> Edge:
    """Return an edge between two ends, each ``object`` or ``object:port``."""
    ends = [End(id=name, port=port or None) for name, _, port in (end.partition(":") for end in (source, target))]
    return Edge(source=ends[0], target=ends[1])


@dataclass
class Story:
    """A clinic that owns a dataset, a lab that owns an application, and a receiver that owns the output."""

    clinic: Person = field(default_factory=lambda: person("Clinic A"))
    lab: Person = field(default_factory=lambda: person("Lab B"))
    receiver: Person = field(default_factory=lambda: person("Registry C"))
    documents: dict[str, Document] = field(default_factory=dict)

    def add(self, document: Document) -> str:
        """Keep a document, and return its digest."""
        self.documents[document.digest] = document
        return document.digest


def story() -> tuple[Story, Workflow]:
    """Return the parties, and the workflow that connects what they own."""
    told = Story()
    owners = [told.add(one.party) for one in (told.clinic, told.lab, told.receiver)]
    conditions = DatasetDocument(
        name="Conditions Data",
        owner=owners[0],
        location="s3://clinic/conditions.csv.sealed",
        direction="input",
        credentials_digest="01" * 32,
        encryption="cobblestone-256",
        labels={"Location": "East US"},
    )
    output = DatasetDocument(
        name="Conditions processing output",
        owner=owners[2],
        location="https://registry.example/output.sealed",
        direction="output",
        credentials_digest="02" * 32,
        encryption="auto",
    )
    application = Application(
        name="Describe",
        owner=owners[1],
        image=f"registry.example/describe@sha256:{'cd' * 32}",
        builds=(Build(platform="simulated", measurement=MEASUREMENT),),
    )
    app = AppConfigDocument(
        name="Describe conditions",
        owner=owners[1],
        build=BuildReference(application=told.add(application), measurement=MEASUREMENT),
        ports=("input", "output"),
    )
    workflow = Workflow(
        name="Patient conditions",
        objects={
            "conditions": Connected(dataset=told.add(conditions)),
            "describe": Connected(app=told.add(app)),
            "result": Connected(dataset=told.add(output)),
        },
        edges=(edge("conditions", "describe:input"), edge("describe:output", "result")),
    )
    return told, workflow


def requested(**options: Any) -> tuple[Story, Request]:
    """Return the parties, and the lab's request for the workflow."""
    told, workflow = story()
    return told, make_request(workflow, told.documents, told.lab.party, created=NOW, **options)


def decided(
    asked: Request, who: Person, verdict: Literal["approve", "decline"] = "approve", **members: Any
) -> Envelope:
    """Return somebody's signed decision on a request."""
    given = {
        "request": asked.digest,
        "reason": "no" if verdict == "decline" else None,
        "when": moment_text(NOW),
        **members,
    }
    signer = given.pop("signer", who.signer)
    decision = Decision(party=who.party.digest, verdict=verdict, **given)
    return sign(decision, signer)


def submitted(asked: Request, who: Person | None = None, **members: Any) -> Envelope:
    """Return the signed submission of a request: by its requester, if nobody is named."""
    asking = who or person(asked.party(asked.requester).name)
    given = {"request": asked.digest, "when": moment_text(NOW), **members}
    signer = given.pop("signer", asking.signer)
    return sign(Submission(party=asking.party.digest, **given), signer)


def revoked(asked: Request, who: Person, reason: str = "moved") -> Envelope:
    """Return somebody's signed revocation of a request."""
    document = Revocation(request=asked.digest, party=who.party.digest, reason=reason, when=moment_text(NOW))
    return sign(document, who.signer)


def bundle_of(asked: Request, *decisions: Envelope, **members: Any) -> Bundle:
    """Return a request with its requester's submission and the given statements."""
    return Bundle(asked, **{"submission": submitted(asked), "decisions": decisions, **members})


def approved() -> tuple[Story, Bundle, set[str]]:
    """Return the parties, a bundle in which all of them approve, and their digests."""
    told, request = requested()
    parties = (told.clinic, told.lab, told.receiver)
    bundle = bundle_of(request, *(decided(request, who) for who in parties))
    return told, bundle, {who.party.digest for who in parties}
