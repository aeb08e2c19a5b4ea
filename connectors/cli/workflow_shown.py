"""What people are shown of workflows and requests, in words and as JSON: nothing in it comes from anything unsigned.

What reaches whom is worked out from the connections alone, and every party is named by what it owns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.cli.inspection import moment
from connectors.cli.workflow_common import columns
from connectors.workflow.documents import AppConfig, Dataset, Decision, Party, Placeholder
from connectors.workflow.graph import find
from connectors.workflow.model import moment_of
from connectors.workflow.runtime import runtime_configs
from connectors.workflow.store import name_of

if TYPE_CHECKING:
    from connectors.workflow.documents import End
    from connectors.workflow.graph import Graph
    from connectors.workflow.model import Document
    from connectors.workflow.requests import Request
    from connectors.workflow.verification import Bundle, Standing

__all__ = [
    "document_lines",
    "graph_json",
    "graph_lines",
    "request_lines",
    "standing_json",
    "standing_lines",
]


def graph_lines(graph: Graph) -> list[str]:
    """Return a workflow's objects, its connections, and what reaches whom."""
    lines = ["objects", *columns([_object_row(graph, name) for name in graph.nodes] or [("none",)])]
    lines += ["connections", *_edge_lines(graph)]
    lines += ["what reaches whom", *([f"  {line}" for line in reach_lines(graph)] or ["  nothing reaches anybody"])]
    return lines


def _object_row(graph: Graph, name: str) -> tuple[str, ...]:
    node = graph.nodes[name]
    if isinstance(node, Placeholder):
        purpose = f": {node.purpose}" if node.purpose else ""
        return name, "place", f"{node.what} that {_party(graph, node.reserved_for)} is to give{purpose}", "", ""
    if isinstance(node, Dataset):
        pinned = f", only the sealing {node.pin}" if node.pin else ""
        sealed = node.encryption or "not sealed"
        what = f"{node.direction}, {node.location}, {sealed}{pinned}"
        return name, "dataset", node.name, _party(graph, node.owner), what
    return name, "application", node.name, _party(graph, node.owner), _measured(graph, node)


def _measured(graph: Graph, app: AppConfig) -> str:
    program = graph.application(app)
    build = next(build for build in program.builds if build.measurement == app.build.measurement)
    warning = ", which protects nothing" if build.platform == "simulated" else ""
    warning += ", a debug build, which whoever runs the machine can look into" if build.debug else ""
    by = "" if program.owner == app.owner else f" by {_party(graph, program.owner)}"
    return f"{program.name}{by}, {build.platform}{warning}, measured {build.measurement}"


def _edge_lines(graph: Graph) -> list[str]:
    edges = graph.workflow.edges
    return [f"  {_end(edge.source)} -> {_end(edge.target)}" for edge in edges] or ["  none"]


def _end(end: End) -> str:
    return end.id if end.port is None else f"{end.id}:{end.port}"


def reach_lines(graph: Graph) -> list[str]:
    """Return what reaches whom, a sentence each."""
    lines = []
    for one in graph.reach():
        through = ", ".join(_called(graph, name) for name in one.through)
        target = f"the application {_called(graph, one.target)}" if graph.is_app(one.target) else ""
        way = f" through {through}" if through else ""
        lines.append(f"{_called(graph, one.source)} reaches {target or _called(graph, one.target)}{way}")
    return lines


def _called(graph: Graph, name: str) -> str:
    """Return an object as people know it: its name, whose it is, and what an application is measured as."""
    node = graph.nodes[name]
    if isinstance(node, Placeholder):
        return f"{name} (of {_party(graph, node.reserved_for)}, not given yet)"
    measured = f", measured {node.build.measurement[:12]}…" if isinstance(node, AppConfig) else ""
    return f"{node.name} ({_party(graph, node.owner)}{measured})"


def _party(graph: Graph, digest: str) -> str:
    return find(graph.documents, digest, Party, "the workflow").name


