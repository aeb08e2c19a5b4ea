"""The documents of a workflow: parties, datasets, applications, connections, requests and statements.

They refer to one another only by digest (see `model`)::

    Party  <-- DatasetDocument, Application, AppConfig --> Application
    Workflow --> DatasetDocument, AppConfigDocument, Party (of a placeholder), its parent
    Request --> Workflow; it contains all documents that the workflow refers to
    Submission, Decision, Revocation --> Request

`graph` checks that the documents fit together; `signing` checks who signed them.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from connectors.app.layout import RUNTIME_CONFIG
from connectors.formats import DatasetFormat  # noqa: TC001 - pydantic reads the annotations
from connectors.names import is_safe_name
from connectors.workflow.documents.canonical import canonical_bytes, digest_of
from connectors.workflow.documents.model import (
    Base64,
    Digest,
    Document,
    Labels,
    Line,
    Moment,
    Name,
    Part,
    Text,
    Word,
)

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

# Far more than people can review, and so few that no document costs its readers more than its size suggests.
MAX_KEYS = 32
MAX_BUILDS = 256
MAX_PORTS = 256
MAX_ITEMS = 10_000
MAX_DEPTH = 32
MAX_PATH = 1024
MAX_OBJECTS = 20_000
MAX_EDGES = 100_000


_PUBLIC = re.compile(r"[!-~]+|-----BEGIN ([A-Z ]+)-----\n([0-9A-Za-z+/=]{1,64}\n)+-----END \1-----\n?")


def _check_public(public: str) -> str:
    if not _PUBLIC.fullmatch(public):  # PEM allows any text around it
        message = "it must be one word, or PEM without any other text"
        raise ValueError(message)
    return public


class PublicKey(Part):
    """A key that a party signs with.

    Attributes:
        keytype: "ed25519", "ecdsa" or "rsa".
        scheme: how it signs, as securesystemslib names it.
        public: the key: 64 hexadecimal digits for ed25519, PEM for others.
    """

    keytype: Literal["ed25519", "ecdsa", "rsa"]
    scheme: Line
    public: Annotated[str, StringConstraints(min_length=1, max_length=20_000), AfterValidator(_check_public)]

    @property
    def keyid(self) -> str:
        """Its id in signatures: the SHA-256 of its canonical form."""
        return digest_of(canonical_bytes(self.model_dump(mode="json")))


class Party(Document):
    """A person or an organisation that owns objects, makes requests and decides on them."""

    kind = "party"

    name: Line
    contact: Line
    group: Line | None = None
    keys: Annotated[tuple[PublicKey, ...], Field(min_length=1, max_length=MAX_KEYS)]


class DatasetDocument(Document):
    """A dataset as the people who approve its use see it. Its credentials stay with its owner.

    Attributes:
        location: a URL, without a query.
        direction: whether applications read it, write it, or both.
        credentials_digest: a salted commitment to the credentials; see `commitment`.
        encryption: the format it is sealed in; None if it is not sealed.
        pin: the only approved version of its sealed bytes; None approves any.
    """

    kind = "dataset"

    name: Line
    description: Line | None = None
    long_description: Text | None = None
    labels: Labels = Field(default_factory=dict)
    group: Line | None = None
    owner: Digest
    location: Annotated[Word, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://[^\s?#]+$", max_length=4096)]
    direction: Literal["input", "output", "both"]
    credentials_digest: Digest
    encryption: DatasetFormat | None = None
    pin: Digest | None = None


class Build(Part):
    """One build of an application, as an enclave platform measures it.

    Attributes:
        platform: the TEE that runs it; "simulated" protects nothing.
        measurement: hexadecimal digits: MRENCLAVE, a launch digest, PCRs joined.
        debug: whether the machine's operator can look inside.
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
    image: Annotated[Word, StringConstraints(pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$", max_length=1000)]
    builds: Annotated[tuple[Build, ...], Field(min_length=1, max_length=MAX_BUILDS)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len({build.measurement for build in self.builds}) < len(self.builds):
            message = "builds: two builds have the same measurement; each needs its own"
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
    """How a build of an application takes part in workflows: its ports and its files.

    Attributes:
        ports: their names, sorted.
        items: files by their paths below the app config folder, outside the folders of ports.
    """

    kind = "app config"

    name: Line
    description: Line | None = None
    group: Line | None = None
    owner: Digest
    build: BuildReference
    ports: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_PORTS)]
    labels: Labels = Field(default_factory=dict)
    items: dict[Annotated[str, Field(max_length=MAX_PATH)], Item] = Field(default_factory=dict, max_length=MAX_ITEMS)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.ports) != sorted(set(self.ports)):
            message = "ports: they must be sorted, each once"
            raise ValueError(message)
        ports, paths = {*self.ports}, [path.split("/") for path in self.items]
        for parts in paths:
            if len(parts) > MAX_DEPTH:
                message = f"items: a path has at most {MAX_DEPTH} parts, and one has {len(parts)}"
                raise ValueError(message)
            if not all(map(is_safe_name, parts)) or parts[0] in ports or parts == [RUNTIME_CONFIG]:
                message = (
                    "items: a path must be relative to the app config folder and inside it, without control "
                    f"characters, and neither {RUNTIME_CONFIG} nor in the folder of a port"
                )
                raise ValueError(message)
        # In this order, the files in a folder directly follow a file of the folder's name.
        if any(after[: len(before)] == before for before, after in pairwise(sorted(paths))):
            message = "items: one path is both a file and the folder of another file"
            raise ValueError(message)
        return self


