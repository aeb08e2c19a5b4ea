"""``connectors workflow export`` and ``import``: exchange documents between stores in files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, Force, example
from connectors.cli.workflow.changes import changes_of
from connectors.cli.workflow.context import (
    Out,
    StoreFolder,
    find_document,
    open_store,
    print_lines,
    read_document,
    write_document,
)
from connectors.workflow.documents.requests import Request
from connectors.workflow.store import transfer
from connectors.workflow.store.lookup import name_of
from connectors.workflow.store.transfer import receive

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("export", epilog=example("workflow export 'Patient conditions' --out request.json"))(export)
    group.command("import", epilog=example("workflow import request.json"))(import_)


def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="A draft, a request or another document: its name, or the first digits of its digest."
        ),
    ],
    *,
    draft: Annotated[bool, typer.Option("--draft", help="Use the draft, if a request has the same name.")] = False,
    out: Out = None,
    force: Force = False,
    folder: StoreFolder = None,
) -> None:
    """Export a document for the other parties, in one file.

    A request is exported with its statements; any other document is exported with all documents that it refers to.
    The file contains no secrets, and any change to it is detected.
    """
    store = open_store(folder)
    found = find_document(store, what, draft=draft)

    if isinstance(found, tuple):
        data = transfer.export_draft(store, found[0])
    elif isinstance(found, Request):
        data = transfer.export_request(store, found)
    else:
        data = transfer.export_documents(store, found)
    write_document(data, out, force=force)


def import_(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="The files that others have exported, or - for stdin.")
    ],
    *,
    folder: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Import what others have exported, after verifying digests, rules and signatures.

    Documents that are already here do not change, so a file can be imported twice. For a newer revision of a draft,
    which nobody has signed, it prints what was changed since the last revision that was made here.
    """
    store = open_store(folder)

    report: list[dict[str, Any]] = []
    words: list[list[str]] = []
    for file in files:
        passed = receive(store, read_document(file))
        added, bundle = set(passed.added), passed.bundle
        changes = {name: changes_of(store, name, passed.drafts[name]) for name in passed.drafts_changed}
        known = {name: one for name, one in changes.items() if one is not None}
        words.append([line for name, one in known.items() for line in one.lines(f"connectors workflow show {name!r}")])
        report.append(
            {
                "file": file,
                "request": None if bundle is None else bundle.request.digest,
                "documents": [
                    {"digest": digest, "kind": document.kind, "name": name_of(document), "new": digest in added}
                    for digest, document in passed.documents.items()
                ],
                "said": 0 if bundle is None else len(bundle.statements),
                "said_new": len(added - passed.documents.keys()),
                "drafts": [
                    {
                        "name": name,
                        "revision": draft.revision,
                        "new": name in passed.drafts_changed,
                        **({"changed": known[name].members()} if name in known else {}),
                    }
                    for name, draft in passed.drafts.items()
                ],
            }
        )
    if as_json:
        console.print_json(report)
        return
    for one, changed in zip(report, words, strict=True):
        lines = [f"{document['kind']} {document['name']!r}" for document in one["documents"] if document["new"]]
        lines += [f"draft {draft['name']!r}, revision {draft['revision']}" for draft in one["drafts"] if draft["new"]]
        lines += [f"{one['said_new']} signed"] if one["said_new"] else []
        print_lines([f"{one['file']}: {', '.join(lines) or 'nothing new'}", *(f"  {line}" for line in changed)])
