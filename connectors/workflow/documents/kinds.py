"""The documents of a workflow: who owns what, what is connected to what, and what was asked of whom.

They refer to one another by their digests alone (see `model`)::

    Party  <-- DatasetDocument, Application, AppConfig --> Application
    Workflow --> DatasetDocument, AppConfigDocument, Party (who a placeholder waits for), its parent
    Request --> Workflow, and holds all that it refers to
    Submission, Decision, Revocation --> Request

What refers to what, and whether it fits, is `graph`'s business; who signed, `signing`'s.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from connectors.app.layout import RUNTIME_CONFIG
from connectors.formats import FormatName  # noqa: TC001 - pydantic reads the annotations
from connectors.names import is_name
from connectors.workflow.documents.canonical import canonical_bytes, digest_of
from connectors.workflow.documents.model import Base64, Digest, Document, Labels, Line, Moment, Name, Part, Text

__all__ = [
    "STATEMENTS",
    "AppConfigDocument",
    "Application",
    "Build",
    "BuildReference",
    "Connected",
    "DatasetDocument",
    "Decision",
    "Edge",
    "End",
    "Party",
    "Placeholder",
    "PublicKey",
    "Revocation",
    "Statement",
    "Submission",
    "Workflow",
]


class PublicKey(Part):
    """A key that a party signs with.

    Attributes:
        keytype: "ed25519", "ecdsa" or "rsa".
        scheme: how it signs, in securesystemslib's words.
        public: the key: 64 hexadecimal digits of an ed25519 key, PEM of others.
    """

    keytype: Literal["ed25519", "ecdsa", "rsa"]
    scheme: Line
    public: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]

    @property
    def keyid(self) -> str:
        """Its name in signatures: the SHA-256 of its canonical form."""
        return digest_of(canonical_bytes(self.model_dump(mode="json")))


class Party(Document):
    """A person or an organisation that owns, asks and decides."""

    kind = "party"

    name: Line
    contact: Line
    group: Line | None = None
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1)]


class DatasetDocument(Document):
    """What is said of a dataset to those who approve its use. Its credentials stay with its owner.

    Attributes:
        location: a URL, without a query.
        direction: whether applications read it, write it, or both.
        credentials_digest: a salted commitment to the credentials; see `commitment`.
        encryption: the format it is sealed in; None if it is not sealed.
        pin: the one sealing that is approved; None approves any.
    """

    kind = "dataset"

    name: Line
    description: Line | None = None
    long_description: Text | None = None
    labels: Labels = Field(default_factory=dict)
    group: Line | None = None
    owner: Digest
    location: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://[^\s?#]+$", max_length=4096)]
    direction: Literal["input", "output", "both"]
    credentials_digest: Digest
    encryption: FormatName | None = None
    pin: Digest | None = None


class Build(Part):
    """One build of an application, as an enclave platform measures it.

    Attributes:
        platform: what runs it; "simulated" protects nothing.
        measurement: hexadecimal digits: MRENCLAVE, a launch digest, PCRs joined.
        debug: whether whoever runs the machine can look inside.
    """

    platform: Literal["sgx", "snp", "tdx", "nitro", "simulated"]
    measurement: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){32,192}$")]
    debug: bool = False


class Application(Document):
    """A program and its builds."""

    kind = "application"

    name: Line
    description: Line | None = None
    group: Line | None = None
    owner: Digest
    image: Annotated[str, StringConstraints(pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$", max_length=1000)]
    builds: Annotated[tuple[Build, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len({build.measurement for build in self.builds}) < len(self.builds):
            message = "builds: each has a measurement of its own, by which it is known"
            raise ValueError(message)
        return self


class BuildReference(Part):
    """A build of an application."""

    application: Digest
    measurement: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){32,192}$")]


class Item(Part):
    """A file that an application finds in its app config folder."""

    contents: Base64


class AppConfigDocument(Document):
    """How a build of an application takes part: its ports, and the files it is given.

    Attributes:
        ports: their names, sorted.
        items: files by their paths below the app config folder; none may be in the place of a port's.
    """

    kind = "app config"

    name: Line
    description: Line | None = None
    group: Line | None = None
    owner: Digest
    build: BuildReference
    ports: Annotated[tuple[Name, ...], Field(min_length=1)]
    labels: Labels = Field(default_factory=dict)
    items: dict[str, Item] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.ports) != sorted(set(self.ports)):
            message = "ports: sorted and each once"
            raise ValueError(message)
        for path in self.items:
            parts = path.split("/")
            if not all(map(is_name, parts)) or parts[0] in self.ports or path == RUNTIME_CONFIG:
                message = (
                    "items: a path is relative to the app config folder and inside it, and neither "
                    f"{RUNTIME_CONFIG} nor in the folder of a port"
                )
                raise ValueError(message)
            if any("/".join(parts[:depth]) in self.items for depth in range(1, len(parts))):
                message = "items: a file stands where another one needs a folder"
                raise ValueError(message)
        return self


class Connected(Part):
    """An object of a workflow: a dataset, or an app config's application."""

    dataset: Digest | None = None
    app: Digest | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.dataset is None) == (self.app is None):
            message = "an object is a dataset or an app, one of them"
            raise ValueError(message)
        return self


class Placeholder(Part):
    """A place in a workflow that a party is still to fill.

    Attributes:
        reserved_for: the party.
        wanted: what it is to be.
        purpose: what for, in words.
    """

    reserved_for: Digest
    wanted: Literal["dataset", "app"]
    purpose: Line | None = None

    @property
    def what(self) -> str:
        """What it is to be, in words."""
        return "an app" if self.wanted == "app" else "a dataset"


class End(Part):
    """One end of an edge: an object, and of an application the port."""

    id: Name
    port: Name | None = None


class Edge(Part):
    """A connection: what comes out of the source goes into the target."""

    source: End
    target: End


class Workflow(Document):
    """Who is connected to whom.

    Attributes:
        version: 1 for the first.
        parent: the version that this one came from.
        objects: by their ids, which become folder names.
        edges: sorted, each once.
    """

    kind = "workflow"

    name: Line
    description: Line | None = None
    group: Line | None = None
    version: Annotated[int, Field(ge=1)] = 1
    parent: Digest | None = None
    objects: dict[Name, Connected | Placeholder]
    edges: tuple[Edge, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        order = [canonical_bytes(edge.model_dump(exclude_none=True)) for edge in self.edges]
        if order != sorted(set(order)):
            message = "edges: sorted by their canonical bytes, and each once"
            raise ValueError(message)
        return self


class Statement(Document):
    """What one party says to a request; it counts when that party has signed it.

    Attributes:
        request: the request's digest.
        party: the party's digest.
        when: the party's own clock.
    """

    request: Digest
    party: Digest
    when: Moment


class Submission(Statement):
    """What the requester says: that it is they who ask. Without it, anybody could ask in their name."""

    kind = "submission"


class Decision(Statement):
    """What one of those who are asked says.

    Attributes:
        reason: why, in words; of one who declines.
    """

    kind = "decision"

    verdict: Literal["approve", "decline"]
    reason: Text | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.verdict == "decline" and not (self.reason or "").strip():
            message = "reason: whoever declines says why"
            raise ValueError(message)
        return self


class Revocation(Statement):
    """What one of those who were asked says when an approved request is not to be relied on any more."""

    kind = "revocation"

    reason: Text


STATEMENTS: tuple[type[Statement], ...] = (Submission, Decision, Revocation)
"""All that can be said to a request."""
