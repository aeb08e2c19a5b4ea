"""Workflows, requests and their status as lines and as JSON, from signed content only.

Reach is computed from the connections. Text written by other parties is quoted (see
`connectors.workflow.review.naming`), so that it cannot be taken for a fact.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from connectors.cli.common.console import columns
from connectors.cli.data.inspection import moment
from connectors.names import quoted
from connectors.workflow.documents import runtime
from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument, Decision, Party, Placeholder
from connectors.workflow.documents.model import moment_of
from connectors.workflow.review.lookalikes import lookalikes
from connectors.workflow.review.naming import Names, address, connected
from connectors.workflow.store.lookup import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.workflow.documents.drafts import Draft
    from connectors.workflow.documents.graph import Graph
    from connectors.workflow.documents.kinds import End, Item, Statement
    from connectors.workflow.documents.model import Document
    from connectors.workflow.documents.requests import Request
    from connectors.workflow.trust.verification import Bundle, Status

__all__ = [
    "document_lines",
    "draft_lines",
    "graph_json",
    "graph_lines",
    "request_lines",
    "status_json",
    "status_lines",
    "title",
]


_PLAIN = re.compile(r"[0-9a-f]{64,}|[0-9TZ:-]{20}")
"""What is shown without quotes: digests, measurements and times."""


def graph_lines(graph: Graph, names: Names | None = None) -> list[str]:
    """Return a workflow's objects, connections and reach; `names` is built from the graph by default."""
    names = names or Names(graph)
    ends = [(*_end(one.source), *_end(one.target)) for one in graph.workflow.edges]
    # One line for each, however many: a signer looks for their own.
    alike = names.alike()
    reach = [line for one in graph.reach() for line in names.reach([one], graph, most=len(graph.nodes))]
    return [
        "objects",
        *columns([_object_row(graph, names, name) for name in graph.nodes] or [("none",)]),
        "connections",
        *([f"  {connected(*both)}" for both in ends] or ["  none"]),
        "what reaches whom",
        *([f"  {line}" for line in reach] or ["  nothing reaches anybody"]),
        *(["names that look alike", *(f"  {line}" for line in alike)] if alike else []),
    ]


def _end(end: End) -> tuple[str, str]:
    return end.id, end.port or ""


def _object_row(graph: Graph, names: Names, name: str) -> tuple[str, ...]:
    node, owners = graph.nodes[name], names.owners(name, graph)
    if isinstance(node, Placeholder):
        purpose = f": {quoted(node.purpose)}" if node.purpose else ""
        return quoted(name), "place", f"{node.what} that {owners[0]} will provide{purpose}", "", ""
    if isinstance(node, DatasetDocument):
        pinned = f", only the version with pin {node.pin}" if node.pin else ""
        what = f"{node.direction}, {address(node.location)}, {node.encryption or 'not encrypted'}{pinned}"
        return quoted(name), "dataset", quoted(node.name), owners[0], what
    return quoted(name), "application", quoted(node.name), owners[0], _measured(graph, node, owners)


def _measured(graph: Graph, app: AppConfigDocument, owners: list[str]) -> str:
    program = graph.application(app)
    build = next(build for build in program.builds if build.measurement == app.build.measurement)
    warning = ", which gives no protection" if build.platform == "simulated" else ""
    warning += ", a debug build, whose memory the host can read" if build.debug else ""
    by = f" of {owners[1]}" if owners[1] != owners[0] else ""
    return f"{quoted(program.name)}{by}, {build.platform}{warning}, measured {build.measurement}"


def graph_json(graph: Graph) -> dict[str, Any]:
    """Return a workflow as a JSON object, with names beside the digests."""
    objects = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Placeholder):
            objects[name] = {"kind": "place", **node.model_dump(mode="json", exclude_none=True)}
        else:
            objects[name] = {
                "kind": "dataset" if isinstance(node, DatasetDocument) else "application",
                "digest": node.digest,
                "name": node.name,
                "owner": {"digest": node.owner, "name": graph.party(node.owner).name},
                **({"build": node.build.model_dump(mode="json")} if isinstance(node, AppConfigDocument) else {}),
            }
    alike = lookalikes(Names(graph).used())
    return {
        "name": graph.workflow.name,
        "version": graph.workflow.version,
        "workflow": graph.workflow.digest,
        "objects": objects,
        "edges": [edge.model_dump(mode="json", exclude_none=True) for edge in graph.workflow.edges],
        "reach": [{"source": one.source, "target": one.target, "through": one.through} for one in graph.reach()],
        **({"alike": alike} if alike else {}),
    }


def request_lines(request: Request, statement: Statement | None = None) -> list[str]:
    """Return everything that a signature of the request covers, and of a statement on it if one is given.

    The details come first, and what the documents amount to last: there, people at a terminal read.
    """
    graph, requester = request.graph, request.party(request.requester)
    names = Names(graph, more=[requester])
    rows = [
        ("request", request.digest),
        ("asked by", f"{names.party(requester)}, {quoted(requester.contact)}"),
        ("created", request.created),
        ("expires", f"{request.expires}, {moment(moment_of(request.expires))}"),
        *(
            ("approvers" if place == 0 else "", f"{names.party(request.party(digest))}, {digest}")
            for place, digest in enumerate(request.approvers)
        ),
    ]
    rows += [("version of", graph.workflow.parent)] if graph.workflow.parent else []
    if statement is not None:
        said = statement.model_dump(exclude={"request"}, exclude_none=True)
        rows += [("you sign", f"{statement.kind}, {member} {_plain(value)}") for member, value in said.items()]
    documents = _document_lines(graph, request.parsed, names)
    return [title(graph), *columns(rows), *documents, *graph_lines(graph, names)]


