"""``connectors identity``: who a person is, with the key that they sign with, and whom they trust."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.options import AsJson, Force, example
from connectors.cli.common.private_files import read_private
from connectors.cli.workflow.context import (
    Out,
    PassphraseFile,
    StoreFolder,
    Yes,
    columns,
    confirm,
    give_out,
    identities,
    new_passphrase,
    open_store,
    read_passed,
    say_lines,
)
from connectors.errors import ConfigError

if TYPE_CHECKING:
    from connectors.workflow.documents.kinds import Party

__all__ = ["register"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The identity; the only one if not given.")]


def register(app: typer.Typer) -> None:
    """Add the group of verbs."""
    group = typer.Typer(rich_markup_mode=None)
    group.callback()(_group)
    making = example(
        "identity new clinic --party-name 'Clinic A' --contact data@clinic.example",
        "identity new clinic --contact data@clinic.example --signer ssh-agent: --public-key ~/.ssh/id_ed25519.pub",
    )
    group.command("new", epilog=making)(new)
    group.command("list")(list_)
    group.command("show")(show)
    group.command("export", epilog=example("identity export clinic --out clinic.json"))(export)
    group.command("trust", epilog=example("identity trust lab.json"))(trust)
    group.command("distrust")(distrust)
    app.add_typer(group, name="identity")


def _group() -> None:
    """Make an identity to sign with, and say whom you trust."""


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it on this machine.")],
    *,
    contact: Annotated[str, typer.Option("--contact", metavar="ADDRESS", help="How others reach you.")],
    party_name: Annotated[
        str | None, typer.Option("--party-name", metavar="TEXT", help="Who you are to others; NAME if not given.")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="TEXT", help="A group that you belong to.")] = None,
    passphrase_file: PassphraseFile = None,
    unencrypted: Annotated[
        bool, typer.Option("--unencrypted", help="Leave the key in the clear: for tests and demos alone.")
    ] = False,
    signer: Annotated[
        str | None, typer.Option("--signer", metavar="URI", help="The key is elsewhere: ssh-agent: or hsm:, for two.")
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option("--public-key", metavar="FILE", help="With --signer: the public key, PEM or OpenSSH's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an identity: a key that you sign with, and a document that tells others who you are.

    The key is encrypted under a passphrase, which you are asked for twice.
    """
    known = identities()
    if (signer is None) != (public_key is None):
        message = "--signer and --public-key go together"
        raise UsageMistake(message)
    if sum((passphrase_file is not None, unencrypted, signer is not None)) > 1:
        message = "one of --passphrase-file, --unencrypted and --signer"
        raise UsageMistake(message)
    if signer is not None and public_key is not None:
        public = read_private(public_key, "public key")
        made = known.with_signer(name, contact, signer, public, party_name=party_name, group=group)
    else:
        if name in known.all():
            message = f"there is an identity {name!r} already; it stays as it is"
            raise ConfigError(message)
        passphrase = None if unencrypted else new_passphrase(passphrase_file, name)
        made = known.new(name, contact, passphrase=passphrase, party_name=party_name, group=group)
    console.note(f"Made {made.party.name!r} in {made.folder}. Its digest, which others should compare with you:")
    if as_json:
        console.say_json(_party_json(made.party) | {"identity": name})
    else:
        console.say(made.party.digest)


def list_(*, as_json: AsJson = False) -> None:
    """List your identities, and the parties that you trust."""
    known = identities()
    own, trusted = known.all(), known.trusted()
    if as_json:
        mine = [_party_json(one.party) | {"identity": name} for name, one in own.items()]
        others = [{"name": name, "digest": digest} for digest, name in trusted.items()]
        console.say_json({"identities": mine, "trusted": others})
        return
    rows = [(name, one.party.name, one.party.contact, one.party.digest) for name, one in own.items()]
    console.table(("IDENTITY", "PARTY", "CONTACT", "DIGEST"), rows)
    mine_digests = {one.party.digest for one in own.values()}
    others_rows = [(name, digest) for digest, name in trusted.items() if digest not in mine_digests]
    if others_rows:
        console.say("")
        console.table(("TRUSTED", "DIGEST"), others_rows)


def show(name: Name = None, *, as_json: AsJson = False) -> None:
    """Show who an identity is to others. Its private key is not shown."""
    chosen = identities().choose(name)
    if as_json:
        console.say_json(_party_json(chosen.party) | {"identity": chosen.name})
    else:
        say_lines(_party_lines(chosen.party))


def export(name: Name = None, *, out: Out = None, force: Force = False) -> None:
    """Write the document that tells others who you are: give it to them, and let them compare its digest with you."""
    give_out(identities().choose(name).party.to_bytes(), out, force=force)


def trust(
    parties: Annotated[
        list[str], typer.Argument(metavar="FILE|DIGEST...", help="What they exported, or parties of the store.")
    ],
    *,
    store: StoreFolder = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Trust parties: from now on, what is signed with their keys is theirs.

    Compare the digest with them first, by telephone perhaps: names can be taken by anybody, a digest cannot. All its 64
    digits count, so DIGEST is given whole.
    """
    known = identities()
    told = []
    for document in [_party(party, store) for party in parties]:
        if not yes:
            say_lines(_party_lines(document))
        confirm(f"Is this digest the one that {document.name} has told you?", yes=yes)
        is_new = known.trust(document)
        told.append(_party_json(document) | {"new": is_new})
        console.note(f"{document.name!r} is trusted{'' if is_new else ' already'}.")
    if as_json:
        console.say_json(told)


def _party(text: str, store: str | None) -> Party:
    from connectors.workflow.documents.kinds import Party  # noqa: PLC0415 - the extra

    return open_store(store).find(text, Party) if _DIGEST.fullmatch(text) else Party.from_bytes(read_passed(text))


def distrust(
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="The party, by its whole digest.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take a party off the list of those that you trust."""
    if not identities().distrust(digest):
        message = "no such party is on the list; `connectors identity list` shows it"
        raise ConfigError(message)
    if as_json:
        console.say_json({"digest": digest})


def _party_json(party: Party) -> dict[str, Any]:
    return {"digest": party.digest, **party.members()}


def _party_lines(party: Party) -> list[str]:
    rows = [("contact", party.contact), ("digest", party.digest)]
    if party.group is not None:
        rows.insert(1, ("group", party.group))
    rows += [("key", f"{key.keytype}, {key.keyid}") for key in party.keys]
    return [party.name, *columns(rows)]
