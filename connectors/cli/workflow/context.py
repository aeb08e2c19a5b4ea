"""What the verbs of identities and workflows share: options, the store, identities, passphrases, signing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.key_files import ask, passphrase_file
from connectors.cli.common.private_files import read_private, write_private
from connectors.cli.workflow.render import request_lines
from connectors.errors import ConfigError
from connectors.names import printable
from connectors.workflow.documents.canonical import MAX_SIZE
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    DatasetDocument,
    Party,
    Submission,
    Workflow,
)
from connectors.workflow.documents.requests import Request
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.store.lookup import name_of
from connectors.workflow.store.records import is_draft_name
from connectors.workflow.trust.identities import Identities
from connectors.workflow.trust.refusals import untrusted
from connectors.workflow.trust.signing import sign
from connectors.workflow.trust.verification import status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from connectors.workflow.documents.drafts import Draft
    from connectors.workflow.documents.kinds import Statement
    from connectors.workflow.documents.model import Document
    from connectors.workflow.store.contract import DocumentStore
    from connectors.workflow.trust.identities import Identity
    from connectors.workflow.trust.signing import Envelope
    from connectors.workflow.trust.verification import Bundle, Status

__all__ = [
    "Acting",
    "AllowLocal",
    "Asked",
    "Labels",
    "Out",
    "PassphraseFile",
    "StoreFolder",
    "Yes",
    "confirm",
    "find_document",
    "has_store",
    "identities",
    "new_passphrase",
    "open_draft",
    "open_store",
    "pairs",
    "print_lines",
    "read_document",
    "show_and_sign",
    "status_of",
    "write_document",
]

STORE_VARIABLE = "CONNECTORS_STORE"

StoreFolder = Annotated[
    str | None,
    typer.Option("--store", metavar="DIR", help="The folder of documents; the default is $CONNECTORS_STORE."),
]
Acting = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Your identity, if you have several.")]
PassphraseFile = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="A file with the passphrase, or - for stdin; without it you are asked.",
    ),
]
Asked = Annotated[
    str, typer.Argument(metavar="REQUEST", help="The request: its workflow's name, or the first digits of its digest.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation, for scripts.")]
AllowLocal = Annotated[
    bool,
    typer.Option(
        "--allow-local", help="Accept file:// and memory:// locations, on the application's machine: for development."
    ),
]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="The file to write; the default is stdout.")]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label; repeatable.")]


def open_store(folder: str | None) -> DocumentStore:
    """Open the store in `folder`, or in $CONNECTORS_STORE.

    Raises:
        ConfigError: neither is given.
    """
    chosen = _chosen(folder)
    if not chosen:
        message = f"name the folder of documents: --store DIR, or ${STORE_VARIABLE}; it is created if it does not exist"
        raise ConfigError(message)
    return FolderStore(os.path.expanduser(chosen))


def has_store(folder: str | None) -> bool:
    """Tell whether a store is given, as an option or in the environment."""
    return bool(_chosen(folder))


def _chosen(folder: str | None) -> str | None:
    return folder or os.environ.get(STORE_VARIABLE)


def identities() -> Identities:
    """Return the identities on this machine."""
    return Identities()


def open_draft(store: DocumentStore, name: str) -> Draft:
    """Return a draft.

    Raises:
        ConfigError: there is none of that name; for a submitted one, the message says how to continue.
    """
    found = store.find_draft(name)
    if found is not None:
        return found
    asked = [one for one in store.documents(Request) if name_of(one) == name]
    if not asked:
        return store.draft(name)
    listed = ", ".join(one.digest[:12] for one in asked)
    message = (
        f"{name!r} was submitted as {listed} and can no longer be changed; start the next version: "
        f"connectors workflow clone {asked[-1].digest[:12]}"
    )
    raise ConfigError(message)


def find_document(store: DocumentStore, text: str, *, draft: bool) -> tuple[str, Draft] | Document:
    """Return the draft, the request or another document of a name or digest.

    Raises:
        ConfigError: there is none, or there are several.
    """
    there = store.find_draft(text) if is_draft_name(text) else None
    if draft:
        return text, there or open_draft(store, text)
    named = any(
        True
        for one in store.documents(Request, DatasetDocument, Application, AppConfigDocument, Party)
        if _is(one, text)
    )
    if there is not None and named:
        message = (
            f"{text!r} is a draft and another document: use --draft for the draft, or digits of the other's digest"
        )
        raise ConfigError(message)
    if there is not None:
        return text, there
    if named:
        return store.find(text, Request, DatasetDocument, Application, AppConfigDocument, Party)
    return store.find(text, Request, DatasetDocument, Application, AppConfigDocument, Party, Workflow)


def _is(document: Document, text: str) -> bool:

    return name_of(document) == text


def _passphrase_source(file: str | None) -> Callable[[str], str]:
    """Return a function that reads a passphrase or a PIN, from a file or from the terminal."""

    def secret(what: str) -> str:
        return passphrase_file(file).reveal() if file is not None else ask(what)

    return secret


def new_passphrase(file: str | None, name: str) -> str:
    """Return a passphrase for a new key: from a file, or typed twice.

    Raises:
        ConfigError: there is no terminal, the passphrase is empty, or the two differ.
    """
    if file is not None:
        return passphrase_file(file).reveal()
    first = ask(f"new passphrase of {name}")
    if not first:
        message = "an empty passphrase protects nothing; for tests, use --unencrypted"
        raise ConfigError(message)
    if ask("the passphrase again") != first:
        message = "the two passphrases differ; no identity was made"
        raise ConfigError(message)
    return first


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation; any answer but yes stops.

    Raises:
        UsageMistake: there is no terminal.
        ConfigError: the answer is not yes.
    """
    if yes:
        return
    _require_terminal()
    console.flush()
    if not typer.confirm(printable(question), default=False, err=True):
        message = "not confirmed; nothing was changed"
        raise ConfigError(message)