def draft_lines(draft: Draft, graph: Graph) -> list[str]:
    """Return what a signature would cover if the draft were submitted, without the requester and the times."""
    names = Names(graph)
    rows = [("signed by", "nobody: whoever passes a draft on can change it")]
    rows += [
        ("approvers" if place == 0 else "", f"{names.party(graph.party(digest))}, {digest}")
        for place, digest in enumerate(sorted(graph.owners()))
    ]
    rows += [("version of", graph.workflow.parent)] if graph.workflow.parent else []
    documents = _document_lines(graph, {one: graph.documents[one] for one in sorted(graph.references())}, names)
    head = f"{title(graph)}, a draft at revision {draft.revision}"
    return [head, *columns(rows), *documents, *graph_lines(graph, names)]


def _document_lines(graph: Graph, documents: Mapping[str, Document], names: Names) -> list[str]:
    """Return the lines of all documents: the workflow, what is in it in its order, and the parties."""
    found: dict[str, Document] = {graph.workflow.digest: graph.workflow}
    for node in graph.nodes.values():
        if not isinstance(node, Placeholder):
            found[node.digest] = node
        if isinstance(node, AppConfigDocument):
            program = graph.application(node)
            found[program.digest] = program
    return ["documents", *(line for one in {**found, **documents}.values() for line in _signed_lines(one, names))]


def _signed_lines(document: Document, names: Names) -> list[str]:
    """Return every member of a document, a line for each; of a file, its size and SHA-256."""
    called = names.party(document) if isinstance(document, Party) else quoted(name_of(document))
    members = {one: value for one, value in document.members().items() if one not in ("schema", "name", "items")}
    files = document.items if isinstance(document, AppConfigDocument) else {}
    return [
        f"  {document.kind} {called}, {document.digest}",
        *_flat(members, "    "),
        *(f"    file {quoted(path)}, {_sized(item)}" for path, item in files.items()),
    ]


def _sized(item: Item) -> str:
    data = base64.b64decode(item.contents)
    return f"{len(data)} bytes, SHA-256 {sha256(data).hexdigest()}"


def _flat(value: Any, indent: str, name: str = "") -> list[str]:
    """Return the lines of a member and of those below it; the keys of labels and objects are chosen by parties."""
    if isinstance(value, dict):
        chosen = name in ("labels", "objects")
        inner = [
            line
            for key, one in value.items()
            for line in _flat(one, f"{indent}  " if name else indent, quoted(key) if chosen else key)
        ]
        return [f"{indent}{name}:", *inner] if name else inner
    if isinstance(value, list):
        return [line for one in value for line in _flat(one, indent, name)]
    if isinstance(value, str) and "\n" in value:
        return [f"{indent}{name}:", *(f"{indent}  {quoted(line)}" for line in value.split("\n"))]
    if name in ("location", "image"):
        return [f"{indent}{name}  {address(value)}"]
    return [f"{indent}{name}  {_plain(value)}"]


def _plain(value: Any) -> str:
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return quoted(value)
    return str(value)


def _quoted(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_]+", name) else quoted(name)


def title(graph: Graph) -> str:
    """Return a workflow's name and version."""
    return f"{quoted(graph.workflow.name)}, version {graph.workflow.version}"


def status_lines(bundle: Bundle, found: Status) -> list[str]:
    """Return the decision of each party."""
    names = Names(bundle.request.graph)
    rows = [
        (
            names.party(bundle.request.party(row["digest"])),
            row["says"],
            quoted(row["reason"]) if "reason" in row else "",
        )
        for row in _statements(bundle, found)
    ]
    return [f"approvals: {found.state}", *columns(rows)]


def status_json(bundle: Bundle, found: Status) -> dict[str, Any]:
    """Return the status of a request as a JSON object."""
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
        "parties": _statements(bundle, found),
    }


def _statements(bundle: Bundle, found: Status) -> list[dict[str, str]]:
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
    return runtime.identifiers(request)


def document_lines(document: Document) -> list[str]:
    """Return a document's members, one per line."""
    lines = [f"{quoted(name_of(document))}, {document.kind}", *columns([("digest", document.digest)])]
    for name, value in document.members().items():
        if name in ("schema", "name"):
            continue
        if name == "long_description":
            lines += [f"  {name}", *(f"    {line}" for line in str(value).splitlines())]
        elif isinstance(value, (dict, list)):
            lines += [f"  {name}", *_nested(value, "    ")]
        else:
            lines.append(f"  {name}  {_plain(value)}")
    return lines


def _nested(value: dict[str, Any] | list[Any], indent: str) -> list[str]:
    lines = []
    for name, one in value.items() if isinstance(value, dict) else enumerate(value):
        called = _quoted(str(name))
        if isinstance(one, (dict, list)):
            lines += [f"{indent}{called}", *_nested(one, f"{indent}  ")]
        else:
            lines.append(f"{indent}{_plain(one)}" if isinstance(value, list) else f"{indent}{called}  {_plain(one)}")
    return lines
