"""What the verbs of identities and workflows have in common: options, the store, who acts, and what is asked of them.

The extra ``enclave-connectors[workflow]`` is loaded by the verbs alone, so that all others do without it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake, printable
from connectors.cli.common.private_files import read_private, write_private
from connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from connectors.workflow.documents.drafts import Draft
    from connectors.workflow.documents.kinds import Statement
    from connectors.workflow.documents.model import Document
    from connectors.workflow.documents.requests import Request
    from connectors.workflow.store.contract import DocumentStore
    from connectors.workflow.trust.identities import Identities, Identity
    from connectors.workflow.trust.signing import Envelope
    from connectors.workflow.trust.verification import Bundle, Status

__all__ = [
    "Acting",
    "Asked",
    "Labels",
    "Out",
    "PassphraseFile",
    "StoreFolder",
    "Yes",
    "columns",
    "confirm",
    "find_anything",
    "give_out",
    "has_store",
    "identities",
    "new_passphrase",
    "open_draft",
    "open_store",
    "pairs",
    "read_passed",
    "say_lines",
    "signed",
    "status_of",
]

STORE_VARIABLE = "CONNECTORS_STORE"
_NEEDED = ("rfc8785", "securesystemslib")

StoreFolder = Annotated[
    str | None, typer.Option("--store", metavar="DIR", help="The folder of documents; else $CONNECTORS_STORE.")
]
Acting = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Your identity, where you have several.")]
PassphraseFile = Annotated[
    str | None,
    typer.Option("--passphrase-file", metavar="FILE", help="The passphrase, or - for stdin; else you are asked."),
]
Asked = Annotated[
    str, typer.Argument(metavar="REQUEST", help="The request: its workflow's name, or first digits of its digest.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask, for scripts.")]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Where to; standard output if not given.")]
Labels = Annotated[
    list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label; may be given several times.")
]


def _require_extra() -> None:
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        message = "workflows need more packages; install them with: pip install 'enclave-connectors[workflow]'"
        raise ConfigError(message)


def open_store(folder: str | None) -> DocumentStore:
    """Return the store that is meant.

    Raises:
        ConfigError: none is named, or the extra is not installed.
    """
    _require_extra()
    from connectors.workflow.store.folder import FolderStore  # noqa: PLC0415 - the extra

    chosen = _chosen(folder)
    if not chosen:
        message = f"name the folder of documents: --store DIR, or ${STORE_VARIABLE}; it is made if it is not there"
        raise ConfigError(message)
    return FolderStore(os.path.expanduser(chosen))


def has_store(folder: str | None) -> bool:
    """Tell whether a store is named."""
    return bool(_chosen(folder))


def _chosen(folder: str | None) -> str | None:
    return folder or os.environ.get(STORE_VARIABLE)


def identities() -> Identities:
    """Return the identities on this machine.

    Raises:
        ConfigError: the extra is not installed.
    """
    _require_extra()
    from connectors.workflow.trust.identities import Identities  # noqa: PLC0415 - the extra

    return Identities()


def open_draft(store: DocumentStore, name: str) -> Draft:
    """Return a draft.

    Raises:
        ConfigError: there is none of that name; of one that was submitted, the message says how to go on.
    """
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - the extra
    from connectors.workflow.store.lookup import name_of  # noqa: PLC0415 - the extra

    found = store.find_draft(name)
    if found is not None:
        return found
    asked = [one for one in store.documents(Request) if name_of(one) == name]
    if not asked:
        return store.draft(name)
    listed = ", ".join(one.digest[:12] for one in asked)
    message = (
        f"{name!r} was submitted as {listed}, and what was asked about cannot be changed; begin the next version: "
        f"connectors workflow clone {asked[-1].digest[:12]}"
    )
    raise ConfigError(message)


def find_anything(store: DocumentStore, text: str, *, draft: bool) -> tuple[str, Draft] | Document:
    """Return the draft, the request or another document that is meant.

    Raises:
        ConfigError: there is none, or there are several.
    """
    from connectors.workflow.documents.kinds import AppConfigDocument, Application, DatasetDocument, Party, Workflow  # noqa: PLC0415
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415
    from connectors.workflow.store.records import is_draft_name  # noqa: PLC0415

    there = store.find_draft(text) if is_draft_name(text) else None
    if draft:
        return text, there or open_draft(store, text)
    named = any(
        True
        for one in store.documents(Request, DatasetDocument, Application, AppConfigDocument, Party)
        if _is(one, text)
    )
    if there is not None and named:
        message = f"there is a draft {text!r} and another document: --draft for the one, first digits for the other"
        raise ConfigError(message)
    if there is not None:
        return text, there
    if named:
        return store.find(text, Request, DatasetDocument, Application, AppConfigDocument, Party)
    return store.find(text, Request, DatasetDocument, Application, AppConfigDocument, Party, Workflow)


def _is(document: Document, text: str) -> bool:
    from connectors.workflow.store.lookup import name_of  # noqa: PLC0415

    return name_of(document) == text


def _secrets_of(file: str | None) -> Callable[[str], str]:
    """Return what gives a passphrase or a PIN when it is needed: from a file, or from whoever sits at the terminal."""

    def secret(what: str) -> str:
        return _from_file(file) if file is not None else _ask(what)

    return secret


def new_passphrase(file: str | None, name: str) -> str:
    """Return a passphrase for a new key, which is asked for twice.

    Raises:
        ConfigError: there is nobody to ask, it is empty, or the two are not the same.
    """
    if file is not None:
        return _from_file(file)
    first = _ask(f"new passphrase of {name}")
    if not first:
        message = "an empty passphrase protects nothing; --unencrypted says so, for tests"
        raise ConfigError(message)
    if _ask("the same again") != first:
        message = "the two passphrases are not the same; nothing was made"
        raise ConfigError(message)
    return first


def _from_file(file: str) -> str:
    data = read_private(file, "passphrase file")
    try:
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        message = "the passphrase file is not UTF-8 text"
    raise ConfigError(message)


def _ask(what: str) -> str:
    if not sys.stdin.isatty():
        message = f"there is no terminal to ask for the {what} on; --passphrase-file FILE gives it"
        raise ConfigError(message)
    from getpass import getpass  # noqa: PLC0415 - who gives a file needs none

    return getpass(f"{what[:1].upper()}{what[1:]}: ", stream=sys.stderr)


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether to go on; anything but a yes stops.

    Raises:
        UsageMistake: there is nobody to ask.
        ConfigError: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        message = "there is no terminal to ask on; --yes goes on without asking"
        raise UsageMistake(message)
    console.flush()
    if not typer.confirm(question, default=False, err=True):
        message = "the answer was no; nothing was done"
        raise ConfigError(message)


def signed(
    statement: Statement,
    request: Request,
    identity: Identity,
    doing: str,
    passphrase_file: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> Envelope:
    """Show what a signature will be over, ask, and sign.

    Args:
        statement: what is said to the request.
        request: what it is said to.
        identity: whose key signs.
        doing: what they do by it: "approves".
        passphrase_file: where the passphrase is; None asks for it.
        yes: do not ask whether to sign.
        as_json: do not show it.
    """
    from connectors.cli.workflow.render import request_lines  # noqa: PLC0415 - the extra
    from connectors.workflow.trust.signing import sign  # noqa: PLC0415 - the extra

    name = identity.party.name
    if not as_json:
        say_lines([f"{name} {doing}:", *request_lines(request)])
    confirm(f"Sign this as {name}?", yes=yes)
    return sign(statement, identity.signer(_secrets_of(passphrase_file)))


def status_of(bundle: Bundle, known: Identities) -> Status:
    """Return how a request stands, for somebody who trusts all of its parties.

    Raises:
        UntrustedParty: they do not; the message says what to do.
    """
    from connectors.workflow.trust.refusals import untrusted  # noqa: PLC0415 - the extra
    from connectors.workflow.trust.verification import status  # noqa: PLC0415 - the extra

    request, trusted = bundle.request, known.trusted()
    strangers = {request.requester, *request.approvers} - trusted.keys()
    if strangers:
        raise untrusted(request, strangers, "compare the digests with them, then: connectors identity trust DIGEST")
    return status(bundle, trusted)


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """Return what was given as NAME=VALUE.

    Raises:
        UsageMistake: it was not, or one name was given twice.
    """
    found: dict[str, str] = {}
    for one in given or ():
        name, separator, value = one.partition("=")
        if not separator or not name or name in found:
            message = f"{option} takes NAME=VALUE, each name once"
            raise UsageMistake(message)
        found[name] = value
    return found


def read_passed(path: str) -> bytes:
    """Return what a file from somebody else holds.

    Raises:
        ConfigError: it cannot be read, or the extra is not installed.
    """
    _require_extra()
    from connectors.workflow.documents.canonical import MAX_SIZE  # noqa: PLC0415 - the extra

    # Editors and shells end a file with a new line, which no canonical form has.
    return read_private(path, "file", limit=MAX_SIZE).rstrip(b"\r\n")


def give_out(data: bytes, out: str | None, *, force: bool) -> None:
    """Write what is passed on, to a file or to standard output."""
    if out is None or out == "-":
        if force:
            message = "--force replaces a file, and none is named"
            raise UsageMistake(message)
        # A file that a shell makes of it is to have the canonical bytes, and nothing behind them.
        console.say(data.decode(), end="\n" if sys.stdout.isatty() else "")
    else:
        write_private(out, data, force=force)


def say_lines(lines: Iterable[str]) -> None:
    """Write lines that hold what others have written."""
    for line in lines:
        console.say(printable(line))


def columns(rows: Sequence[Sequence[Any]], indent: str = "  ") -> list[str]:
    """Return aligned lines."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    return [
        indent + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
