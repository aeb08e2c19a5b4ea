"""Build the errors that say why a request cannot be relied on, and describe the status of a request.

People read these texts when they sign, and in an enclave's log; programs read the errors' attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

from connectors.errors import (
    BadSignature,
    CredentialsMismatch,
    Declined,
    InvalidStatement,
    MeasurementMismatch,
    NotApproved,
    NotSubmitted,
    RequestExpired,
    Revoked,
    Undecided,
    UnknownIdentifier,
    UntrustedParty,
)
from connectors.names import quoted
from connectors.workflow.documents.model import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.workflow.documents.kinds import Party, Statement
    from connectors.workflow.documents.requests import Request
    from connectors.workflow.documents.runtime import RuntimeConfig, RuntimeDataset
    from connectors.workflow.trust.states import Status

__all__ = [
    "another_request",
    "bad_signature",
    "credentials_mismatch",
    "describe",
    "measurement_mismatch",
    "not_approved",
    "not_asked",
    "not_submitted",
    "not_the_requester",
    "said_twice",
    "unknown_identifier",
    "untrusted",
]

E = TypeVar("E", bound=NotApproved)


def describe(request: Request, found: Status) -> str:
    """Describe the status of a request: who approved it, or who has not, and why."""
    match found.state:
        case "approved":
            return f"the request is approved by {_names(request, found.approved)}"
        case "pending":
            have = "has" if len(found.missing) == 1 else "have"
            return f"the request is not approved yet: {_names(request, found.missing)} {have} not decided"
        case "expired":
            who = _names(request, found.missing | found.late)
            return f"the request expired on {request.expires} before {who} approved it; submit a new request"
        case _:
            reasons = (
                f"{_names(request, [digest])}: {quoted(reason)}" for digest, reason in sorted(found.against.items())
            )
            return f"the request was {found.state} by {'; '.join(reasons)}"


def not_approved(request: Request, found: Status, consequence: str | None = None) -> NotApproved:
    """Return the error for a request that is not approved.

    Args:
        request: the request.
        found: the request's status.
        consequence: what was not done because of it; added to the message.
    """
    message = describe(request, found) + (f"; {consequence}" if consequence else "")
    match found.state:
        case "pending":
            return _about(Undecided(message), request, found.missing)
        case "expired":
            expired = _about(RequestExpired(message), request, found.missing | found.late)
            expired.expires = request.expires
            return expired
        case _:
            kind = Declined if found.state == "declined" else Revoked
            ended = _about(kind(message), request, found.against)
            ended.reasons = dict(found.against)
            return ended


def untrusted(request: Request, strangers: Iterable[str], advice: str | None = None) -> UntrustedParty:
    """Return the error for parties, given by digest, that are not trusted; `advice` says what to do."""
    listed = sorted(strangers)
    names = ", ".join(f"{request.party(digest).name!r} ({digest})" for digest in listed)
    message = f"{names} {'is' if len(listed) == 1 else 'are'} not among the trusted parties"
    return _about(UntrustedParty(f"{message}; {advice}" if advice else message), request, listed)


def not_submitted(request: Request, path: str) -> NotSubmitted:
    """Return the error for a stored request that its requester has not signed."""
    message = (
        f"{path}: the signed submission of its requester, {_names(request, [request.requester])}, is missing; "
        "import the bundle that they exported, or remove the request"
    )
    return _about(NotSubmitted(message), request, [request.requester])


def bad_signature(party: Party, key_id: str, *, known_key: bool, request: str | None = None) -> BadSignature:
    """Return the error for a statement that is not signed by the party that it names.

    Args:
        party: the party.
        key_id: the id of the key that the signature names.
        known_key: whether that is one of the party's keys.
        request: the digest of the request that the statement is about.
    """
    why = "the signature does not match the signed bytes" if known_key else f"the key {key_id} is not theirs"
    error = BadSignature(f"a statement by {party.name!r} has no valid signature: {why}")
    error.request, error.parties = request, {party.digest: party.name}
    error.key_id, error.known_key = key_id, known_key
    return error


def another_request(request: Request, one: Statement) -> InvalidStatement:
    """Return the error for a statement that is about another request."""
    message = f"a {one.kind} is about the request {one.request}, not about this one ({request.digest})"
    return _invalid(message, request, one, "request", request.digest)


def not_the_requester(request: Request, one: Statement) -> InvalidStatement:
    """Return the error for a submission by a party other than the requester."""
    name = _names(request, [request.requester])
    message = f"a {one.kind} is by {one.party}, but the requester is {name} ({request.requester})"
    return _invalid(message, request, one, "party", request.requester)


def not_asked(request: Request, one: Statement) -> InvalidStatement:
    """Return the error for a decision or revocation by a party that owns nothing in the workflow."""
    message = f"a {one.kind} is by {one.party}, who owns nothing in the workflow"
    return _invalid(message, request, one, "party")


def said_twice(request: Request, one: Statement) -> InvalidStatement:
    """Return the error for a second decision or revocation by one party."""
    message = f"the bundle has two {one.kind}s by {_names(request, [one.party])}; remove one of them"
    return _invalid(message, request, one)


def unknown_identifier(request: Request, identifier: str, known: Mapping[str, str]) -> UnknownIdentifier:
    """Return the error for an identifier that no application of the request has."""
    known = dict(sorted(known.items()))
    shown = listed(f"{name} {found}" for name, found in known.items()) or "none"
    message = f"the approved request has no application with the identifier {identifier}; it has {shown}"
    error = _about(UnknownIdentifier(message), request)
    error.identifier, error.known = identifier, known
    return error


def measurement_mismatch(request: Request, config: RuntimeConfig, member: str, found: str) -> MeasurementMismatch:
    """Return the error for a running application that is not attested as the approved build is.

    Args:
        request: the request.
        config: the application's runtime configuration.
        member: what differs: "measurement", "platform" or "debug".
        found: what the attestation says of it.
    """
    expected = str(getattr(config.build, member)).lower()
    what = "debug state" if member == "debug" else member
    message = f"the running application has the {what} {found}, but {expected} was approved for {config.object!r}"
    error = _about(MeasurementMismatch(message), request)
    error.object, error.member, error.expected, error.found = config.object, member, expected, found
    return error


def credentials_mismatch(
    request: str,
    place: str,
    dataset: RuntimeDataset,
    member: Literal["credentials_digest", "encryption", "pin"],
    found: str | None = None,
) -> CredentialsMismatch:
    """Return the error for a dataset whose credentials are missing or not the approved ones.

    Args:
        request: the digest of the request.
        place: ``port/object``.
        dataset: the dataset.
        member: the member of its document that the credentials do not match.
        found: the commitment that they open; None if there are none. Their format and pin are secret, like the rest.
    """
    expected: str | None = getattr(dataset, member)
    if member != "credentials_digest":
        problem = f"have another {member} than the approved one ({expected or 'none'})"
    elif found is None:
        problem = "were not given"
    else:
        problem = "are not the ones that its owner committed to"
    error = CredentialsMismatch(f"the credentials of the dataset {dataset.document} {problem}")
    error.request, error.dataset, error.document = request, place, dataset.document
    error.member, error.expected, error.found = member, expected, found
    return error


def _names(request: Request, digests: Iterable[str]) -> str:
    return ", ".join(sorted(quoted(request.party(digest).name) for digest in digests))


def _about(error: E, request: Request, parties: Iterable[str] = ()) -> E:
    error.request = request.digest
    error.parties = {digest: request.party(digest).name for digest in sorted(parties)}
    return error


def _invalid(
    message: str, request: Request, one: Statement, member: str | None = None, expected: str | None = None
) -> InvalidStatement:
    # A party outside the request has no document in it, so its name is not known.
    known = {one.party} & {request.requester, *request.approvers}
    error = _about(InvalidStatement(message), request, known)
    error.kind, error.member, error.expected = one.kind, member, expected
    error.found = getattr(one, member) if member else None
    return error
