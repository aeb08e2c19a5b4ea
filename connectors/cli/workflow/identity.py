"""``connectors identity``: make and show identities, and choose the parties to trust."""

from __future__ import annotations

import re
from typing import Annotated, Any

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
    confirm,
    identities,
    new_passphrase,
    open_store,
    print_lines,
    read_document,
    write_document,
)
from connectors.errors import ConfigError
from connectors.names import quoted
from connectors.workflow.documents.kinds import Party

__all__ = ["register"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="The identity; needed if there are several.")]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
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


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name on this machine.")],
    *,
    contact: Annotated[str, typer.Option("--contact", metavar="ADDRESS", help="Your address, for the other parties.")],
    party_name: Annotated[
        str | None,
        typer.Option("--party-name", metavar="TEXT", help="Your name for the other parties; the default is NAME."),
    ] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="TEXT", help="The group that you belong to.")] = None,
    passphrase_file: PassphraseFile = None,
    unencrypted: Annotated[
        bool, typer.Option("--unencrypted", help="Do not encrypt the key: only for tests and demos.")
    ] = False,
    signer: Annotated[
        str | None,
        typer.Option("--signer", metavar="URI", help="A key that is kept elsewhere, such as ssh-agent: or hsm:."),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option("--public-key", metavar="FILE", help="The public key of --signer, in PEM or OpenSSH format."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an identity: a signing key, and a document that describes you to others.

    The key is encrypted with a passphrase, which you enter twice.
    """
    known = identities()
    if (signer is None) != (public_key is None):
        message = "--signer and --public-key need each other"
        raise UsageMistake(message)
    if sum((passphrase_file is not None, unencrypted, signer is not None)) > 1:
        message = "use only one of --passphrase-file, --unencrypted and --signer"
        raise UsageMistake(message)
    if signer is not None and public_key is not None:
        public = read_private(public_key, "public key")
        made = known.with_signer(name, contact, signer, public, party_name=party_name, group=group)
    else:
        if name in known.all():
            message = f"the identity {name!r} already exists and was not changed"
            raise ConfigError(message)
        passphrase = None if unencrypted else new_passphrase(passphrase_file, name)
        made = known.new(name, contact, passphrase=passphrase, party_name=party_name, group=group)
    console.note(f"Made {made.party.name!r} in {made.folder}. The other parties should compare this digest with you:")
    if as_json:
        console.print_json(_party_json(made.party) | {"identity": name})
    else:
        console.print_line(made.party.digest)


def list_(*, as_json: AsJson = False) -> None:
    """List your identities and the parties that you trust."""
    known = identities()
    own, trusted = known.all(), known.trusted()
    if as_json:
        mine = [_party_json(one.party) | {"identity": name} for name, one in own.items()]
        others = [{"name": name, "digest": digest} for digest, name in trusted.items()]
        console.print_json({"identities": mine, "trusted": others})
        return
    rows = [(name, one.party.name, one.party.contact, one.party.digest) for name, one in own.items()]
    console.table(("IDENTITY", "PARTY", "CONTACT", "DIGEST"), rows)
    mine_digests = {one.party.digest for one in own.values()}
    others_rows = [(name, digest) for digest, name in trusted.items() if digest not in mine_digests]
    if others_rows:
        console.print_line("")
        console.table(("TRUSTED", "DIGEST"), others_rows)


def show(name: Name = None, *, as_json: AsJson = False) -> None:
    """Show an identity as others see it. The private key is not shown."""
    chosen = identities().choose(name)
    if as_json:
        console.print_json(_party_json(chosen.party) | {"identity": chosen.name})
    else:
        print_lines(_party_lines(chosen.party))


def export(name: Name = None, *, out: Out = None, force: Force = False) -> None:
    """Write the document that describes you, for the other parties. They should compare its digest with you."""
    write_document(identities().choose(name).party.to_bytes(), out, force=force)


def trust(
    parties: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|DIGEST...", help="The files that they exported, or digests of parties in the store."
        ),
    ],
    *,
    folder: StoreFolder = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Trust parties: accept signatures by their keys.

    Compare the digest with each party first, for example by telephone: anyone can use a party's name, but not its
    digest. All 64 digits count, so DIGEST must be complete.
    """
    known = identities()
    report = []
    for document in [_party(party, folder) for party in parties]:
        if not yes:
            print_lines(_party_lines(document))
        confirm(f"Did {quoted(document.name)} confirm the digest {document.digest} to you?", yes=yes)
        is_new = known.trust(document)
        report.append(_party_json(document) | {"new": is_new})
        console.note(f"{quoted(document.name)} is {'now' if is_new else 'already'} trusted.")
    if as_json:
        console.print_json(report)


def _party(text: str, folder: str | None) -> Party:

    return open_store(folder).find(text, Party) if _DIGEST.fullmatch(text) else Party.from_bytes(read_document(text))


def distrust(
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="The party's complete digest.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Stop trusting a party."""
    if not identities().distrust(digest):
        message = "you do not trust a party with this digest; `connectors identity list` shows those that you trust"
        raise ConfigError(message)
    if as_json:
        console.print_json({"digest": digest})


def _party_json(party: Party) -> dict[str, Any]:
    return {"digest": party.digest, **party.members()}


def _party_lines(party: Party) -> list[str]:
    """Return what a party says of itself, in quotes, and below it the digest that people compare."""
    rows = [("contact", quoted(party.contact))]
    if party.group is not None:
        rows.append(("group", quoted(party.group)))
    rows += [("key", f"{key.keytype}, {key.keyid}") for key in party.keys]
    return [quoted(party.name), *console.columns(rows), "", *console.columns([("digest", party.digest)])]
