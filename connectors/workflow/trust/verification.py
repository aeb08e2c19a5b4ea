"""Whether all parties stand behind a request: for people who follow it, and for an enclave that relies on it.

Everything here may come from untrusted hands, but for two things: which parties are trusted, and, in an enclave, the
identifier that is bound into its attestation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes, digest_of, parse_canonical
from connectors.workflow.documents.kinds import Decision, Revocation, Statement, Submission
from connectors.workflow.documents.model import moment_of
from connectors.workflow.documents.requests import Request
from connectors.workflow.documents.runtime import RuntimeConfig, runtime_configs
from connectors.workflow.trust import refusals
from connectors.workflow.trust.signing import Envelope
from connectors.workflow.trust.states import State, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["Bundle", "Status", "status", "trust_digest", "verified", "verify"]

S = TypeVar("S", bound=Statement)
_SCHEMA = "enclave-connectors workflow bundle 1"
_MEMBERS = ("schema", "request", "submission", "decisions", "revocations")


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
        UntrustedParty: its requester or one of its approvers is not trusted.
        BadSignature: a statement is not signed by the party that it names; so the requester does ask.
        InvalidStatement: a statement is about another request, or its party may not make it, or makes it twice.
    """
    request = bundle.request
    _ = request.graph
    strangers = {request.requester, *request.approvers} - set(trusted)
    if strangers:
        raise refusals.untrusted(request, strangers)
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
        InvalidDocument, BadSignature: as for `verified`.
        InvalidStatement: as for `verified`, or a party says it twice.
    """
    statements: dict[str, S] = {}
    for envelope in envelopes:
        one = verified(request, envelope, kind)
        if one.party in statements:
            raise refusals.said_twice(request, one)
        statements[one.party] = one
    return statements


def verified(request: Request, envelope: Envelope, *kinds: type[S]) -> S:
    """Return what an envelope says to a request, once it is verified that who is named in it says so, and may.

    Raises:
        InvalidDocument: it says nothing of these kinds.
        InvalidStatement: it is about another request, or the party that it names may not say it.
        BadSignature: that party has not signed it.
    """
    one = envelope.document(*kinds)
    if one.request != request.digest:
        raise refusals.another_request(request, one)
    if isinstance(one, Submission) and one.party != request.requester:
        raise refusals.not_the_requester(request, one)
    if not isinstance(one, Submission) and one.party not in request.approvers:
        raise refusals.not_asked(request, one)
    envelope.verify(request.party(one.party), request.digest)
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
        NotApproved: as for `status`; or `Undecided`, `Declined`, `RequestExpired` or `Revoked`; or the request has no
            application with this identifier (`UnknownIdentifier`), or another measurement was approved for it
            (`MeasurementMismatch`). The message names who and what.
    """
    found = status(bundle, trusted, now)
    if found.state != "approved":
        raise refusals.not_approved(bundle.request, found)
    configs = runtime_configs(bundle.request)
    config = next((one for one in configs.values() if one.identifier == identifier), None)
    if config is None:
        raise refusals.unknown_identifier(bundle.request, identifier, configs)
    if config.build.measurement != measurement:
        raise refusals.measurement_mismatch(bundle.request, config, measurement)
    return config