def _require_terminal() -> None:
    if not sys.stdin.isatty():
        message = "confirmation needs a terminal; --yes skips it"
        raise UsageMistake(message)


def show_and_sign(
    statement: Statement,
    request: Request,
    identity: Identity,
    doing: str,
    passphrase_file: str | None,
    *,
    yes: bool,
    as_json: bool,
    named: bool,
) -> Envelope:
    """Show what will be signed, ask for confirmation, and sign.

    Nobody signs unseen: the text is shown where the question is asked. Without a question it is a record on standard
    output, or, where that is JSON, the caller must have named by its complete digest what they saw before.

    Args:
        statement: the statement to sign.
        request: the request that it is about.
        identity: whose key signs.
        doing: the statement as a verb, for people: "approves".
        passphrase_file: a file with the passphrase; None asks for it.
        yes: do not ask for confirmation.
        as_json: standard output is JSON.
        named: whether the caller named what is signed by its complete digest.

    Raises:
        UsageMistake: nothing would be shown and nothing was named; or a question needs a terminal.
        ConfigError: the answer is not yes.
    """
    name = identity.party.name
    lines = [f"{name} {doing}:", *request_lines(request, statement)]
    if not yes:
        _require_terminal()
        console.flush()
        console.write_error("".join(f"{printable(line)}\n" for line in lines))
    elif not as_json:
        print_lines(lines)
    elif not named:
        option = "with --workflow DIGEST" if isinstance(statement, Submission) else "as REQUEST"
        message = (
            "--yes with --json shows nothing of what is signed: look at it with `connectors workflow show`, and give "
            f"its complete digest {option}; nothing was signed"
        )
        raise UsageMistake(message)
    confirm(f"Sign this as {name}?", yes=yes)
    return sign(statement, identity.signer(_passphrase_source(passphrase_file)))


def status_of(bundle: Bundle, known: Identities) -> Status:
    """Return the status of a request, all of whose parties must be trusted.

    Raises:
        UntrustedParty: a party is not trusted; the message says what to do.
    """
    request, trusted = bundle.request, known.trusted()
    strangers = {request.requester, *request.approvers} - trusted.keys()
    if strangers:
        raise untrusted(request, strangers, "compare the digests with them, then: connectors identity trust DIGEST")
    return status(bundle, trusted)


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """Parse options of the form NAME=VALUE.

    Raises:
        UsageMistake: one has another form, or a name occurs twice.
    """
    found: dict[str, str] = {}
    for one in given or ():
        name, separator, value = one.partition("=")
        if not separator or not name or name in found:
            message = f"{option} expects NAME=VALUE, each name once"
            raise UsageMistake(message)
        found[name] = value
    return found


def read_document(path: str) -> bytes:
    """Return the content of a file from another party.

    Raises:
        ConfigError: it cannot be read.
    """
    # Editors and shells end a file with a newline, which the canonical form does not have.
    return read_private(path, "file", limit=MAX_SIZE).rstrip(b"\r\n")


def write_document(data: bytes, out: str | None, *, force: bool) -> None:
    """Write a document to a file or to standard output."""
    if out is None or out == "-":
        if force:
            message = "--force needs --out FILE, the file to replace"
            raise UsageMistake(message)
        # Redirected to a file, the output must be the canonical bytes, without a newline.
        console.print_line(data.decode(), end="\n" if sys.stdout.isatty() else "")
    else:
        write_private(out, data, force=force)


def print_lines(lines: Iterable[str]) -> None:
    """Write lines that contain text from other parties, with control characters escaped."""
    for line in lines:
        console.print_line(printable(line))
