"""``connectors workflow diff``, ``picture`` and ``reach``: review a workflow before approving it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.options import AsJson, Force, example
from connectors.cli.common.private_files import write_private
from connectors.cli.workflow.changes import SHOWN, shortened
from connectors.cli.workflow.context import StoreFolder, has_store, open_store, read_document
from connectors.errors import InvalidDocument
from connectors.names import quoted
from connectors.workflow.documents.requests import Request
from connectors.workflow.review.difference import compare
from connectors.workflow.review.naming import Names
from connectors.workflow.review.picture import draw
from connectors.workflow.review.wording import in_words
from connectors.workflow.trust.verification import Bundle, status

if TYPE_CHECKING:
    from connectors.workflow.documents.graph import Graph

__all__ = ["register"]

_Request = Annotated[
    str,
    typer.Argument(
        metavar="REQUEST", help="A request: a file, - for stdin, or a name or first digits of a digest in the store."
    ),
]


def register(group: typer.Typer) -> None:
    """Add the three verbs to the group ``workflow``."""
    group.command("diff", epilog=example("workflow diff approved.json asked.json"))(diff)
    commands = ("workflow picture asked.json --out asked.svg", "workflow picture 'Patient conditions' > asked.svg")
    group.command("picture", epilog=example(*commands))(picture)
    group.command("reach", epilog=example("workflow reach asked.json", "workflow reach 'Patient conditions'"))(reach)


def diff(
    before: Annotated[
        str, typer.Argument(metavar="OLD", help="The old version: a file, - for stdin, or a request in the store.")
    ],
    after: Annotated[str, typer.Argument(metavar="NEW", help="The new version, given in the same way.")],
    *,
    folder: StoreFolder = None,
    everything: Annotated[bool, typer.Option("--all", help=f"Show more than {SHOWN} lines of a kind.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what differs between versions: what reaches whom, owners, builds, locations and the rest.

    Objects are matched by their ids. Signatures are not verified.
    """
    if before == after == "-":
        message = "only one of the two versions can come from standard input"
        raise UsageMistake(message)
    old, new = find_bundle(before, folder), find_bundle(after, folder)

    was, now = old.request.graph, new.request.graph
    found = compare(was, now)
    if as_json:
        console.print_json(found.members())
        return
    if not found:
        same = "The workflow is the same" + ("" if old.request.digest == new.request.digest else "; the request is new")
        console.print_line(f"{same}.")
        return
    words = in_words(found, was, now)
    if not everything:
        words = shortened(words, "--all shows them")
    for number, (title, sentences) in enumerate(words.items()):
        console.print_line(f"{'' if number == 0 else chr(10)}{title}")
        for sentence in sentences:
            console.print_line(f"  {sentence}")


def picture(
    what: _Request,
    *,
    folder: StoreFolder = None,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="The file to write; the default is stdout.")] = "-",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Draw the workflow as an SVG, with its approvals.

    Signatures are verified, but whether the keys belong to the named parties is not checked.
    """
    found = find_bundle(what, folder)

    graph = found.request.graph
    drawn = draw(graph, status(found, found.request.documents))
    if out == "-":
        if force:
            message = "--force needs --out FILE, the file to replace"
            raise UsageMistake(message)
        if as_json:
            console.print_json({"svg": drawn})
        else:
            console.print_line(drawn, end="")
        return
    write_private(out, drawn.encode(), force=force)
    if as_json:
        console.print_json({"file": out})


def reach(what: _Request, *, folder: StoreFolder = None, as_json: AsJson = False) -> None:
    """List what reaches whom: each dataset that is read, and all objects that may contain its data."""
    graph = find_bundle(what, folder).request.graph
    pairs = graph.reach()
    if as_json:
        console.print_json(
            [
                {
                    "source": _as_json(graph, one.source),
                    "target": _as_json(graph, one.target),
                    "through": list(one.through),
                }
                for one in pairs
            ]
        )
        return

    names = Names(graph)
    owners = {name: ", ".join(dict.fromkeys(names.owners(name, graph))) for name in graph.nodes}
    rows = [
        (one.source, owners[one.source], one.target, owners[one.target], ", ".join(map(quoted, one.through)) or "-")
        for one in pairs
    ]
    console.table(("SOURCE", "OF", "REACHES", "OF", "THROUGH"), rows)


def find_bundle(text: str, folder: str | None) -> Bundle:
    """Return a request with its statements.

    Args:
        text: a file, ``-`` for standard input, or a request's name or digest in the store.
        folder: the store's folder, if given.

    Raises:
        ConfigError: there is no such file and no such request, or it cannot be read.
        InvalidDocument: it is not a bundle, or is inconsistent.
    """
    if text != "-" and not os.path.exists(text) and has_store(folder):
        store = open_store(folder)

        return store.bundle(store.find(text, Request))
    data = read_document(text)

    try:
        bundle = Bundle.from_bytes(data)
        _ = bundle.request.graph
    except InvalidDocument as error:
        problem = f"{'standard input' if text == '-' else repr(text)}: {error}"
    else:
        return bundle
    raise InvalidDocument(problem)


def _as_json(graph: Graph, name: str) -> dict[str, object]:
    node = graph.nodes[name]
    owners = [{"name": graph.party(digest).name, "digest": digest} for digest in graph.owners_of(name)]
    return {
        "id": name,
        "kind": "app" if graph.is_app(name) else "dataset",
        "name": getattr(node, "name", None),
        "owners": owners,
    }
