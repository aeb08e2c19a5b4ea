"""``connectors workflow approve``, ``decline`` and ``revoke``: what a party signs, once it has been shown."""

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
    signed,
    status_of,
)
from connectors.errors import ConfigError

if TYPE_CHECKING:
    from connectors.workflow.documents.kinds import Decision, Statement
    from connectors.workflow.documents.requests import Request
    from connectors.workflow.store.contract import DocumentStore
    from connectors.workflow.trust.identities import Identity
    from connectors.workflow.trust.verification import Status

__all__ = ["register"]

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; the others read it.")]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("approve", epilog=example("workflow approve 1f0c9a41"))(approve)
    group.command("decline", epilog=example("workflow decline 1f0c9a41 --reason 'the purpose is not ours'"))(decline)
    group.command("revoke", epilog=example("workflow revoke 1f0c9a41 --reason 'patients have withdrawn'"))(revoke)


def approve(
    what: Asked,
    *,
    yes: Yes = False,
    store: StoreFolder = None,
    acting: Acting = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Approve a request: sign its bytes, which are shown first."""
    matter = _matter(what, store, acting)
    found = matter.expect("pending", "nothing was signed")
    if matter.identity.party.digest in found.approved:
        message = f"{matter.identity.party.name!r} has approved it already; nothing was signed"
        raise ConfigError(message)
    decision = matter.decision("approve", None)
    matter.sign(decision, "approves", passphrase_file, yes=yes, as_json=as_json)


def decline(
    what: Asked,
    *,
    reason: Reason,
    yes: Yes = False,
    store: StoreFolder = None,
    acting: Acting = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Decline a request, which ends it; for that, you need not trust whoever else is in it."""
    matter = _matter(what, store, acting)
    matter.expect("pending", "nothing was signed", with_strangers=True)
    decision = matter.decision("decline", reason)
    matter.sign(decision, f"declines ({reason})", passphrase_file, yes=yes, as_json=as_json)


def revoke(
    what: Asked,
    *,
    reason: Reason,
    yes: Yes = False,
    store: StoreFolder = None,
    acting: Acting = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Take back what was approved: from now on, nobody who knows of it relies on the request."""
    matter = _matter(what, store, acting)
    matter.expect("approved", "only what is approved can be revoked, and nothing was signed")
    from connectors.workflow.documents.kinds import Revocation  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.model import moment_text  # noqa: PLC0415 - the extra

    when = moment_text(datetime.now(UTC))
    party = matter.identity.party.digest
    revocation = Revocation.make(request=matter.request.digest, party=party, reason=reason, when=when)
    matter.sign(revocation, f"revokes ({reason})", passphrase_file, yes=yes, as_json=as_json)


def _matter(what: str, folder: str | None, acting: str | None) -> _Matter:
    """Return a request that somebody can say something to, and as whom.

    Raises:
        ConfigError: nothing in it is theirs.
    """
    kept, known = open_store(folder), identities()
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - the extra

    request = kept.find(what, Request)
    identity = known.choose(acting)
    if identity.party.digest not in request.approvers:
        asked = ", ".join(repr(request.party(digest).name) for digest in request.approvers)
        message = f"{identity.party.name!r} is not asked: nothing in the workflow is theirs; asked are {asked}"
        raise ConfigError(message)
    return _Matter(kept, identity, request)


@dataclass(frozen=True)
class _Matter:
    """A request, and who is about to say something to it."""

    store: DocumentStore
    identity: Identity
    request: Request

    def expect(self, state: str, otherwise: str, *, with_strangers: bool = False) -> Status:
        """Return how the request stands.

        Raises:
            ConfigError: it is approved, and that was not expected.
            NotApproved: it is neither approved nor as expected; or one of its parties is not trusted, and it matters.
        """
        from connectors.workflow.trust.refusals import describe, not_approved  # noqa: PLC0415 - the extra
        from connectors.workflow.trust.verification import status  # noqa: PLC0415 - the extra

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
        from connectors.workflow.documents.kinds import Decision  # noqa: PLC0415 - the extra
        from connectors.workflow.documents.model import moment_text  # noqa: PLC0415 - the extra

        when = moment_text(datetime.now(UTC))
        party = self.identity.party.digest
        return Decision.make(request=self.request.digest, party=party, verdict=verdict, reason=reason, when=when)

    def sign(self, statement: Statement, doing: str, passphrase_file: str | None, *, yes: bool, as_json: bool) -> None:
        """Show what a signature will be over, ask, sign, and keep what was signed."""
        from connectors.cli.workflow.render import status_json  # noqa: PLC0415 - the extra
        from connectors.workflow.trust.verification import status  # noqa: PLC0415 - the extra

        envelope = signed(statement, self.request, self.identity, doing, passphrase_file, yes=yes, as_json=as_json)
        self.store.say(self.request, envelope)
        if as_json:
            bundle = self.store.bundle(self.request)
            found = status(bundle, {self.request.requester, *self.request.approvers})
            console.say_json(status_json(bundle, found))
        else:
            console.note("Signed. Export the request to give your answer to the others.")
