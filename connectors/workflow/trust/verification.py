"""Verify that all parties approve a request, for the people who follow it and the enclaves that rely on it.

All input here is untrusted, except the set of trusted parties and, in an enclave, the identifier that is bound into
its attestation.
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
from connectors.workflow.documents.runtime import RuntimeConfig, identifiers, runtime_config
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
    """A request with the signed statements on it; the contents of a bundle file.

    Attributes:
        request: the request.
        submission: the requester's signed submission.
        decisions: signed decisions.
        revocations: signed revocations.
    """

    request: Request
    submission: Envelope
    decisions: tuple[Envelope, ...] = ()
    revocations: tuple[Envelope, ...] = ()

    @property
    def statements(self) -> tuple[Envelope, ...]:
        """All statements on the request, the submission first."""
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
        """Parse a bundle; its signatures are not verified yet.

        Raises:
            InvalidDocument: the bytes are not the canonical form of a bundle.
        """
        members = parse_canonical(data)
        if set(members) != set(_MEMBERS) or members["schema"] != _SCHEMA:
            message = f"this is not a bundle ({_SCHEMA!r}) with the members {', '.join(_MEMBERS)}"
            raise InvalidDocument(message)
        if not isinstance(members["request"], dict):
            message = "the bundle's request is not a document"
            raise InvalidDocument(message)
        request = Request.from_members(members["request"])
        submission = _envelope(members["submission"], "submission")
        return cls(request, submission, _envelopes(members, "decisions"), _envelopes(members, "revocations"))


def _envelopes(members: dict[str, Any], name: str) -> tuple[Envelope, ...]:
    given = members[name]
    if not isinstance(given, list):
        message = f"the bundle's {name} must be a list of envelopes"
        raise InvalidDocument(message)
    return tuple(_envelope(one, f"{name}.{place}") for place, one in enumerate(given))


def _envelope(given: object, name: str) -> Envelope:
    if not isinstance(given, dict):
        message = f"the bundle's {name} is not an envelope"
        raise InvalidDocument(message)
    try:
        return Envelope.from_bytes(canonical_bytes(given))
    except InvalidDocument as error:
        problem = str(error)
    message = f"{name}: {problem}"
    raise InvalidDocument(message)


def trust_digest(parties: Collection[str]) -> str:
    """Return one digest for a set of trusted parties, short enough to be configured or measured."""
    return digest_of(canonical_bytes({"parties": sorted(set(parties))}))


def status(bundle: Bundle, trusted: Collection[str], now: datetime | None = None) -> Status:
    """Return the status of a request, derived from signed statements only.

    Args:
        bundle: the request and the statements on it.
        trusted: the digests of the trusted parties.
        now: the current time; by default, the system clock. A pending request expires, an approved one does not.

    Raises:
        InvalidDocument: a document breaks a rule.
        UntrustedParty: the requester or an approver is not trusted.
        BadSignature: a statement, the submission included, is not signed by the party that it names.
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
    """Verify statements of one kind and return them by their parties' digests.

    Raises:
        InvalidDocument, BadSignature: as for `verified`.
        InvalidStatement: as for `verified`, or a party makes two of them.
    """
    statements: dict[str, S] = {}
    for envelope in envelopes:
        one = verified(request, envelope, kind)
        if one.party in statements:
            raise refusals.said_twice(request, one)
        statements[one.party] = one
    return statements


def verified(request: Request, envelope: Envelope, *kinds: type[S]) -> S:
    """Return the statement in an envelope once it is verified that its party may make it and has signed it.

    Raises:
        InvalidDocument: the envelope holds no statement of these kinds.
        InvalidStatement: the statement is about another request, or its party may not make it.
        BadSignature: its party has not signed it.
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
    platform: str,
    debug: bool,
    now: datetime | None = None,
) -> RuntimeConfig:
    """Return an application's runtime configuration if all parties approve it.

    Args:
        bundle: the request and the statements on it; untrusted.
        trusted: the digests of the trusted parties.
        identifier: the digest that is bound into the application's attestation.
        measurement: the measurement of the running application in its attestation, in hexadecimal digits.
        platform: the platform that made the attestation: "sgx", "snp", "tdx", "nitro" or "simulated".
        debug: whether the attestation says that the machine's operator can look inside.
        now: the current time; expiry is only as trustworthy as this clock.

    Raises:
        InvalidDocument: a document breaks a rule.
        NotApproved: as for `status`; or `Undecided`, `Declined`, `RequestExpired` or `Revoked`; or the request has no
            application with this identifier (`UnknownIdentifier`), or another measurement, platform or debug state was
            approved for it (`MeasurementMismatch`). The message names the parties and the reason.
    """
    found = status(bundle, trusted, now)
    if found.state != "approved":
        raise refusals.not_approved(bundle.request, found)
    known = identifiers(bundle.request)
    name = next((name for name, one in known.items() if one == identifier), None)
    if name is None:
        raise refusals.unknown_identifier(bundle.request, identifier, known)
    config = runtime_config(bundle.request, name)
    attested = {"measurement": measurement, "platform": platform, "debug": debug}
    for member, found_there in attested.items():
        if getattr(config.build, member) != found_there:
            raise refusals.measurement_mismatch(bundle.request, config, member, str(found_there).lower())
    return config
