"""``connectors workflow export`` and ``import``: documents from one store to another, in files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, Force, example
from connectors.cli.workflow.context import (
    Out,
    StoreFolder,
    find_anything,
    give_out,
    open_store,
    read_passed,
    say_lines,
)

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("export", epilog=example("workflow export 'Patient conditions' --out request.json"))(export)
    group.command("import", epilog=example("workflow import request.json"))(import_)


def export(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="A draft, a request or another document: name, or digits of a digest.")
    ],
    *,
    draft: Annotated[bool, typer.Option("--draft", help="The draft, where a request has its name too.")] = False,
    out: Out = None,
    force: Force = False,
    store: StoreFolder = None,
) -> None:
    """Write what others need to have of a document, in one file.

    Of a request, that is the request with what was said to it; of anything else, the document with all that it refers
    to. No secret is in it, and nobody who passes it on can change it unseen.
    """
    kept = open_store(store)
    found = find_anything(kept, what, draft=draft)
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - the extra
    from connectors.workflow.store import transfer  # noqa: PLC0415 - the extra

    if isinstance(found, tuple):
        data = transfer.export_draft(kept, found[0])
    elif isinstance(found, Request):
        data = transfer.export_request(kept, found)
    else:
        data = transfer.export_documents(kept, found)
    give_out(data, out, force=force)


def import_(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="What others have exported, or - for stdin.")],
    *,
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Keep what others have exported, once all of it is verified: digests, rules, and who has signed what.

    What is here already stays as it is, so it does no harm to import a file twice.
    """
    kept = open_store(store)
    from connectors.workflow.store.lookup import name_of  # noqa: PLC0415 - the extra
    from connectors.workflow.store.transfer import receive  # noqa: PLC0415 - the extra

    told: list[dict[str, Any]] = []
    for file in files:
        passed = receive(kept, read_passed(file))
        added, bundle = set(passed.added), passed.bundle
        told.append(
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
                    {"name": name, "revision": draft.revision, "new": name in passed.drafts_changed}
                    for name, draft in passed.drafts.items()
                ],
            }
        )
    if as_json:
        console.say_json(told)
        return
    for one in told:
        lines = [f"{document['kind']} {document['name']!r}" for document in one["documents"] if document["new"]]
        lines += [f"draft {draft['name']!r}, revision {draft['revision']}" for draft in one["drafts"] if draft["new"]]
        lines += [f"{one['said_new']} signed"] if one["said_new"] else []
        say_lines([f"{one['file']}: {', '.join(lines) or 'nothing new'}"])
