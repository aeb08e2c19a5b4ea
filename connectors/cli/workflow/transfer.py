"""``connectors workflow export`` and ``import``: exchange documents between stores in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
from connectors.names import quoted
from connectors.workflow.documents.requests import Request
from connectors.workflow.store import transfer
from connectors.workflow.store.lookup import name_of
from connectors.workflow.store.transfer import receive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.cli.workflow.changes import Changes
    from connectors.workflow.store.transfer import Passed

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
    try:
        for file in files:
            passed = receive(store, read_document(file))
            found = {name: changes_of(store, name, passed.drafts[name]) for name in passed.drafts_changed}
            changes = {name: one for name, one in found.items() if one is not None}
            report.append(_members(file, passed, changes))
            if not as_json:
                print_lines(_lines(report[-1], passed, changes))
    finally:  # of the files before a bad one, what was kept is told, too
        if as_json and report:
            console.print_json(report)


def _members(file: str, passed: Passed, changes: Mapping[str, Changes]) -> dict[str, Any]:
    """Return what was kept of a file, as JSON members."""
    added, bundle = set(passed.added), passed.bundle
    return {
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
                **({"changed": changes[name].members()} if name in changes else {}),
            }
            for name, draft in passed.drafts.items()
        ],
        **({"dropped": passed.drafts_dropped} if passed.drafts_dropped else {}),
    }


def _lines(told: Mapping[str, Any], passed: Passed, changes: Mapping[str, Changes]) -> Iterator[str]:
    """Yield what was kept of a file, in words."""
    lines = [f"{document['kind']} {quoted(document['name'])}" for document in told["documents"] if document["new"]]
    lines += [
        f"draft {quoted(draft['name'])}, revision {draft['revision']}" for draft in told["drafts"] if draft["new"]
    ]
    lines += [f"{told['said_new']} signed"] if told["said_new"] else []
    yield f"{told['file']}: {', '.join(lines) or 'nothing new'}"
    if passed.bundle is not None:
        request = passed.bundle.request
        who = quoted(request.party(request.requester).name)
        for name in passed.drafts_dropped:
            yield f"  the draft {quoted(name)} was removed: {who} has submitted it, as the request {request.digest}"
    for name, one in changes.items():
        yield from (f"  {line}" for line in one.lines(f"connectors workflow show {name!r}"))