def graph_json(graph: Graph) -> dict[str, Any]:
    """Return a workflow as JSON has it, with names beside the digests."""
    objects = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Placeholder):
            objects[name] = {"kind": "place", **node.model_dump(mode="json", exclude_none=True)}
        else:
            objects[name] = {
                "kind": "dataset" if isinstance(node, Dataset) else "application",
                "digest": node.digest,
                "name": node.name,
                "owner": {"digest": node.owner, "name": _party(graph, node.owner)},
                **({"build": node.build.model_dump(mode="json")} if isinstance(node, AppConfig) else {}),
            }
    return {
        "name": graph.workflow.name,
        "version": graph.workflow.version,
        "workflow": graph.workflow.digest,
        "objects": objects,
        "edges": [edge.model_dump(mode="json", exclude_none=True) for edge in graph.workflow.edges],
        "reach": [{"source": one.source, "target": one.target, "through": one.through} for one in graph.reach()],
    }


def request_lines(request: Request) -> list[str]:
    """Return all that a signature under a request is over."""
    graph = request.graph
    rows = [
        ("request", request.digest),
        ("asked by", f"{request.party(request.requester).name} <{request.party(request.requester).contact}>"),
        ("created", request.created),
        ("expires", moment(moment_of(request.expires))),
        ("approvers", ", ".join(f"{request.party(one).name} ({one[:12]}…)" for one in request.approvers)),
    ]
    rows += [("version of", graph.workflow.parent)] if graph.workflow.parent else []
    return [f"{graph.workflow.name}, version {graph.workflow.version}", *columns(rows), *graph_lines(graph)]


def standing_lines(bundle: Bundle, found: Standing) -> list[str]:
    """Return who has said what."""
    rows = [(row["name"], row["says"], row.get("reason", "")) for row in _said(bundle, found)]
    return [f"approvals: {found.state}", *columns(rows)]


def standing_json(bundle: Bundle, found: Standing) -> dict[str, Any]:
    """Return how a request stands, as JSON has it."""
    request = bundle.request
    workflow = request.graph.workflow
    return {
        "request": request.digest,
        "name": workflow.name,
        "version": workflow.version,
        "requester": {"digest": request.requester, "name": request.party(request.requester).name},
        "created": request.created,
        "expires": request.expires,
        "state": found.state,
        "parties": _said(bundle, found),
    }


def _said(bundle: Bundle, found: Standing) -> list[dict[str, str]]:
    when = {(one := envelope.document(Decision)).party: one.when for envelope in bundle.decisions}
    rows = []
    for digest in bundle.request.approvers:
        row = {"digest": digest, "name": bundle.request.party(digest).name}
        if digest in found.against:
            row |= {"says": "revoked" if found.state == "revoked" else "declined", "reason": found.against[digest]}
        elif digest in found.approved:
            row["says"] = "approved"
        else:
            row["says"] = "has not decided" if digest in found.missing else "declined"
        if digest in when:
            row["when"] = when[digest]
        rows.append(row)
    return rows


def identifiers(request: Request) -> dict[str, str]:
    """Return the identifier of each application of a request, by its id."""
    return {name: share.identifier for name, share in runtime_configs(request).items()}


def document_lines(document: Document) -> list[str]:
    """Return a document's members, one to a line."""
    lines = [f"{name_of(document)}, {document.kind}", *columns([("digest", document.digest)])]
    for name, value in document.members().items():
        if name in ("schema", "name"):
            continue
        if name == "long_description":
            lines += [f"  {name}", *(f"    {line}" for line in str(value).splitlines())]
        elif isinstance(value, (dict, list)):
            lines += [f"  {name}", *_nested(value, "    ")]
        else:
            lines.append(f"  {name}  {value}")
    return lines


def _nested(value: dict[str, Any] | list[Any], indent: str) -> list[str]:
    lines = []
    for name, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(one, (dict, list)):
            lines += [f"{indent}{name}", *_nested(one, f"{indent}  ")]
        else:
            lines.append(f"{indent}{one}" if isinstance(value, list) else f"{indent}{name}  {one}")
    return lines
