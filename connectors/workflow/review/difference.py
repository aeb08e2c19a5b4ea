"""What is different between two versions of a workflow, with all that they refer to: for those who approve it.

Objects are matched by their ids, and documents by their members, not by their digests: of an application that is built
anew its measurement has changed, and not the digest of whatever refers to it. Nothing is left out: `apply` makes the
new version from the old one and the difference, so two workflows that differ anywhere have one.

`wording` says it in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import (
    AppConfigDocument,
    Application,
    DatasetDocument,
    Party,
    Placeholder,
    Workflow,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.workflow.documents.graph import Reach
    from connectors.workflow.documents.model import Document

__all__ = ["Change", "Difference", "Membership", "Path", "apply", "compare", "keys_of", "same_party"]

Path = tuple[str, ...]
Tree = dict[str, Any]

_LAST = 9
_RANKS = {
    "owner": 2,
    "reserved_for": 2,
    "measurement": 3,
    "builds": 3,
    "image": 3,
    "location": 4,
    "direction": 4,
    "credentials_digest": 4,
    "encryption": 4,
    "pin": 4,
    "ports": 5,
    "wanted": 5,
    "items": 6,
    "labels": 7,
}
_PARTIES = (("owner",), ("reserved_for",), ("application", "owner"))
"""Where parties stand in an object; they are compared as wholes, for `wording` to tell who is who."""


@dataclass(frozen=True, slots=True)
class Change:
    """A member that is another.

    Attributes:
        path: where it is: ``objects``, an id and members of what is there; or ``edges``, and the id and port of both
            ends; or a member of the workflow. Of datasets there is no port: it is empty.
        before: what it was, as JSON has it, with parties and applications in the places that refer to them; None where
            there was nothing.
        after: what it is, the same.
    """

    path: Path
    before: Any
    after: Any

    @property
    def rank(self) -> int:
        """How much it matters, the most first: objects, owners, builds, locations, ports, files, labels, texts."""
        match self.path:
            case ("objects", _):
                return 1
            case ("objects", _, "build" | "application", *_, member) | ("objects", _, member, *_):
                return _RANKS.get(member, _LAST)
            case ("edges", *_):
                return _RANKS["ports"]
            case _:
                return _LAST


@dataclass(frozen=True, slots=True)
class Membership:
    """A party with what it owns in a version.

    Attributes:
        party: the party.
        objects: ids of objects that it owns, or whose application it owns.
    """

    party: Party
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is different, what matters most first.

    Attributes:
        gained: what reaches whom now that did not before, also where one of the two belongs to somebody else now.
        lost: what does not reach any more.
        joined: parties that own something now, and nothing before; see `same_party`.
        left: the other way round.
        changes: all members that are others. The four above follow from these.
    """

    gained: tuple[Reach, ...]
    lost: tuple[Reach, ...]
    joined: tuple[Membership, ...]
    left: tuple[Membership, ...]
    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        """Tell whether anything is different."""
        return bool(self.changes)

    def members(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            **{
                name: [{"source": one.source, "target": one.target, "through": list(one.through)} for one in reach]
                for name, reach in (("gained", self.gained), ("lost", self.lost))
            },
            **{
                name: [{"party": one.party.members(), "objects": list(one.objects)} for one in parties]
                for name, parties in (("joined", self.joined), ("left", self.left))
            },
            "changes": [{"path": list(one.path), "before": one.before, "after": one.after} for one in self.changes],
        }


def same_party(one: Party, other: Party) -> bool:
    """Tell whether two documents are of one party: they have the same keys.

    Names anybody can take, and public keys too: who puts a key of their own beside those of somebody else can sign in
    that name. So a party with another key is another one, until whoever approves says otherwise.
    """
    return one.keys == other.keys or keys_of(one) == keys_of(other)


def keys_of(party: Party) -> frozenset[str]:
    """Return the names of a party's keys."""
    return frozenset(key.keyid for key in party.keys)


def compare(before: Graph, after: Graph) -> Difference:
    """Return what is different between two versions."""
    changes = sorted(_changes((), _tree(before), _tree(after)), key=_order)
    kept = {name for name in before.nodes.keys() & after.nodes.keys() if _same_owners(name, before, after)}
    then, now = before.reach(), after.reach()
    return Difference(
        gained=_beyond(now, then, kept),
        lost=_beyond(then, now, kept),
        joined=_new_parties(after, before),
        left=_new_parties(before, after),
        changes=tuple(changes),
    )


def apply(difference: Difference, before: Graph) -> Graph:
    """Return the version that a difference leads to.

    Raises:
        InvalidDocument: it is the difference from another version, or leads to something that does not hold together.
    """
    tree = _tree(before)
    for change in difference.changes:
        place, last = _place(tree, change.path)
        if place.get(last) != change.before:
            message = f"the difference is from another version: {'/'.join(change.path)} is not what it says"
            raise InvalidDocument(message)
        if change.after is None:
            place.pop(last, None)
        else:
            place[last] = change.after
    try:
        return _restored(tree)
    except (KeyError, TypeError, AttributeError):
        message = "what the difference leads to lacks members that a workflow has"
    raise InvalidDocument(message)


