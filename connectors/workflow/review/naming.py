"""What parties and objects are called, where people decide about them.

Names come from strangers. They stand in quotes, written as Python writes them, so that none can pass for a sentence of
ours, and none holds what a terminal would obey. Where two parties have one name, the digest of each stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument, Party
from connectors.workflow.review.difference import same_party

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from connectors.workflow.documents.graph import Graph, Reach

__all__ = ["SHOWN", "Names", "connected", "listed"]

SHOWN = 6
"""Names that one sentence lists; how many more there are, it says."""


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """Return names as a sentence lists them.

    >>> listed(["a", "b", "c"])
    "'a', 'b' and 'c'"
    """
    shown = [repr(name) for name in names[:most]]
    if len(names) > most:
        shown.append(f"{len(names) - most:,} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def connected(source: str, out: str, target: str, into: str, *, longer: str = "") -> str:
    """Say that two objects are connected.

    Args:
        source: the id of what is written from.
        out: the port, of an application; else empty.
        target: the id of what is read or written.
        into: its port, likewise.
        longer: put before the verb: "no longer ".

    >>> connected("conditions", "", "describe", "input")
    "'describe' reads 'conditions', on its port 'input'"
    """
    if not out:
        return f"{target!r} {longer}reads {source!r}, on its port {into!r}"
    if not into:
        return f"{source!r} {longer}writes {target!r}, on its port {out!r}"
    return f"{source!r} (port {out!r}) {longer}hands on to {target!r} (port {into!r})"


class Names:
    """Calls the parties and objects of workflows what nothing else in them is called.

    Args:
        graphs: the workflows, or the versions of one.
        more: parties that own nothing in them: who asks, perhaps.
    """

    def __init__(self, *graphs: Graph, more: Iterable[Party] = ()) -> None:
        self._called: dict[str, list[Party]] = {}
        parties = {digest: graph.party(digest) for graph in graphs for digest in graph.owners()}
        for party in (*parties.values(), *more):
            known = self._called.setdefault(party.name, [])
            if not any(same_party(party, one) for one in known):
                known.append(party)

    def party(self, party: Party) -> str:
        """Return what a party is called."""
        return f"{party.name!r} ({party.digest[:16]})" if len(self._called[party.name]) > 1 else repr(party.name)

    def owners(self, name: str, graph: Graph) -> list[str]:
        """Return what an object's owner is called, and its application's."""
        return [self.party(graph.party(digest)) for digest in graph.owners_of(name)]

    def object(self, name: str, graph: Graph) -> str:
        """Return an object's id, its name, whose it is, and what an application is measured as."""
        node, parties = graph.nodes[name], self.owners(name, graph)
        if isinstance(node, AppConfigDocument):
            program = graph.application(node)
            by = f", which runs {program.name!r} of {parties[1]}" if parties[1] != parties[0] else ""
            measured = f", measured {node.build.measurement[:12]}…"
            return f"{name!r} (the application {node.name!r} of {parties[0]}{by}{measured})"
        if isinstance(node, DatasetDocument):
            return f"{name!r} (the dataset {node.name!r} of {parties[0]})"
        return f"{name!r} (a place for {'an' if node.wanted == 'app' else 'a'} {node.wanted} of {parties[0]})"

    def reach(
        self, pairs: Sequence[Reach], graph: Graph, one: str = "reaches", many: str = "reach", most: int = SHOWN
    ) -> Iterator[str]:
        """Yield what reaches whom; what goes the same way to the same place in one sentence."""
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
