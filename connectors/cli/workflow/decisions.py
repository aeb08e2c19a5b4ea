"""``connectors workflow approve``, ``decline`` and ``revoke``: show a request and sign a statement about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, example
from connectors.cli.workflow.context import (
    Acting,
    Asked,
    PassphraseFile,
    StoreFolder,
    Yes,
    identities,
    open_store,
    show_and_sign,
    status_of,
)
from connectors.cli.workflow.render import status_json
from connectors.errors import ConfigError
from connectors.workflow.documents.kinds import Decision, Revocation
from connectors.workflow.documents.model import moment_text
from connectors.workflow.documents.requests import Request
from connectors.workflow.trust.refusals import describe, not_approved
from connectors.workflow.trust.verification import status

if TYPE_CHECKING:
    from connectors.workflow.documents.kinds import Statement
    from connectors.workflow.store.contract import DocumentStore
    from connectors.workflow.trust.identities import Identity
    from connectors.workflow.trust.verification import Status

__all__ = ["register"]

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, which the other parties can read.")]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("approve", epilog=example("workflow approve 1f0c9a41"))(approve)
    group.command("decline", epilog=example("workflow decline 1f0c9a41 --reason 'the purpose is not ours'"))(decline)
    group.command("revoke", epilog=example("workflow revoke 1f0c9a41 --reason 'patients have withdrawn'"))(revoke)


def approve(
    what: Asked,
    *,
    yes: Yes = False,
    folder: StoreFolder = None,
    acting: Acting = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Approve a request: it is shown, and you sign it."""
    action = _action(what, folder, acting)
    found = action.expect("pending", "nothing was signed")
    if action.identity.party.digest in found.approved:
        message = f"{action.identity.party.name!r} has already approved it; nothing was signed"
        raise ConfigError(message)
    decision = action.decision("approve", None)
    action.sign(decision, "approves", passphrase_file, yes=yes, as_json=as_json)


def decline(
    what: Asked,
    *,
    reason: Reason,
    yes: Yes = False,
    folder: StoreFolder = None,
    acting: Acting = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Decline a request, which ends it. This does not require trusting its other parties."""
    action = _action(what, folder, acting)
    action.expect("pending", "nothing was signed", with_strangers=True)
    decision = action.decision("decline", reason)
    action.sign(decision, f"declines ({reason})", passphrase_file, yes=yes, as_json=as_json)


def revoke(
    what: Asked,
    *,
    reason: Reason,
    yes: Yes = False,
    folder: StoreFolder = None,
    acting: Acting = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an approved request: nobody who receives the revocation accepts the request any more."""
    action = _action(what, folder, acting)
    action.expect("approved", "only an approved request can be revoked; nothing was signed")

    when = moment_text(datetime.now(UTC))
    party = action.identity.party.digest
    revocation = Revocation.make(request=action.request.digest, party=party, reason=reason, when=when)
    action.sign(revocation, f"revokes ({reason})", passphrase_file, yes=yes, as_json=as_json)


def _action(what: str, folder: str | None, acting: str | None) -> _Action:
    """Return the request, with the identity that decides about it.

    Raises:
        ConfigError: the identity owns nothing in it.
    """
    store, known = open_store(folder), identities()

    request = store.find(what, Request)
    identity = known.choose(acting)
    if identity.party.digest not in request.approvers:
        asked = ", ".join(repr(request.party(digest).name) for digest in request.approvers)
        message = f"{identity.party.name!r} owns nothing in the workflow, so need not decide; the approvers are {asked}"
        raise ConfigError(message)
    return _Action(store, identity, request, named=what == request.digest)


@dataclass(frozen=True)
class _Action:
    """A request, the identity that decides about it, and whether the request was named by its complete digest."""

    store: DocumentStore
    identity: Identity
    request: Request
    named: bool

    def expect(self, state: str, otherwise: str, *, with_strangers: bool = False) -> Status:
        """Return the request's status.

        Raises:
            ConfigError: it is approved, which was not expected.
            NotApproved: it is not as expected, or a party that matters is not trusted.
        """
        bundle = self.store.bundle(self.request)
        if with_strangers:
            found = status(bundle, {self.request.requester, *self.request.approvers})
        else:
            found = status_of(bundle, identities())
        if found.state == state:
            return found
        if found.state == "approved":
            message = f"{describe(self.request, found)}; {otherwise}"
            raise ConfigError(message)
        raise not_approved(self.request, found, otherwise)

    def decision(self, verdict: str, reason: str | None) -> Decision:

        when = moment_text(datetime.now(UTC))
        party = self.identity.party.digest
        return Decision.make(request=self.request.digest, party=party, verdict=verdict, reason=reason, when=when)

    def sign(self, statement: Statement, doing: str, passphrase_file: str | None, *, yes: bool, as_json: bool) -> None:
        """Show the request, ask for confirmation, sign, and store the signed statement."""
        envelope = show_and_sign(
            statement,
            self.request,
            self.identity,
            doing,
            passphrase_file,
            yes=yes,
            as_json=as_json,
            named=self.named,
        )
        self.store.say(self.request, envelope)
        if as_json:
            bundle = self.store.bundle(self.request)
            found = status(bundle, {self.request.requester, *self.request.approvers})
            console.print_json(status_json(bundle, found))
        else:
            console.note("Signed. Export the request to send your decision to the other parties.")
