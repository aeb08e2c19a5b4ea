"""How a refusal is worded: each error that says why a request cannot be relied on, and the state of a request in words.

People read these texts where they sign, and in an enclave's log; programs read the errors' attributes.
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
    """Return the state of a request in words: approved by whom, or who and what stands against it."""
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
            reasons = (f"{_names(request, [digest])}: {reason}" for digest, reason in sorted(found.against.items()))
            return f"the request was {found.state} by {'; '.join(reasons)}"


def not_approved(request: Request, found: Status, consequence: str | None = None) -> NotApproved:
    """Return the error for a request whose state is another than approved.

    Args:
        request: the request.
        found: its status.
        consequence: what was not done because of it, for the end of the message.
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
    """Return the error for parties, named by their digests, that are not trusted; `advice` says what to do."""
    listed = sorted(strangers)
    names = ", ".join(f"{request.party(digest).name!r} ({digest})" for digest in listed)
    message = f"{names} {'is' if len(listed) == 1 else 'are'} not among the trusted parties"
    return _about(UntrustedParty(f"{message}; {advice}" if advice else message), request, listed)


def not_submitted(request: Request, path: str) -> NotSubmitted:
    """Return the error for a request, kept in a file, that its requester has not signed."""
    message = (
        f"{path}: it names {_names(request, [request.requester])} as the requester, whose signed submission is missing "
        "here; import what they have exported, or move it away"
    )
    return _about(NotSubmitted(message), request, [request.requester])


def bad_signature(party: Party, key_id: str, *, known_key: bool, request: str | None = None) -> BadSignature:
    """Return the error for a statement that is not signed by the party that it names.

    Args:
        party: the party.
        key_id: the key that the signature names.
        known_key: whether it is one of the party's keys.
        request: the digest of the request that the statement is about.
    """
    why = "the signature is not over these bytes" if known_key else f"the key {key_id} is not theirs"
    error = BadSignature(f"a statement in the name of {party.name!r} has no valid signature: {why}")
    error.request, error.parties = request, {party.digest: party.name}
    error.key_id, error.known_key = key_id, known_key
    return error


def another_request(request: Request, one: Statement) -> InvalidStatement:
    """Return the error for a statement that is about another request."""
    message = f"a {one.kind} is about the request {one.request}, not about this one ({request.digest})"
    return _invalid(message, request, one, "request", request.digest)


def not_the_requester(request: Request, one: Statement) -> InvalidStatement:
    """Return the error for a submission in the name of somebody else than the requester."""
    name = _names(request, [request.requester])
    message = f"a {one.kind} is in the name of {one.party}, but the requester is {name} ({request.requester})"
    return _invalid(message, request, one, "party", request.requester)


def not_asked(request: Request, one: Statement) -> InvalidStatement:
    """Return the error for a decision or revocation of a party that owns nothing in the workflow."""
    message = f"a {one.kind} is in the name of {one.party}, who is not asked: they own nothing in the workflow"
    return _invalid(message, request, one, "party")


def said_twice(request: Request, one: Statement) -> InvalidStatement:
    """Return the error for a second decision, or a second revocation, of one party."""
    message = f"the bundle has two {one.kind}s of {_names(request, [one.party])}; remove one of them"
    return _invalid(message, request, one)


def unknown_identifier(request: Request, identifier: str, configs: Mapping[str, RuntimeConfig]) -> UnknownIdentifier:
    """Return the error for an identifier that none of a request's applications has."""
    known = {name: one.identifier for name, one in sorted(configs.items())}
    listed = ", ".join(f"{name} {found}" for name, found in known.items()) or "none"
    message = f"the approved request has no application with the identifier {identifier}; it has {listed}"
    error = _about(UnknownIdentifier(message), request)
    error.identifier, error.known = identifier, known
    return error


def measurement_mismatch(request: Request, config: RuntimeConfig, found: str) -> MeasurementMismatch:
    """Return the error for a running application that is measured as another than the approved one."""
    expected = config.build.measurement
    message = f"the running application is measured as {found}, but {expected} was approved for {config.object!r}"
    error = _about(MeasurementMismatch(message), request)
    error.object, error.expected, error.found = config.object, expected, found
    return error


def credentials_mismatch(
    request: str,
    place: str,
    dataset: RuntimeDataset,
    member: Literal["credentials_digest", "encryption", "pin"],
    found: str | None = None,
) -> CredentialsMismatch:
    """Return the error for a dataset whose credentials are missing, or not those that were approved.

    Args:
        request: the digest of the request.
        place: ``port/object``.
        dataset: the dataset.
        member: the member of its document that the credentials do not match.
        found: the commitment that they open; None if there are none. Their format and pin are secret, as all of them.
    """
    expected: str | None = getattr(dataset, member)
    if member != "credentials_digest":
        problem = f"have another {member} than was approved, which is {expected or 'none'}"
    elif found is None:
        problem = "were not given"
    else:
        problem = "are not those that its owner committed to"
    error = CredentialsMismatch(f"the credentials of the dataset {dataset.document} {problem}")
    error.request, error.dataset, error.document = request, place, dataset.document
    error.member, error.expected, error.found = member, expected, found
    return error


def _names(request: Request, digests: Iterable[str]) -> str:
    return ", ".join(sorted(repr(request.party(digest).name) for digest in digests))


def _about(error: E, request: Request, parties: Iterable[str] = ()) -> E:
    error.request = request.digest
    error.parties = {digest: request.party(digest).name for digest in sorted(parties)}
    return error


def _invalid(
    message: str, request: Request, one: Statement, member: str | None = None, expected: str | None = None
) -> InvalidStatement:
    # A stranger has no document in the request, and so no name that is known.
    known = {one.party} & {request.requester, *request.approvers}
    error = _about(InvalidStatement(message), request, known)
    error.kind, error.member, error.expected = one.kind, member, expected
    error.found = getattr(one, member) if member else None
    return error
