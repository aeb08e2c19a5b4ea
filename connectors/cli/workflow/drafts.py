"""``connectors workflow new``, ``add``, ``connect`` and what else puts a workflow together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.options import AsJson, example
from connectors.cli.workflow.context import StoreFolder, open_draft, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.workflow.documents.drafts import Draft
    from connectors.workflow.documents.kinds import Edge
    from connectors.workflow.store.contract import DocumentStore

__all__ = ["register"]

DraftName = Annotated[str, typer.Argument(metavar="DRAFT", help="The draft, by its name.")]
ObjectId = Annotated[str, typer.Argument(metavar="ID", help="What to call the object in the workflow.")]
Source = Annotated[str, typer.Argument(metavar="SOURCE[:PORT]", help="What comes from here …")]
Target = Annotated[str, typer.Argument(metavar="TARGET[:PORT]", help="… goes there.")]


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
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="TEXT", help="A group that it belongs to.")] = None,
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Begin a workflow: a draft without any objects."""
    kept = open_store(store)
    from connectors.workflow.documents.drafts import Draft  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.kinds import Workflow  # noqa: PLC0415 - the extra

    draft = Draft(workflow=Workflow.make(name=name, description=description, group=group, objects={}))
    kept.save_draft(name, draft, None)
    _tell(name, draft, as_json=as_json)


def add(
    name: DraftName,
    object_id: ObjectId,
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="A dataset or app config: its name, or first digits of its digest.")
    ],
    *,
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Add a dataset or an app config to a draft, or fill a place that was kept for it."""
    kept = open_store(store)
    from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument  # noqa: PLC0415 - the extra

    document = kept.find(what, DatasetDocument, AppConfigDocument)
    assert isinstance(document, (DatasetDocument, AppConfigDocument))  # noqa: S101 - one of the two
    _change(kept, name, lambda draft: draft.with_object(object_id, document), as_json=as_json)


def place(
    name: DraftName,
    object_id: ObjectId,
    *,
    reserved_for: Annotated[
        str, typer.Option("--for", metavar="PARTY", help="Who is to fill it: a name, or first digits of a digest.")
    ],
    wanted: Annotated[str, typer.Option("--wanted", metavar="KIND", help="dataset or app.")] = "dataset",
    purpose: Annotated[str | None, typer.Option("--purpose", metavar="TEXT", help="What it is for.")] = None,
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Keep a place in a draft for what another party is to bring."""
    kept = open_store(store)
    from connectors.workflow.documents.kinds import Party  # noqa: PLC0415 - the extra

    party = kept.find(reserved_for, Party)
    _change(kept, name, lambda draft: draft.with_place(object_id, party, wanted, purpose), as_json=as_json)


def connect(
    name: DraftName, source: Source, target: Target, *, store: StoreFolder = None, as_json: AsJson = False
) -> None:
    """Connect two objects of a draft: what comes out of the source goes into the target.

    Of an application, name the port: describe:input.
    """
    kept = open_store(store)
    _change(kept, name, lambda draft: draft.with_edge(_edge(draft, source, target)), as_json=as_json)


def disconnect(
    name: DraftName, source: Source, target: Target, *, store: StoreFolder = None, as_json: AsJson = False
) -> None:
    """Take a connection out of a draft."""
    kept = open_store(store)
    _change(kept, name, lambda draft: draft.without_edge(_edge(draft, source, target)), as_json=as_json)


def remove(name: DraftName, object_id: ObjectId, *, store: StoreFolder = None, as_json: AsJson = False) -> None:
    """Take an object out of a draft, with its connections."""
    kept = open_store(store)
    _change(kept, name, lambda draft: draft.without_object(object_id), as_json=as_json)


def discard(name: DraftName, *, store: StoreFolder = None, as_json: AsJson = False) -> None:
    """Remove a draft."""
    kept = open_store(store)
    draft = kept.draft(name)
    kept.drop_draft(name, draft)
    _tell(name, draft, as_json=as_json)


def clone(
    what: Annotated[
        str, typer.Argument(metavar="REQUEST", help="A request: its workflow's name, or first digits of its digest.")
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The draft's name; that of the workflow if not given.")
    ] = None,
    *,
    store: StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Begin the next version of a workflow, as a draft with all that the one before it has."""
    kept = open_store(store)
    from connectors.workflow.documents.drafts import Draft  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.kinds import Workflow  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - the extra

    workflow = kept.find(what, Request).graph.workflow
    members = {member: getattr(workflow, member) for member in Workflow.model_fields}
    members |= {"name": name or workflow.name, "version": workflow.version + 1, "parent": workflow.digest}
    draft = Draft(workflow=Workflow.make(**members))
    kept.save_draft(name or workflow.name, draft, None)
    _tell(name or workflow.name, draft, as_json=as_json)


def _change(store: DocumentStore, name: str, change: Callable[[Draft], Draft], *, as_json: bool) -> None:
    """Write the next revision of a draft, once it holds together."""
    was = open_draft(store, name)
    draft = change(was)
    store.graph(draft.workflow)
    store.save_draft(name, draft, was)
    _tell(name, draft, as_json=as_json)


def _edge(draft: Draft, source: str, target: str) -> Edge:
    from connectors.workflow.documents.drafts import end_of  # noqa: PLC0415 - the extra
    from connectors.workflow.documents.kinds import Edge  # noqa: PLC0415 - the extra

    objects = draft.workflow.objects
    return Edge(source=end_of(source, objects), target=end_of(target, objects))


def _tell(name: str, draft: Draft, *, as_json: bool) -> None:
    if as_json:
        console.say_json({"draft": name, "revision": draft.revision, "workflow": draft.members()["workflow"]})
    else:
        console.note(f"The draft {name!r} is at revision {draft.revision}.")