def _place(tree: Tree, path: Path) -> tuple[Tree, Any]:
    """Return the part of a tree that a path's end is in, and its name there."""
    place: Any = tree
    parents, last = (path[:1], path[1:]) if path[:1] == ("edges",) else (path[:-1], path[-1] if path else None)
    for name in parents:
        place = place.get(name) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        message = f"the difference is from another version: there is no place {'/'.join(path)}"
        raise InvalidDocument(message)
    return place, last


def _changes(path: Path, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    match path:
        case ("objects", _, *rest) if tuple(rest) in _PARTIES:
            whole = True
        case ("objects", _):  # a place that is filled, for one, has no member in common with what fills it
            whole = before is None or after is None or before["kind"] != after["kind"]
        case ("edges", _, *_):
            whole = True
        case _:
            whole = not isinstance(before, dict) or not isinstance(after, dict)
    if whole:
        yield Change(path, before, after)
        return
    for name in before.keys() | after.keys():
        below = (*path, *name) if path == ("edges",) else (*path, name)
        yield from _changes(below, before.get(name), after.get(name))


def _order(change: Change) -> tuple[int, bool, Path]:
    """Return what changes are sorted by: an object's own build comes before what its application says of all builds."""
    return change.rank, change.path[2:3] == ("application",), change.path


def _same_owners(name: str, before: Graph, after: Graph) -> bool:
    """Tell whether an object belongs to the same parties in two versions, and is as much an application."""
    if before.is_app(name) != after.is_app(name):
        return False
    if before.workflow.objects[name] == after.workflow.objects[name]:
        return True
    then, now = before.owners_of(name), after.owners_of(name)
    return len(then) == len(now) and all(
        same_party(before.party(one), after.party(other)) for one, other in zip(then, now, strict=True)
    )


def _beyond(these: list[Reach], those: list[Reach], kept: set[str]) -> tuple[Reach, ...]:
    known = {(one.source, one.target) for one in those if one.source in kept and one.target in kept}
    return tuple(one for one in these if (one.source, one.target) not in known)


def _new_parties(here: Graph, there: Graph) -> tuple[Membership, ...]:
    known = there.owners()
    keys = {keys_of(there.party(digest)) for digest in known}
    owned: dict[str, list[str]] = {}
    for name in here.nodes:
        for digest in dict.fromkeys(here.owners_of(name)):
            owned.setdefault(digest, []).append(name)
    others = [here.party(digest) for digest in owned.keys() - known]
    new = [one for one in others if keys_of(one) not in keys]
    return tuple(
        Membership(one, tuple(sorted(owned[one.digest]))) for one in sorted(new, key=lambda one: (one.name, one.digest))
    )


def _without_schema(document: Document) -> Tree:
    return {name: value for name, value in document.members().items() if name != "schema"}


def _tree(graph: Graph) -> Tree:
    """Return a version as one tree: what a digest refers to stands in its place, so there are no digests to follow."""
    parties = {digest: _without_schema(graph.party(digest)) for digest in graph.owners()}

    def part(node: DatasetDocument | AppConfigDocument | Placeholder) -> Tree:
        if isinstance(node, Placeholder):
            members = node.model_dump(mode="json", exclude_none=True)
            return {"kind": "placeholder", **members, "reserved_for": parties[node.reserved_for]}
        members = {"kind": node.kind, **_without_schema(node), "owner": parties[node.owner]}
        if isinstance(node, AppConfigDocument):
            program = graph.application(node)
            del members["build"]["application"]
            members["application"] = {**_without_schema(program), "owner": parties[program.owner]}
        return members

    tree = _without_schema(graph.workflow)
    tree["objects"] = {name: part(node) for name, node in graph.nodes.items()}
    tree["edges"] = {
        (edge.source.id, edge.source.port or "", edge.target.id, edge.target.port or ""): edge.model_dump(
            mode="json", exclude_none=True
        )
        for edge in graph.workflow.edges
    }
    return tree


def _restored(tree: Tree) -> Graph:
    """Return the version that a tree is of."""
    documents: dict[str, Document] = {}

    def keep(kind: type[Document], members: Mapping[str, Any]) -> str:
        document = kind.from_members({"schema": kind.schema_name(), **members})
        documents[document.digest] = document
        return document.digest

    def part(members: Mapping[str, Any]) -> Tree:
        rest = {name: value for name, value in members.items() if name not in ("kind", "application")}
        kind = members.get("kind")
        if kind == "placeholder":
            return rest | {"reserved_for": keep(Party, members["reserved_for"])}
        rest["owner"] = keep(Party, members["owner"])
        if kind == DatasetDocument.kind:
            return {"dataset": keep(DatasetDocument, rest)}
        program = dict(members["application"])
        program["owner"] = keep(Party, program["owner"])
        rest["build"] = rest["build"] | {"application": keep(Application, program)}
        return {"app": keep(AppConfigDocument, rest)}

    whole = {
        **tree,
        "schema": Workflow.schema_name(),
        "objects": {name: part(one) for name, one in tree["objects"].items()},
        "edges": sorted(tree["edges"].values(), key=canonical_bytes),
    }
    return Graph(Workflow.from_members(whole), documents)