class Connected(Part):
    """An object of a workflow: a dataset, or an app config's application."""

    dataset: Digest | None = None
    app: Digest | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.dataset is None) == (self.app is None):
            message = "an object must be either a dataset or an app"
            raise ValueError(message)
        return self


class Placeholder(Part):
    """A place in a workflow that a party has not filled yet.

    Attributes:
        reserved_for: the party.
        wanted: the kind of object that belongs there.
        purpose: what it is for, as text.
    """

    reserved_for: Digest
    wanted: Literal["dataset", "app"]
    purpose: Line | None = None

    @property
    def what(self) -> str:
        """The kind of object that belongs there, with its article."""
        return "an app" if self.wanted == "app" else "a dataset"


class End(Part):
    """One end of an edge: an object, and the port if it is an application."""

    id: Name
    port: Name | None = None


class Edge(Part):
    """A connection: data goes from the source to the target."""

    source: End
    target: End


class Workflow(Document):
    """Objects and the connections between them.

    Attributes:
        version: its number, from 1.
        parent: the digest of the previous version.
        objects: by their ids, which become folder names.
        edges: sorted, each once.
    """

    kind = "workflow"

    name: Line
    description: Line | None = None
    group: Line | None = None
    version: Annotated[int, Field(ge=1)] = 1
    parent: Digest | None = None
    objects: Annotated[dict[Name, Connected | Placeholder], Field(max_length=MAX_OBJECTS)]
    edges: Annotated[tuple[Edge, ...], Field(max_length=MAX_EDGES)] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        order = [canonical_bytes(edge.model_dump(exclude_none=True)) for edge in self.edges]
        if order != sorted(set(order)):
            message = "edges: they must be sorted by their canonical bytes, each once"
            raise ValueError(message)
        return self


class Statement(Document):
    """A statement by one party on a request; it counts only with that party's signature.

    Attributes:
        request: the request's digest.
        party: the party's digest.
        when: the time by the party's own clock.
    """

    request: Digest
    party: Digest
    when: Moment


class Submission(Statement):
    """The requester's statement that the request is theirs. Without it, anybody could make one in their name."""

    kind = "submission"


class Decision(Statement):
    """An approver's decision on a request.

    Attributes:
        reason: why, as text; required of a party that declines.
    """

    kind = "decision"

    verdict: Literal["approve", "decline"]
    reason: Text | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.verdict == "decline" and not (self.reason or "").strip():
            message = "reason: a decline needs a reason"
            raise ValueError(message)
        return self


class Revocation(Statement):
    """An approver's statement that a request must no longer be relied on."""

    kind = "revocation"

    reason: Text


STATEMENTS: tuple[type[Statement], ...] = (Submission, Decision, Revocation)
"""The kinds of statements on a request."""
