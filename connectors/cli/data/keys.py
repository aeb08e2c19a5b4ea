"""``connectors keys`` and ``connectors key``: key sources, and the keys of documents, which are never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import CHECK_FAILED, UsageMistake
from connectors.cli.common.options import AsJson, example
from connectors.cli.common.private_files import ask_for_passphrases
from connectors.cli.common.wrapping import PassphraseFile, UsePassphrase, Wrap, wrap_key, wrapping_of
from connectors.cli.data.export_tink import export_tink
from connectors.cli.data.key_documents import KeyDocument, documents_at
from connectors.errors import ConnectorError
from connectors.keys import KeyReference, forget, key_id, resolve, source_of, sources

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["register"]

_Paths = Annotated[
    list[str],
    typer.Argument(metavar="PATH", help="Credentials documents, key files, or folders of them."),
]


def register(app: typer.Typer) -> None:
    """Add the verb and the group."""
    app.command("keys", epilog=example("keys"))(keys)
    group = typer.Typer(rich_markup_mode=None)
    group.callback()(_group)
    group.command("show", epilog=example("key show credentials.json"))(show)
    group.command("check", epilog=example("key check app-config"))(check)
    rewrapping = example(
        "key rewrap credentials.json --wrap vault address=https://vault.clinic.example \\\n"
        "    key=conditions token_file=token"
    )
    group.command("rewrap", epilog=rewrapping)(rewrap)
    group.command("export-tink", epilog=example("key export-tink clinic.hex keyset.json"))(export_tink)
    app.add_typer(group, name="key")


def keys(*, as_json: AsJson = False) -> None:
    """List the installed key sources."""
    found = [(one, one.source is not None and one.source.Wrapping is not None) for one in sources()]
    if as_json:
        console.print_json(
            [
                {
                    "name": one.name,
                    "wraps": wraps,
                    "distribution": one.distribution,
                    "version": one.version,
                    "problem": one.problem,
                }
                for one, wraps in found
            ]
        )
        return
    rows = [
        (
            one.name,
            one.source.summary if one.source is not None else "-",
            "yes" if wraps else "no",
            one.distribution,
            one.version,
            one.problem or "-",
        )
        for one, wraps in found
    ]
    console.table(("SOURCE", "THE KEY IS HELD BY", "WRAPS", "PACKAGE", "VERSION", "PROBLEM"), rows)


def _group() -> None:
    """Show what the keys of documents are held by, check them, wrap them anew, and export them to Tink."""


def show(paths: _Paths, *, as_json: AsJson = False) -> None:
    """Show what the keys of documents are held by, without asking for any of them.

    The key itself is never shown. Of a key that is in the document, the id is: it tells keys apart, and nothing else.
    """
    facts = [
        {
            "document": document.path,
            "member": member,
            "source": key.source if isinstance(key, KeyReference) else "in the document",
            "held_by": _holder(key),
            "id": None if isinstance(key, KeyReference) else key_id(key),
        }
        for document in _found(paths)
        for member, key in document.keys
    ]
    if as_json:
        console.print_json(facts)
        return
    rows = [tuple(str(fact[name] or "-") for name in ("document", "member", "held_by", "id")) for fact in facts]
    console.table(("DOCUMENT", "MEMBER", "HELD BY", "ID"), rows)


def check(paths: _Paths, *, passphrase_file: PassphraseFile = None, as_json: AsJson = False) -> None:
    """Ask for the keys of documents, and show their ids, or why they are not given.

    The key itself is never shown. The exit code is 2 if a key is not given.
    """
    ask_for_passphrases(passphrase_file)
    facts = []
    for document in _found(paths):
        for member, key in document.keys:
            given, problem = _given(key, document.root)
            shown = None if given is None else key_id(given)
            facts.append(
                {
                    "document": document.path,
                    "member": member,
                    "held_by": _holder(key),
                    "id": shown,
                    "problem": problem,
                }
            )
    if as_json:
        console.print_json(facts)
    else:
        rows = [
            (str(fact["document"]), str(fact["member"]), str(fact["held_by"]), str(fact["id"] or "-"))
            for fact in facts
            if fact["problem"] is None
        ]
        if rows:
            console.table(("DOCUMENT", "MEMBER", "HELD BY", "ID"), rows)
        for fact in facts:
            if fact["problem"] is not None:
                console.error(f"{fact['document']}: {fact['member']}: {fact['problem']}")
    if any(fact["problem"] is not None for fact in facts):
        raise typer.Exit(CHECK_FAILED)


def _given(key: SecretKey | KeyReference, root: str | None) -> tuple[SecretKey | None, str | None]:
    """Return a key, or why its source does not give it."""
    forget([key], root)
    try:
        return resolve(key, root), None
    except ConnectorError as error:
        return None, str(error)


def rewrap(
    words: Annotated[
        list[str],
        typer.Argument(metavar="PATH MEMBER=VALUE", help="Documents or folders of them; members for --wrap."),
    ],
    *,
    wrap: Wrap = None,
    passphrase: UsePassphrase = False,
    passphrase_file: PassphraseFile = None,
    new_passphrase_file: Annotated[
        str | None, typer.Option("--new-passphrase-file", metavar="FILE", help="A file with the new passphrase.")
    ] = None,
) -> None:
    """Wrap the keys of documents anew, by another source, key or passphrase. The keys stay, and no data is touched.

    A document is replaced only after the new source has given the key back. If one fails, those before it are done;
    run the command again. Documents that a workflow has approved change by this, and need a new approval.
    """
    paths = [word for word in words if "=" not in word]
    members = [word for word in words if "=" in word]
    place = wrapping_of(wrap, members, passphrase=passphrase or new_passphrase_file is not None)
    if place is None:
        message = "say what the keys are to be wrapped by: --wrap SOURCE MEMBER=VALUE…, or --passphrase"
        raise UsageMistake(message)
    found = _found(paths)
    plain = [document.path for document in found if document.is_key_file]
    if plain:
        message = (
            f"{plain[0]} is a key file, which would be replaced by a reference; wrap its key into another file: "
            f"connectors keygen FILE.json --from {plain[0]} --wrap …"
        )
        raise UsageMistake(message)
    ask_for_passphrases(passphrase_file, new_passphrase_file)
    with console.progress("rewrapping") as callback:
        callback.set_size(len(found))
        for document in found:
            opened = [(member, resolve(key, document.root)) for member, key in document.keys]
            fresh = {member: wrap_key(key, place, document.root) for member, key in opened}
            document.replace(fresh)
            callback.relative_update()
    held = source_of(place.source).holder(place)
    keys = sum(len(document.keys) for document in found)
    console.print_line(f"{_count(keys, 'key')} in {_count(len(found), 'document')} wrapped anew: {held}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _found(paths: list[str]) -> list[KeyDocument]:
    return [document for path in paths for document in documents_at(path)]


def _holder(key: SecretKey | KeyReference) -> str:
    return source_of(key.source).holder(key) if isinstance(key, KeyReference) else "the document itself"
