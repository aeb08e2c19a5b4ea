"""Name parties and objects unambiguously in the texts that people decide by.

Names come from untrusted parties. They are quoted and escaped as Python string literals, so that none can pass for
part of a sentence or send control sequences to a terminal. If the names of two parties look alike, their digests are
added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.names import quoted, spaced
from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument, Party
from connectors.workflow.review.difference import same_party
from connectors.workflow.review.lookalikes import lookalikes, skeleton, told_apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connectors.workflow.documents.graph import Graph, Reach

__all__ = ["SHOWN", "Names", "address", "connected", "listed"]

SHOWN = 6
"""Names that one sentence lists; of more, it gives their number."""


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """Return names joined for a sentence.

    >>> listed(["a", "b", "c"])
    "'a', 'b' and 'c'"
    """
    shown = [quoted(name) for name in names[:most]]
    if len(names) > most:
        shown.append(f"{len(names) - most:,} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def connected(source: str, out: str, target: str, into: str, *, longer: str = "") -> str:
    """Say that two objects are connected.

    Args:
        source: the id of the object that data comes from.
        out: its port if it is an application, else empty.
        target: the id of the object that data goes to.
        into: its port, likewise.
        longer: put before the verb: "no longer ".

    >>> connected("conditions", "", "describe", "input")
    "'describe' reads 'conditions', on its port 'input'"
    """
    if not out:
        return f"{quoted(target)} {longer}reads {quoted(source)}, on its port {quoted(into)}"
    if not into:
        return f"{quoted(source)} {longer}writes {quoted(target)}, on its port {quoted(out)}"
    return f"{quoted(source)} (port {quoted(out)}) {longer}passes data to {quoted(target)} (port {quoted(into)})"


def address(text: str) -> str:
    """Return a URL or an image in quotes, with escapes for what is not ASCII: a host can look like another."""
    return quoted(text) if text.isascii() else spaced(ascii(text))


class Names:
    """Gives the parties and objects of workflows names that are unique among them.

    Args:
        graphs: the workflows, or versions of one workflow.
        more: parties that own nothing in them, such as the requester.
    """

    def __init__(self, *graphs: Graph, more: Iterable[Party] = ()) -> None:
        self._graphs = graphs
        self._called: dict[str, list[Party]] = {}
        parties = {digest: graph.party(digest) for graph in graphs for digest in graph.owners()}
        for party in (*parties.values(), *more):
            known = self._called.setdefault(skeleton(party.name), [])
            if not any(same_party(party, one) for one in known):
                known.append(party)

    def party(self, party: Party) -> str:
        """Return the name of a party, quoted, with its digest if others share the name or one that looks like it."""
        name = quoted(party.name)
        return f"{name} ({party.digest[:16]})" if len(self._called[skeleton(party.name)]) > 1 else name

    def alike(self) -> list[str]:
        """Return a sentence for each group of names that look alike."""
        return [told_apart(group) for group in lookalikes(self.used())]

    def used(self) -> set[str]:
        """Return all names: of parties, objects, programs, ports, files and labels."""
        used = {party.name for parties in self._called.values() for party in parties}
        for graph in self._graphs:
            for name, node in graph.nodes.items():
                used.add(name)
                if isinstance(node, DatasetDocument):
                    used.update((node.name, *node.labels))
                elif isinstance(node, AppConfigDocument):
                    used.update((node.name, graph.application(node).name, *node.ports, *node.items, *node.labels))
        return used

    def owners(self, name: str, graph: Graph) -> list[str]:
        """Return the names of an object's owner and of its application's owner."""
        return [self.party(graph.party(digest)) for digest in graph.owners_of(name)]

    def object(self, name: str, graph: Graph) -> str:
        """Return an object's id, name and owner, and an application's measurement."""
        node, parties = graph.nodes[name], self.owners(name, graph)
        if isinstance(node, AppConfigDocument):
            program = graph.application(node)
            by = f", which runs {quoted(program.name)} of {parties[1]}" if parties[1] != parties[0] else ""
            measured = f", measured {node.build.measurement[:12]}…"
            return f"{quoted(name)} (the application {quoted(node.name)} of {parties[0]}{by}{measured})"
        if isinstance(node, DatasetDocument):
            return f"{quoted(name)} (the dataset {quoted(node.name)} of {parties[0]})"
        return f"{quoted(name)} (a place for {'an' if node.wanted == 'app' else 'a'} {node.wanted} from {parties[0]})"

    def reach(
        self, pairs: Sequence[Reach], graph: Graph, one: str = "reaches", many: str = "reach", most: int = SHOWN
    ) -> Iterator[str]:
        """Yield what reaches whom, with one sentence for all that take the same way to the same target."""
        ways: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for pair in pairs:
            ways.setdefault((pair.target, pair.through), []).append(pair.source)
        for (target, through), sources in ways.items():
            passing = f" through {listed(through, most)}" if through else ""
            shown = [self.object(source, graph) for source in sources[:most]]
            if len(sources) > most:
                shown.append(f"{len(sources) - most:,} more")
            verb = one if len(sources) == 1 else many
            yield f"{', '.join(shown)} {verb} {self.object(target, graph)}{passing}"
