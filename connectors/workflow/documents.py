"""The documents of a workflow: who owns what, what is connected to what, and what was asked of whom.

Each is a frozen pydantic model with one form of bytes (see `canonical`), whose digest is its name. Documents refer to
one another by these names alone::

    Party  <-- Dataset, Application, AppConfig --> Application
    Workflow --> Dataset, AppConfig, Party (who a placeholder waits for), its parent
    Request --> Workflow, and holds all that it refers to
    Decision, Revocation --> Request

What refers to what, and whether it fits, is `graph`'s business; who signed, `signing`'s.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from connectors.errors import InvalidDocument
from connectors.formats import FormatName  # noqa: TC001 - pydantic reads the annotations
from connectors.names import is_name
from connectors.workflow.canonical import canonical_bytes, digest_of, parse_canonical

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "AppConfig",
    "Application",
    "Build",
    "BuildReference",
    "Connected",
    "Dataset",
    "Decision",
    "Digest",
    "Document",
    "Edge",
    "End",
    "Moment",
    "Party",
    "Placeholder",
    "PublicKey",
    "Revocation",
    "Workflow",
    "moment_of",
    "moment_text",
]

_MODEL = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, populate_by_name=True)
D = TypeVar("D", bound="Document")
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"  # \d has the digits of all scripts
_SHOWABLE = re.compile(r"[^\x00-\x1f\x7f]*")


def _check_line(text: str) -> str:
    if not _SHOWABLE.fullmatch(text) or text.strip() != text:
        message = "one line of text is expected, without control characters or white space around it"
        raise ValueError(message)
    return text


def _check_name(name: str) -> str:
    if not is_name(name):
        message = (
            "it becomes a folder's name: no slashes, no control characters, no dot at its start, at most 255 characters"
        )
        raise ValueError(message)
    return name


def _check_moment(text: str) -> str:
    moment_of(text)
    return text


def _check_base64(text: str) -> str:
    try:
        same = base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except binascii.Error:
        same = False
    if not same:  # some texts differ in bits that nobody looks at
        message = "base64 with its padding is expected"
        raise ValueError(message)
    return text


def moment_of(text: str) -> datetime:
    """Return the time that a document's `Moment` is.

    >>> moment_of("2026-01-02T03:04:05Z").year
    2026
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def moment_text(when: datetime) -> str:
    """Return a time as a document's `Moment`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal digits, in lower case."""
Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_check_line)]
"""One line that people read."""
Name = Annotated[str, AfterValidator(_check_name)]
"""A name that becomes a folder's."""
Moment = Annotated[str, StringConstraints(pattern=_MOMENT), AfterValidator(_check_moment)]
"""A time in UTC, to the second: 2026-01-02T03:04:05Z."""
Base64 = Annotated[str, AfterValidator(_check_base64)]
Text = Annotated[str, StringConstraints(max_length=1 << 20)]
Labels = dict[Line, Annotated[str, StringConstraints(max_length=1000)]]


class Part(BaseModel):
    """A part of a document."""

    model_config = _MODEL


class Document(Part):
    """A document: its members, its bytes and its name."""

    kind: ClassVar[str]

    @classmethod
    def schema_name(cls) -> str:
        """Return what the member ``schema`` says in such a document."""
        return f"enclave-connectors workflow {cls.kind} 1"

    def members(self) -> dict[str, Any]:
        """Return its members as JSON has them; those that are null are left out."""
        return {"schema": self.schema_name(), **self.model_dump(mode="json", by_alias=True, exclude_none=True)}

    def to_bytes(self) -> bytes:
        """Return its canonical bytes."""
        return canonical_bytes(self.members())

    @property
    def digest(self) -> str:
        """Its name: the SHA-256 of its bytes."""
        return self._digest

    @cached_property
    def _digest(self) -> str:  # pydantic takes what is kept under another name for a member
        return digest_of(self.to_bytes())

    def __copy__(self) -> Self:
        """Return a copy that reckons its digest itself: `model_copy` gives it other members."""
        return _without_cached(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a copy of all of it, as above."""
        return _without_cached(super().__deepcopy__(memo))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the document whose bytes these are.

        Raises:
            InvalidDocument: they are not the canonical bytes of such a document.
        """
        return cls.from_members(parse_canonical(data))

    @classmethod
    def make(cls, **members: Any) -> Self:
        """Return a new document with these members, as Python has them.

        Raises:
            InvalidDocument: they break a rule, each of which the message names with its member.
        """
        return cls._checked(lambda: cls(**members))

    @classmethod
    def _checked(cls, build: Callable[[], Self]) -> Self:
        try:
            return build()
        except ValidationError as error:
            problems = problems_of(error)
        message = f"the {cls.kind} breaks rules: {problems}"
        raise InvalidDocument(message)

    @classmethod
    def from_members(cls, members: dict[str, Any]) -> Self:
        """Return the document with these members, as JSON has them.

        Raises:
            InvalidDocument: they break a rule, each of which the message names with its member.
        """
        expected = cls.schema_name()
        rest = {name: value for name, value in members.items() if name != "schema"}
        if members.get("schema") != expected:
            message = f"this is no {cls.kind}: its schema is not {expected!r}"
            raise InvalidDocument(message)
        made = cls._checked(lambda: cls.model_validate_json(canonical_bytes(rest)))
        again = made.members()
        if again != members:
            # A null that could be left out, for one: two forms of one document.
            odd = sorted(name for name in {**again, **members} if again.get(name, ...) != members.get(name, ...))
            message = f"the {cls.kind} is not written as it would be written here: {', '.join(odd)}; write it anew"
            raise InvalidDocument(message)
        return made


def _without_cached(made: D) -> D:
    for name in set(made.__dict__) - set(type(made).model_fields):
        del made.__dict__[name]
    return made


def problems_of(error: ValidationError) -> str:
    """Return which rules are broken, each with its member, and without what stands there."""
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc']) or 'it'}: {detail['msg'].removeprefix('Value error, ')}"
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    )


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


class Dataset(Document):
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
    labels: Labels = {}
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


class BuildReference(Part):
    """A build of an application."""

    application: Digest
    measurement: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2}){32,192}$")]


class Item(Part):
    """A file that an application finds in its app config folder."""

    contents: Base64


class AppConfig(Document):
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
    labels: Labels = {}
    items: dict[str, Item] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if list(self.ports) != sorted(set(self.ports)):
            message = "ports: sorted and each once"
            raise ValueError(message)
        for path in self.items:
            parts = path.split("/")
            if not all(map(is_name, parts)) or parts[0] in self.ports or path == "app-config.json":
                message = (
                    "items: a path is relative to the app config folder and inside it, and neither app-config.json nor "
                    "in the folder of a port"
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


class Decision(Document):
    """What one party says to a request; it counts when that party has signed it.

    Attributes:
        request: the request's digest.
        party: the party's digest.
        reason: why, in words; of one who declines.
        when: the party's own clock.
    """

    kind = "decision"

    request: Digest
    party: Digest
    verdict: Literal["approve", "decline"]
    reason: Text | None = None
    when: Moment

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.verdict == "decline" and not (self.reason or "").strip():
            message = "reason: whoever declines says why"
            raise ValueError(message)
        return self


class Revocation(Document):
    """What one party says when an approved request is not to be relied on any more."""

    kind = "revocation"

    request: Digest
    party: Digest
    reason: Text
    when: Moment
