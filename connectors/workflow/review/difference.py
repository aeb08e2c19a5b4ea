"""Compare two versions of a workflow, including the documents they refer to, for the people who approve them.

Objects are matched by id and documents are compared by member, not by digest: if an application is rebuilt, its
measurement has changed, not the digest of everything that refers to it. The difference is complete: `apply` makes the
new version from it and the old one.

`wording` describes it in sentences.
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
"""Where an object refers to parties; these are compared as a whole, so that `wording` can tell who is who."""


@dataclass(frozen=True, slots=True)
class Change:
    """A member that has changed.

    Attributes:
        path: where it is: ``objects``, an id, and members of that object; or ``edges``, and the id and port of both
            ends (the port of a dataset is empty); or a member of the workflow.
        before: the old value as JSON, with parties and applications in place of references to them; None if there was
            none.
        after: the new value, likewise.
    """

    path: Path
    before: Any
    after: Any

    @property
    def rank(self) -> int:
        """Its importance, 1 for the highest: objects, owners, builds, locations, ports, files, labels, texts."""
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
    """A party and the objects that it owns in a version.

    Attributes:
        party: the party.
        objects: the ids of the objects that it owns, or whose application it owns.
    """

    party: Party
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two versions, the most important first.

    Attributes:
        gained: what now reaches whom and did not before, or did under another owner of one of the two.
        lost: what no longer reaches whom.
        joined: parties that own something now and owned nothing before; see `same_party`.
        left: parties that owned something before and own nothing now.
        changes: all members that have changed. The other four follow from these.
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
        """Return it as JSON members."""
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
    """Tell whether two documents are of one party, that is, have the same keys.

    Anybody can copy a party's name and public keys, add a key of their own and sign in that name. So a party with an
    additional key is another party, until the approver says otherwise.
    """
    return one.keys == other.keys or keys_of(one) == keys_of(other)


def keys_of(party: Party) -> frozenset[str]:
    """Return the ids of a party's keys."""
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
    """Return the new version that a difference makes of an old one.

    Raises:
        InvalidDocument: the difference does not apply to this version, or the result is not consistent.
    """
    tree = _tree(before)
    for change in difference.changes:
        place, last = _place(tree, change.path)
        if place.get(last) != change.before:
            message = f"the difference does not apply to this version: {'/'.join(change.path)} has another value"
            raise InvalidDocument(message)
        if change.after is None:
            place.pop(last, None)
        else:
            place[last] = change.after
    try:
        return _restored(tree)
    except (KeyError, TypeError, AttributeError):
        message = "the difference removes members that a workflow must have"
    raise InvalidDocument(message)


def _place(tree: Tree, path: Path) -> tuple[Tree, Any]:
    """Return the part of a tree that holds the last name of a path, and that name."""
    place: Any = tree
    parents, last = (path[:1], path[1:]) if path[:1] == ("edges",) else (path[:-1], path[-1] if path else None)
    for name in parents:
        place = place.get(name) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        message = f"the difference does not apply to this version: there is no {'/'.join(path)}"
        raise InvalidDocument(message)
    return place, last


def _changes(path: Path, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    match path:
        case ("objects", _, *rest) if tuple(rest) in _PARTIES:
            whole = True
        case ("objects", _):  # e.g. a filled place has no member in common with what fills it
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
    """Return the sort key of a change: an object's own build comes before its application's list of builds."""
    return change.rank, change.path[2:3] == ("application",), change.path


def _same_owners(name: str, before: Graph, after: Graph) -> bool:
    """Tell whether an object has the same owners in both versions, and is an application in both or in neither."""
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
    """Return a version as one tree, in which each digest is replaced by the document that it refers to."""
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
    """Return the version that a tree describes."""
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
