"""``connectors workflow new``, ``add``, ``connect`` and the other verbs that edit a draft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, example
from connectors.cli.workflow.context import StoreFolder, open_draft, open_store
from connectors.workflow.documents.drafts import Draft, end_of
from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument, Edge, Party, Workflow
from connectors.workflow.documents.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.workflow.store.contract import DocumentStore

__all__ = ["register"]

DraftName = Annotated[str, typer.Argument(metavar="DRAFT", help="The draft's name.")]
ObjectId = Annotated[str, typer.Argument(metavar="ID", help="The object's name in the workflow.")]
Source = Annotated[
    str, typer.Argument(metavar="SOURCE[:PORT]", help="The object, and the application's port, that data comes from.")
]
Target = Annotated[
    str, typer.Argument(metavar="TARGET[:PORT]", help="The object, and the application's port, that data goes to.")
]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("new", epilog=example("workflow new 'Patient conditions'"))(new)
    group.command("add", epilog=example("workflow add 'Patient conditions' conditions 'Conditions Data'"))(add)
    group.command("place", epilog=example("workflow place 'Patient conditions' result --for 'Registry C'"))(place)
    group.command("connect", epilog=example("workflow connect 'Patient conditions' conditions describe:input"))(connect)
    group.command("disconnect")(disconnect)
    group.command("remove")(remove)
    group.command("discard")(discard)
    group.command("clone", epilog=example("workflow clone 1f0c9a41"))(clone)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The workflow's name.")],
    *,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="Its purpose.")] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="TEXT", help="The group that it belongs to.")] = None,
    folder: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Create a workflow: a draft without objects."""
    store = open_store(folder)

    draft = Draft(workflow=Workflow.make(name=name, description=description, group=group, objects={}))
    store.save_draft(name, draft, None)
    _report(name, draft, as_json=as_json)


def add(
    name: DraftName,
    object_id: ObjectId,
    what: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="A dataset or app config: its name, or the first digits of its digest."),
    ],
    *,
    folder: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Add a dataset or an app config to a draft, or fill a placeholder with it."""
    store = open_store(folder)

    document = store.find(what, DatasetDocument, AppConfigDocument)
    assert isinstance(document, (DatasetDocument, AppConfigDocument))  # noqa: S101 - one of the two
    _change(store, name, lambda draft: draft.with_object(object_id, document), as_json=as_json)


def place(
    name: DraftName,
    object_id: ObjectId,
    *,
    reserved_for: Annotated[
        str,
        typer.Option(
            "--for", metavar="PARTY", help="The party that will fill it: its name, or the first digits of its digest."
        ),
    ],
    wanted: Annotated[str, typer.Option("--wanted", metavar="KIND", help="dataset or app.")] = "dataset",
    purpose: Annotated[str | None, typer.Option("--purpose", metavar="TEXT", help="Its purpose.")] = None,
    folder: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Add a placeholder to a draft, for another party's object."""
    store = open_store(folder)

    party = store.find(reserved_for, Party)
    _change(store, name, lambda draft: draft.with_place(object_id, party, wanted, purpose), as_json=as_json)


def connect(
    name: DraftName, source: Source, target: Target, *, folder: StoreFolder = None, as_json: AsJson = False
) -> None:
    """Connect two objects of a draft: data flows from the source to the target.

    For an application, add the port: describe:input.
    """
    store = open_store(folder)
    _change(store, name, lambda draft: draft.with_edge(_edge(draft, source, target)), as_json=as_json)


def disconnect(
    name: DraftName, source: Source, target: Target, *, folder: StoreFolder = None, as_json: AsJson = False
) -> None:
    """Remove a connection from a draft."""
    store = open_store(folder)
    _change(store, name, lambda draft: draft.without_edge(_edge(draft, source, target)), as_json=as_json)


def remove(name: DraftName, object_id: ObjectId, *, folder: StoreFolder = None, as_json: AsJson = False) -> None:
    """Remove an object and its connections from a draft."""
    store = open_store(folder)
    _change(store, name, lambda draft: draft.without_object(object_id), as_json=as_json)


def discard(name: DraftName, *, folder: StoreFolder = None, as_json: AsJson = False) -> None:
    """Delete a draft."""
    store = open_store(folder)
    draft = store.draft(name)
    store.drop_draft(name, draft)
    _report(name, draft, as_json=as_json)


def clone(
    what: Annotated[
        str,
        typer.Argument(metavar="REQUEST", help="A request: its workflow's name, or the first digits of its digest."),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The draft's name; the default is the workflow's.")
    ] = None,
    *,
    folder: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Start the next version of a workflow: a draft with the same objects and connections."""
    store = open_store(folder)

    workflow = store.find(what, Request).graph.workflow
    members = {member: getattr(workflow, member) for member in Workflow.model_fields}
    members |= {"name": name or workflow.name, "version": workflow.version + 1, "parent": workflow.digest}
    draft = Draft(workflow=Workflow.make(**members))
    store.save_draft(name or workflow.name, draft, None)
    _report(name or workflow.name, draft, as_json=as_json)


def _change(store: DocumentStore, name: str, change: Callable[[Draft], Draft], *, as_json: bool) -> None:
    """Check and write the next revision of a draft."""
    was = open_draft(store, name)
    draft = change(was)
    store.graph(draft.workflow)
    store.save_draft(name, draft, was)
    _report(name, draft, as_json=as_json)


def _edge(draft: Draft, source: str, target: str) -> Edge:

    objects = draft.workflow.objects
    return Edge(source=end_of(source, objects), target=end_of(target, objects))


def _report(name: str, draft: Draft, *, as_json: bool) -> None:
    if as_json:
        console.print_json({"draft": name, "revision": draft.revision, "workflow": draft.members()["workflow"]})
    else:
        console.note(f"The draft {name!r} is at revision {draft.revision}.")
