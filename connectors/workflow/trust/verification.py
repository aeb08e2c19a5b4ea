"""Whether all parties stand behind a request: for people who follow it, and for an enclave that relies on it.

Everything here may come from untrusted hands, but for two things: which parties are trusted, and, in an enclave, the
identifier that is bound into its attestation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from connectors.errors import InvalidDocument, NotApproved
from connectors.workflow.documents.canonical import canonical_bytes, digest_of, parse_canonical
from connectors.workflow.documents.kinds import Decision, Revocation, Statement, Submission
from connectors.workflow.documents.model import moment_of
from connectors.workflow.documents.requests import Request
from connectors.workflow.documents.runtime import RuntimeConfig, runtime_configs
from connectors.workflow.trust.signing import Envelope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["Bundle", "Status", "describe", "status", "trust_digest", "verified", "verify"]

State = Literal["pending", "approved", "declined", "expired", "revoked"]
S = TypeVar("S", bound=Statement)
_SCHEMA = "enclave-connectors workflow bundle 1"
_MEMBERS = ("schema", "request", "submission", "decisions", "revocations")


@dataclass(frozen=True, slots=True)
class Status:
    """How a request stands.

    Attributes:
        state: one of `State`.
        approved: the parties that have approved, by digest.
        missing: those that are still to decide.
        against: who has declined or revoked, and why.
        late: those that have approved after it had expired.
    """

    state: State
    approved: frozenset[str]
    missing: frozenset[str]
    against: dict[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A request with what its parties have said to it: what is passed on, in one file.

    Attributes:
        request: the request.
        submission: who asks, signed.
        decisions: signed decisions.
        revocations: signed revocations.
    """

    request: Request
    submission: Envelope
    decisions: tuple[Envelope, ...] = ()
    revocations: tuple[Envelope, ...] = ()

    @property
    def statements(self) -> tuple[Envelope, ...]:
        """All that was said to the request, the submission first."""
        return (self.submission, *self.decisions, *self.revocations)

    def to_bytes(self) -> bytes:
        """Return its canonical bytes."""
        return canonical_bytes(
            {
                "schema": _SCHEMA,
                "request": self.request.members(),
                "submission": self.submission.members(),
                "decisions": [one.members() for one in self.decisions],
                "revocations": [one.members() for one in self.revocations],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Bundle:
        """Return the bundle whose bytes these are; who signed what in it is not looked at yet.

        Raises:
            InvalidDocument: they are not the canonical bytes of one.
        """
        members = parse_canonical(data)
        if set(members) != set(_MEMBERS) or members["schema"] != _SCHEMA:
            message = f"this is no bundle ({_SCHEMA!r}), whose members are {', '.join(_MEMBERS)}"
            raise InvalidDocument(message)
        if not isinstance(members["request"], dict):
            message = "the bundle's request is no document"
            raise InvalidDocument(message)
        request = Request.from_members(members["request"])
        submission = _envelope(members["submission"], "submission")
        return cls(request, submission, _envelopes(members, "decisions"), _envelopes(members, "revocations"))


def _envelopes(members: dict[str, Any], name: str) -> tuple[Envelope, ...]:
    given = members[name]
    if not isinstance(given, list):
        message = f"the bundle's {name} are a list of envelopes"
        raise InvalidDocument(message)
    return tuple(_envelope(one, f"{name}.{place}") for place, one in enumerate(given))


def _envelope(given: object, name: str) -> Envelope:
    if not isinstance(given, dict):
        message = f"what stands in the bundle's {name} is no envelope"
        raise InvalidDocument(message)
    try:
        return Envelope.from_bytes(canonical_bytes(given))
    except InvalidDocument as error:
        problem = str(error)
    message = f"{name}: {problem}"
    raise InvalidDocument(message)


def trust_digest(parties: Collection[str]) -> str:
    """Return one digest for a set of trusted parties' digests, short enough to be configured or measured."""
    return digest_of(canonical_bytes({"parties": sorted(set(parties))}))


def status(bundle: Bundle, trusted: Collection[str], now: datetime | None = None) -> Status:
    """Return how a request stands, from what is signed alone.

    Args:
        bundle: the request and what was said to it.
        trusted: the digests of the parties that are who they say they are.
        now: the time; the machine's, if not given. An approved request does not expire, a pending one does.

    Raises:
        InvalidDocument: a document does not hold together.
        NotApproved: a party is not trusted, or what is said to come from one does not, or is about another request.
            So whoever is named as the requester does ask.
    """
    request = bundle.request
    _ = request.graph
    for digest in (request.requester, *request.approvers):
        if digest not in trusted:
            message = f"{request.party(digest).name!r} ({digest}) is not among the trusted parties"
            raise NotApproved(message)
    verified(request, bundle.submission, Submission)
    decisions = _statements(request, bundle.decisions, Decision)
    revocations = _statements(request, bundle.revocations, Revocation)
    against = {name: one.reason for name, one in revocations.items()}
    state: State
    approved = frozenset(name for name, one in decisions.items() if one.verdict == "approve")
    missing = frozenset(request.approvers) - decisions.keys()
    late = frozenset(name for name in approved if moment_of(decisions[name].when) > moment_of(request.expires))
    if against:
        state = "revoked"
    elif len(approved) < len(decisions):
        state = "declined"
        against = {name: one.reason or "" for name, one in decisions.items() if one.verdict == "decline"}
    elif late:
        state = "expired"
    elif not missing:
        state = "approved"
    else:
        state = "expired" if (now or datetime.now(UTC)) > moment_of(request.expires) else "pending"
    return Status(state, approved, missing, against, late)


def _statements(request: Request, envelopes: Iterable[Envelope], kind: type[S]) -> dict[str, S]:
    """Return what the parties have said, by their digests, each verified.

    Raises:
        NotApproved, InvalidDocument: something was not said by who is named, or twice, or to another request.
    """
    statements: dict[str, S] = {}
    for envelope in envelopes:
        one = verified(request, envelope, kind)
        if one.party in statements:
            message = f"{request.party(one.party).name!r} has two {kind.kind}s in the bundle; take one of them out"
            raise NotApproved(message)
        statements[one.party] = one
    return statements


def verified(request: Request, envelope: Envelope, *kinds: type[S]) -> S:
    """Return what an envelope says to a request, once it is verified that who is named in it says so, and may.

    Raises:
        InvalidDocument: it says nothing of these kinds.
        NotApproved: it is about another request, comes from somebody whom it is not up to, or was signed by another.
    """
    one = envelope.document(*kinds)
    if one.request != request.digest:
        message = f"a {one.kind} is about the request {one.request}, and this is {request.digest}"
        raise NotApproved(message)
    if isinstance(one, Submission) and one.party != request.requester:
        name = request.party(request.requester).name
        message = f"a {one.kind} comes from {one.party}, and who asks is {name!r} ({request.requester})"
        raise NotApproved(message)
    if not isinstance(one, Submission) and one.party not in request.approvers:
        message = f"a {one.kind} comes from {one.party}, who is not asked: nothing in the workflow is theirs"
        raise NotApproved(message)
    envelope.verify(request.party(one.party))
    return one


def verify(
    bundle: Bundle,
    trusted: Collection[str],
    identifier: str,
    measurement: str,
    *,
    now: datetime | None = None,
) -> RuntimeConfig:
    """Return what an application runs on, if all parties stand behind it.

    Args:
        bundle: from anybody's hands.
        trusted: the digests of the trusted parties.
        identifier: the digest that is bound into the application's attestation.
        measurement: what the platform has measured the running application as, in hexadecimal digits.
        now: the time, by a clock that is trusted as far as expiry matters.

    Raises:
        InvalidDocument: a document does not hold together.
        NotApproved: a party is missing, has declined or revoked, or is not who signed; or the request has expired; or
            the application is another than the approved one. The message names who and what.
    """
    found = status(bundle, trusted, now)
    if found.state != "approved":
        raise NotApproved(describe(bundle.request, found))
    configs = runtime_configs(bundle.request)
    config = next((one for one in configs.values() if one.identifier == identifier), None)
    if config is None:
        listed = ", ".join(f"{name} {one.identifier}" for name, one in sorted(configs.items())) or "none"
        message = f"the approved request has no application {identifier}; it has {listed}"
        raise NotApproved(message)
    if config.build.measurement != measurement:
        message = (
            f"the running application is measured as {measurement}, and what was approved for {config.object!r} is "
            f"{config.build.measurement}"
        )
        raise NotApproved(message)
    return config


def describe(request: Request, found: Status) -> str:
    """Return how a request stands in words: who and what keeps it from being relied on, if anything does."""

    def names(digests: Iterable[str]) -> str:
        return ", ".join(sorted(repr(request.party(digest).name) for digest in digests))

    reasons = "; ".join(f"{names([digest])}: {reason}" for digest, reason in sorted(found.against.items()))
    match found.state:
        case "approved":
            return f"the request is approved by {names(found.approved)}"
        case "pending":
            return f"the request is not approved yet: {names(found.missing)} {_have(found.missing)} not decided"
        case "expired":
            who = names(found.missing | found.late)
            return f"the request expired on {request.expires} before {who} had approved it; ask again with a new one"
        case _:
            return f"the request was {found.state}: {reasons}"


def _have(digests: Collection[str]) -> str:
    return "has" if len(digests) == 1 else "have"
