"""``connectors workflow diff``, ``picture`` and ``reach``: what those who approve a workflow look at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.options import AsJson, Force, example
from connectors.cli.common.private_files import write_private
from connectors.cli.workflow.context import StoreFolder, has_store, open_store, read_passed
from connectors.errors import InvalidDocument

if TYPE_CHECKING:
    from connectors.workflow.documents.graph import Graph
    from connectors.workflow.trust.verification import Bundle

__all__ = ["register"]

SHOWN = 100
"""Sentences under one title: nobody reads thousands, and what matters more than they stands before them."""

_Request = Annotated[
    str, typer.Argument(metavar="REQUEST", help="A request: a file, - for stdin, or its name or digits in the store.")
]


def register(group: typer.Typer) -> None:
    """Add the three verbs to the group ``workflow``."""
    group.command("diff", epilog=example("workflow diff approved.json asked.json"))(diff)
    commands = ("workflow picture asked.json --out asked.svg", "workflow picture 'Patient conditions' > asked.svg")
    group.command("picture", epilog=example(*commands))(picture)
    group.command("reach", epilog=example("workflow reach asked.json", "workflow reach 'Patient conditions'"))(reach)


def diff(
    before: Annotated[
        str, typer.Argument(metavar="OLD", help="What was: a file, - for stdin, or a request's name or digits.")
    ],
    after: Annotated[str, typer.Argument(metavar="NEW", help="What is, the same.")],
    *,
    store: StoreFolder = None,
    everything: Annotated[bool, typer.Option("--all", help=f"Show more than {SHOWN} lines of a kind.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is different between two versions: new reach first, then owners, builds, locations and the rest.

    Objects are matched by their ids. Signatures are not looked at.
    """
    if before == after == "-":
        message = "only one of the two versions can come from standard input"
        raise UsageMistake(message)
    old, new = find_bundle(before, store), find_bundle(after, store)
    from connectors.workflow.review.difference import compare  # noqa: PLC0415 - loads pydantic
    from connectors.workflow.review.wording import in_words  # noqa: PLC0415

    was, now = old.request.graph, new.request.graph
    found = compare(was, now)
    if as_json:
        console.say_json(found.members())
        return
    if not found:
        same = "The workflow is the same" + ("" if old.request.digest == new.request.digest else "; it is asked anew")
        console.say(f"{same}.")
        return
    for number, (title, sentences) in enumerate(in_words(found, was, now).items()):
        console.say(f"{'' if number == 0 else chr(10)}{title}")
        for sentence in sentences if everything else sentences[:SHOWN]:
            console.say(f"  {sentence}")
        if len(sentences) > SHOWN and not everything:
            console.say(f"  … and {len(sentences) - SHOWN:,} more; --all shows them")


def picture(
    what: _Request,
    *,
    store: StoreFolder = None,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Where to; standard output if not given.")] = "-",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Draw the workflow as an SVG, with who has approved.

    Signatures are verified, but not whether the keys are those of whom they say.
    """
    found = find_bundle(what, store)
    from connectors.workflow.review.picture import draw  # noqa: PLC0415 - loads pydantic
    from connectors.workflow.trust.verification import status  # noqa: PLC0415

    graph = found.request.graph
    drawn = draw(graph, status(found, found.request.documents))
    if out == "-":
        if force:
            message = "--force replaces a file, and none is named: --out FILE"
            raise UsageMistake(message)
        if as_json:
            console.say_json({"svg": drawn})
        else:
            console.say(drawn, end="")
        return
    write_private(out, drawn.encode(), force=force)
    if as_json:
        console.say_json({"file": out})


def reach(what: _Request, *, store: StoreFolder = None, as_json: AsJson = False) -> None:
    """List what reaches whom: each dataset that is read, and all that may then hold what is in it."""
    graph = find_bundle(what, store).request.graph
    pairs = graph.reach()
    if as_json:
        console.say_json(
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
    from connectors.workflow.review.naming import Names  # noqa: PLC0415 - loads pydantic

    names = Names(graph)
    owners = {name: ", ".join(dict.fromkeys(names.owners(name, graph))) for name in graph.nodes}
    rows = [
        (one.source, owners[one.source], one.target, owners[one.target], ", ".join(one.through) or "-") for one in pairs
    ]
    console.table(("SOURCE", "OF", "REACHES", "OF", "THROUGH"), rows)


def find_bundle(text: str, folder: str | None) -> Bundle:
    """Return the request that is meant, with what was said to it.

    Args:
        text: a file, ``-`` for standard input, or a request's name or digits in the store.
        folder: the store's, if one is named.

    Raises:
        ConfigError: there is no such file and no such request, or it cannot be read.
        InvalidDocument: it is no bundle, or what is in it does not hold together.
    """
    if text != "-" and not os.path.exists(text) and has_store(folder):
        store = open_store(folder)
        from connectors.workflow.documents.requests import Request  # noqa: PLC0415 - loads pydantic

        return store.bundle(store.find(text, Request))
    data = read_passed(text)
    from connectors.workflow.trust.verification import Bundle  # noqa: PLC0415

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
