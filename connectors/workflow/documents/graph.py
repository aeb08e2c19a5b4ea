"""The graph of a workflow: whether it is consistent, who owns what in it, and what data reaches whom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from connectors.errors import InvalidDocument
from connectors.workflow.documents.kinds import (
    MAX_EDGES,
    AppConfigDocument,
    Application,
    Connected,
    DatasetDocument,
    Party,
    Placeholder,
    Workflow,
)
from connectors.workflow.documents.model import SHOWN, Document, first_of, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.workflow.documents.kinds import Edge, End

    Node = DatasetDocument | AppConfigDocument | Placeholder

__all__ = ["Graph", "Reach", "find"]

D = TypeVar("D", bound=Document)
MAX_REACH = 1_000_000
"""Names in the text of what reaches whom: 1,000 datasets that each reach 200 others through a few applications."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A dataset, and an object that its data can reach.

    Attributes:
        source: the id of a dataset that an application reads.
        target: the id of an application, or of a dataset that an application writes.
        through: the ids of the applications that the data can pass on the way, sorted, without the target.
    """

    source: str
    target: str
    through: tuple[str, ...]


def find(documents: Mapping[str, Document], digest: str, kind: type[D], where: str) -> D:
    """Return a document by its digest.

    Raises:
        InvalidDocument: it is missing or of another kind; the message says `where` it is referred to.
    """
    found = documents.get(digest)
    if not isinstance(found, kind):
        what = "is missing" if found is None else f"is of another kind: {found.kind}"
        message = f"{where} refers to the {kind.kind} {digest}, which {what}"
        raise InvalidDocument(message)
    return found


class Graph:
    """A workflow with the documents that it refers to.

    Args:
        workflow: the workflow.
        documents: these documents by digest; others are ignored.

    Raises:
        InvalidDocument: it is not consistent; the message gives every reason.
    """

    def __init__(self, workflow: Workflow, documents: Mapping[str, Document]) -> None:
        self.workflow = workflow
        self.documents = documents
        problems: list[str] = []
        ports = 0
        self.nodes: dict[str, Node] = {}
        for name, one in workflow.objects.items():
            try:
                node = self.nodes[name] = self._resolve(name, one)
            except InvalidDocument as error:
                problems.append(str(error))
            else:
                ports += len(node.ports) if isinstance(node, AppConfigDocument) else 0
        if ports > MAX_EDGES:  # each is written down in its object's runtime configuration
            problems.append(f"its applications have {ports:,} ports, and can have {MAX_EDGES:,} in all")
        if not problems:
            problems += islice(self._problems(), SHOWN + 1)
        if problems:
            message = f"the workflow {workflow.name!r} is not consistent: {first_of(problems)}"
            raise InvalidDocument(message)

    def _resolve(self, name: str, one: Connected | Placeholder) -> Node:
        where = f"the object {name!r}"
        if isinstance(one, Placeholder):
            find(self.documents, one.reserved_for, Party, where)
            return one
        if one.dataset is not None:
            dataset = find(self.documents, one.dataset, DatasetDocument, where)
            find(self.documents, dataset.owner, Party, f"the dataset {dataset.name!r}")
            return dataset
        assert one.app is not None  # noqa: S101 - one of the two
        app = find(self.documents, one.app, AppConfigDocument, where)
        find(self.documents, app.owner, Party, f"the app config {app.name!r}")
        application = self.application(app)
        find(self.documents, application.owner, Party, f"the application {application.name!r}")
        if all(build.measurement != app.build.measurement for build in application.builds):
            message = f"the app config {app.name!r} is for a build that {application.name!r} does not have"
            raise InvalidDocument(message)
        return app

    def application(self, app: AppConfigDocument) -> Application:
        """Return the application that an app config is for."""
        return find(self.documents, app.build.application, Application, f"the app config {app.name!r}")

    def _problems(self) -> Iterator[str]:
        places: set[tuple[str, str | None, str]] = set()
        for edge in self.workflow.edges:
            shown = _shown(edge)
            ends = [
                *self._misfits(edge.source, shown, reads=True),
                *self._misfits(edge.target, shown, reads=False),
            ]
            yield from ends
            if ends:
                continue
            if not self.is_app(edge.source.id) and not self.is_app(edge.target.id):
                yield f"the edge {shown} connects two datasets; one of its ends must be an application's port"
            if edge.source.id == edge.target.id:
                yield f"the edge {shown} connects an application with itself"
            for here, there in ((edge.source, edge.target), (edge.target, edge.source)):
                place = (here.id, here.port, there.id)
                if here.port is not None and place in places:
                    yield f"{here.id!r} has {there.id!r} twice on its port {here.port!r}"
                places.add(place)
        cycle = self._cycle()
        if cycle:
            yield f"applications are connected in a cycle: {' -> '.join(cycle)}"

    def _misfits(self, end: End, edge: str, *, reads: bool) -> Iterator[str]:
        node = self.nodes.get(end.id)
        if node is None:
            yield f"the edge {edge} leads to {end.id!r}, which is not an object of the workflow"
        elif not self.is_app(end.id):
            if end.port is not None:
                yield f"the edge {edge} names a port of {end.id!r}, but a dataset has no ports"
            needed = "input" if reads else "output"
            if isinstance(node, DatasetDocument) and node.direction not in (needed, "both"):
                use = "read from" if reads else "written to"
                yield f"the edge {edge}: {end.id!r} is for {node.direction} and cannot be {use}"
        elif end.port is None:
            yield f"the edge {edge} does not name a port of {end.id!r}"
        elif isinstance(node, AppConfigDocument) and end.port not in node.ports:
            yield f"the edge {edge}: {end.id!r} has no port {end.port!r}; it has {listed(node.ports)}"

    def is_app(self, name: str) -> bool:
        """Tell whether an object is an application or a place for one."""
        node = self.nodes[name]
        return isinstance(node, AppConfigDocument) or (isinstance(node, Placeholder) and node.wanted == "app")

    def _cycle(self) -> list[str]:
        following: dict[str, set[str]] = {}
        for edge in self.workflow.edges:
            ends = edge.source.id, edge.target.id
            if all(one in self.nodes and self.is_app(one) for one in ends):
                following.setdefault(ends[1], set()).add(ends[0])
        try:
            TopologicalSorter(following).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1]
            return cycle
        return []

    def owners(self) -> set[str]:
        """Return the digests of the parties that own something in it or have a place reserved for them."""
        return {digest for name in self.nodes for digest in self.owners_of(name)}

    def owners_of(self, name: str) -> tuple[str, ...]:
        """Return the digests of an object's owner, or the party it is reserved for, and of its application's owner."""
        node = self.nodes[name]
        if isinstance(node, Placeholder):
            return (node.reserved_for,)
        return (node.owner, self.application(node).owner) if isinstance(node, AppConfigDocument) else (node.owner,)

    def party(self, digest: str) -> Party:
        """Return one of its parties."""
        return find(self.documents, digest, Party, f"the workflow {self.workflow.name!r}")

    def unfilled(self) -> dict[str, Placeholder]:
        """Return the places that are not filled yet, by id."""
        return {name: node for name, node in self.nodes.items() if isinstance(node, Placeholder)}

    def references(self) -> set[str]:
        """Return the digests of all documents that the workflow refers to, without its own."""
        found = self.owners()
        for one in self.workflow.objects.values():
            if isinstance(one, Connected):
                found.add(one.dataset or one.app or "")
        found |= {node.build.application for node in self.nodes.values() if isinstance(node, AppConfigDocument)}
        return found

    @cached_property
    def _connected(self) -> dict[str, list[tuple[str, str, bool]]]:
        found: dict[str, list[tuple[str, str, bool]]] = {name: [] for name in self.nodes}
        for edge in self.workflow.edges:
            for here, there, reads in ((edge.target, edge.source, True), (edge.source, edge.target, False)):
                if here.port is not None:
                    found[here.id].append((here.port, there.id, reads))
        return found

    def connected(self, name: str) -> list[tuple[str, str, bool]]:
        """Return an application's connections: its port, the other object, and whether it reads from that object."""
        return self._connected[name]

    def reach(self) -> list[Reach]:
        """Return what reaches whom by the connections alone: any output of an application may hold any input.

        Raises:
            InvalidDocument: that is more than people can read, and far more than the size of the workflow suggests.
        """
        onward: dict[str, set[str]] = {name: set() for name in self.nodes}
        back: dict[str, set[str]] = {name: set() for name in self.nodes}
        for edge in self.workflow.edges:
            onward[edge.source.id].add(edge.target.id)
            back[edge.target.id].add(edge.source.id)
        # Sets of applications are bit masks: the applications between two objects then cost one operation for each
        # pair, and pairs with the same applications between them share one tuple.
        apps = sorted(filter(self.is_app, self.nodes))
        bits = {name: 1 << place for place, name in enumerate(apps)}
        ways: dict[int, tuple[str, ...]] = {}
        behind: dict[str, int] = {}
        found, named = [], 0
        for source in self.nodes:
            if source in bits:
                continue
            ahead = _closure(source, onward)
            passed = _joined(ahead, bits)
            for target in sorted(ahead - {source}):
                if target not in behind:
                    behind[target] = _joined(_closure(target, back), bits)
                way = passed & behind[target] & ~bits.get(target, 0)
                if way not in ways:
                    ways[way] = _names(way, apps)
                found.append(Reach(source, target, ways[way]))
                named += 2 + len(ways[way])
            if named > MAX_REACH:
                message = f"the text of what reaches whom would have more than {MAX_REACH:,} names; split the workflow"
                raise InvalidDocument(message)
        return found


def _closure(start: str, following: Mapping[str, set[str]]) -> set[str]:
    """Return what can be reached from an object, through applications and through datasets that are read again."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        ahead = following[waiting.pop()] - seen
        seen |= ahead
        waiting.extend(ahead)
    return seen


def _joined(names: set[str], bits: Mapping[str, int]) -> int:
    joined = 0
    for name in names & bits.keys():
        joined |= bits[name]
    return joined


def _names(joined: int, names: list[str]) -> tuple[str, ...]:
    """Return the names whose bits are set, in their order."""
    found = []
    while joined:
        lowest = joined & -joined
        found.append(names[lowest.bit_length() - 1])
        joined ^= lowest
    return tuple(found)


def _shown(edge: Edge) -> str:
    return " -> ".join(end.id if end.port is None else f"{end.id}:{end.port}" for end in (edge.source, edge.target))
