"""``connectors keys`` and ``connectors key``: key sources, and the keys of documents, which are never shown."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import CHECK_FAILED, UsageMistake
from connectors.cli.common.key_files import ask_for_passphrases, new_passphrase_for_the_old
from connectors.cli.common.options import AsJson, example
from connectors.cli.common.wrapping import PassphraseFile, UsePassphrase, Wrap, wrap_key, wrapping_of
from connectors.cli.data.export_tink import export_tink
from connectors.cli.data.key_documents import KeyDocument, documents_at
from connectors.errors import ConfigError, ConnectorError, KeyRefused
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
        "    key=conditions token_file=/run/vault/token"
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
    found, problems = _found(paths)
    facts = [
        {
            "document": document.path,
            "member": member,
            "source": key.source if isinstance(key, KeyReference) else "in the document",
            "held_by": _holder(key),
            "id": None if isinstance(key, KeyReference) else key_id(key),
        }
        for document in found
        for member, key in document.keys
    ]
    if as_json:
        console.print_json(facts)
    elif facts:
        rows = [tuple(str(fact[name] or "-") for name in ("document", "member", "held_by", "id")) for fact in facts]
        console.table(("DOCUMENT", "MEMBER", "HELD BY", "ID"), rows)
    _end(problems)


def check(paths: _Paths, *, passphrase_file: PassphraseFile = None, as_json: AsJson = False) -> None:
    """Ask for the keys of documents, and show their ids, or why they are not given.

    The key itself is never shown. The exit code is 2 if a key is not given.
    """
    ask_for_passphrases(passphrase_file, advice="use --passphrase-file FILE")
    facts = []
    found, problems = _found(paths)
    for document in found:
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
    _end(problems, failed=any(fact["problem"] is not None for fact in facts))


def _end(problems: list[ConfigError], *, failed: bool = False) -> None:
    """Report documents that break a rule, and end with the exit code of a failed check if there are any."""
    for problem in problems:
        console.error(str(problem))
    if problems or failed:
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

    All keys are fetched before the first document is replaced. A document is replaced only after the new source has
    returned its keys. If the command is stopped, run it again. Documents that a workflow has approved need a new
    approval.
    """
    members = [word for word in words if "=" in word and not os.path.lexists(word)]
    paths = [word for word in words if word not in members]
    place = wrapping_of(wrap, members, passphrase=passphrase or new_passphrase_file is not None)
    if place is None:
        message = "say what the keys are to be wrapped by: --wrap SOURCE MEMBER=VALUE…, or --passphrase"
        raise UsageMistake(message)
    if not paths:
        message = "name the documents, or folders of them, whose keys are to be wrapped"
        raise UsageMistake(message)
    found, problems = _found(paths)
    if problems:
        raise problems[0]
    plain = [document.path for document in found if document.is_key_file]
    if plain:
        message = (
            f"{plain[0]} is a key file, which would be replaced by a reference; wrap its key into another file: "
            f"connectors keygen FILE.json --from {plain[0]} --wrap …"
        )
        raise UsageMistake(message)
    ask_for_passphrases(
        passphrase_file,
        new_passphrase_file,
        advice="use --passphrase-file FILE",
        new_advice="use --new-passphrase-file FILE",
    )
    # All of them are fetched before the first document is replaced.
    opened = [(document, _opened(document, place)) for document in found]
    with console.progress("rewrapping") as callback:
        callback.set_size(len(found))
        for document, given in opened:
            if given:
                document.replace({member: wrap_key(key, place, document.root) for member, key in given})
            callback.relative_update()
    held = source_of(place.source).holder(place)
    done = [given for _, given in opened if given]
    count = sum(map(len, done))
    console.print_line(f"{_count(count, 'key')} in {_count(len(done), 'document')} wrapped anew: {held}")


def _opened(document: KeyDocument, place: KeyReference) -> list[tuple[str, SecretKey]]:
    """Return a document's keys; none if they are wrapped under the new passphrase already, by a run that was stopped.

    Raises:
        ConnectorError: a source does not give one; the message names the document.
    """
    given, done = [], 0
    for member, key in document.keys:
        error: ConnectorError | None = None
        try:
            given.append((member, resolve(key, document.root)))
            continue
        except ConnectorError as refused:
            error = refused
        under_passphrases = isinstance(key, KeyReference) and key.source == place.source == "passphrase"
        if under_passphrases and isinstance(error, KeyRefused):
            with new_passphrase_for_the_old(), contextlib.suppress(KeyRefused):
                given.append((member, resolve(key, document.root)))
                done += 1
                continue
        message = f"{document.path}: {member}: {error}"
        raise type(error)(message)
    return [] if done == len(document.keys) else given


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _found(paths: list[str]) -> tuple[list[KeyDocument], list[ConfigError]]:
    """Return the documents at paths, and what is wrong with other ones in folders."""
    found: dict[str, KeyDocument] = {}
    problems: list[ConfigError] = []
    for path in paths:
        documents, wrong = documents_at(path)
        found |= {os.path.realpath(document.path): document for document in documents}
        problems += wrong
    return list(found.values()), problems


def _holder(key: SecretKey | KeyReference) -> str:
    return source_of(key.source).holder(key) if isinstance(key, KeyReference) else "the document itself"
