"""Describe a `Difference` in sentences for the people who approve a workflow, the most important first.

Text written by other parties is quoted, as their names are (see `naming`).
"""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from connectors.names import quoted
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.kinds import AppConfigDocument, DatasetDocument, Party
from connectors.workflow.review.difference import keys_of
from connectors.workflow.review.naming import Names, address, connected, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.workflow.documents.graph import Graph
    from connectors.workflow.review.difference import Change, Difference, Membership, Path

__all__ = ["in_words"]

SHORT = 200
"""Longest text that is shown in full, in characters; of a longer one, the size and digest are shown."""

_TITLES = {
    1: "Objects",
    2: "Owners",
    3: "Builds and measurements",
    4: "Data locations and protection",
    5: "Ports and connections",
    6: "Files for applications",
    7: "Labels",
    9: "Descriptions",
}
_WORDS = {
    "credentials_digest": "commitment to its credentials",
    "long_description": "long description",
    "image": "image",
    "measurement": "measurement",
    "parent": "parent version",
    "builds": "list of builds",
    "wanted": "kind of object",
}


def in_words(difference: Difference, before: Graph, after: Graph) -> dict[str, list[str]]:
    """Return the sentences that describe a difference, grouped by title.

    Args:
        difference: what `compare` returned for the two versions.
        before: the old version.
        after: the new version.
    """
    names = Names(before, after)
    words = _Words(before, after, names)
    parts: dict[str, list[str]] = {
        "Names that look alike": sorted({*names.alike()} - {*Names(before).alike()}),
        "Now reaches": list(names.reach(difference.gained, after)),
        "No longer reaches": list(names.reach(difference.lost, before, "reached", "reached")),
        "Parties that joined or left": [
            *(words.membership(one, before, "joined as owner of") for one in difference.joined),
            *(words.membership(one, after, "left; it owned") for one in difference.left),
        ],
    }
    for change, subjects in _grouped(difference.changes):
        parts.setdefault(_TITLES[change.rank], []).extend(words.change(change, subjects))
    return {title: sentences for title, sentences in parts.items() if sentences}


def _grouped(changes: Sequence[Change]) -> Iterator[tuple[Change, list[str]]]:
    """Yield each change with the ids of all objects it applies to, e.g. all objects of a party that has a new key."""
    found: dict[tuple[Path, bytes], tuple[Change, list[str]]] = {}
    for change in changes:
        match change.path:
            case ("objects", name, first, *rest):
                key = (first, *rest), canonical_bytes({"before": change.before, "after": change.after})
                found.setdefault(key, (change, []))[1].append(name)
            case path:
                found[("", *path), b""] = change, []
    yield from found.values()


class _Words:
    def __init__(self, before: Graph, after: Graph, names: Names) -> None:
        self._before = before
        self._after = after
        self._names = names

    def membership(self, one: Membership, other: Graph, verb: str) -> str:
        """Say that a party is in only one of the versions."""
        sentence = f"{self._names.party(one.party)} {verb} {listed(one.objects)}"
        others = [other.party(digest) for digest in sorted(other.owners())]
        partners = [party for party in others if keys_of(party) & keys_of(one.party)]
        if partners:
            shared = " and ".join(map(self._names.party, partners))
            return f"{sentence}; it shares some of its keys with {shared}, but not all"
        if any(party.name == one.party.name for party in others):
            return f"{sentence}; it has the name of another party, but none of its keys"
        return sentence

    def change(self, change: Change, subjects: list[str]) -> Iterator[str]:
        """Say what a member was and what it is now."""
        match change.path:
            case ("objects", name):
                yield self._whole(change, name)
            case ("objects", _, "application", *rest):
                graph = self._after
                programs = {
                    graph.application(node).name
                    for node in map(graph.nodes.get, subjects)
                    if isinstance(node, AppConfigDocument)
                }
                about = f"the application {listed(sorted(programs))}, for {listed(subjects)}"
                yield from self._member(about, tuple(rest), change)
            case ("objects", _, *rest):
                yield from self._member(self._about(subjects), tuple(rest), change)
            case ("edges", *ends):
                source, out, target, into = ends
                yield connected(source, out, target, into, longer="" if change.after is not None else "no longer ")
            case path:
                yield from self._member("the workflow", path, change)

    def _about(self, subjects: list[str]) -> str:
        if len(subjects) == 1:
            node = self._after.nodes[subjects[0]]
            name = getattr(node, "name", None)
            return quoted(subjects[0]) + (f" ({quoted(name)})" if name is not None else "")
        return listed(subjects)

    def _whole(self, change: Change, name: str) -> str:
        if change.after is None:
            return f"{self._names.object(name, self._before)} was removed"
        now = self._names.object(name, self._after)
        node = self._after.nodes[name]
        if isinstance(node, DatasetDocument):
            sealed = f"sealed as {quoted(node.encryption)}" if node.encryption else "not sealed"
            more = f", for {node.direction}, {sealed}, at {address(node.location)}"
        elif isinstance(node, AppConfigDocument):
            more = f", with the measurement {node.build.measurement}"
        else:
            more = f", for {quoted(node.purpose)}" if node.purpose else ""
        return (
            f"{now} is new{more}"
            if change.before is None
            else f"{now} replaces {self._names.object(name, self._before)}{more}"
        )

    def _member(self, about: str, path: Path, change: Change) -> Iterator[str]:
        match path:
            case ("owner",) | ("reserved_for",):
                yield f"{about}: {self._owner(path[0], Party(**_keys(change.before)), Party(**_keys(change.after)))}"
            case ("build", "measurement"):
                yield f"{about} has another build: measurement was {change.before}, is {change.after}"
            case ("builds",):
                for one in _listed_changes(change, _build):
                    yield f"{about}: {one}"
            case ("ports",):
                for one in _listed_changes(change, lambda port: f"the port {quoted(port)}"):
                    yield f"{about}: {one}"
            case ("items", place, *_):
                yield f"{about}: {_was_is(f'file {quoted(place)}', _contents(change.before), _contents(change.after))}"
            case ("labels", label):
                yield f"{about}: {_was_is(f'label {quoted(label)}', _text(change.before), _text(change.after))}"
            case ("encryption",):
                yield f"{about}: {_encryption_change(change)}"
            case _:
                what = " ".join(_WORDS.get(part, part) for part in path)
                show = address if what in ("location", "image") else _text
                yield f"{about}: {_was_is(what, show(change.before), show(change.after))}"

    def _owner(self, role: str, was: Party, now: Party) -> str:
        title = "owner" if role == "owner" else "party it is reserved for"
        if not keys_of(was) & keys_of(now):
            return f"{title} was {self._names.party(was)}, is {self._names.party(now)}"
        found = [
            _was_is(name, _text(getattr(was, name)), _text(getattr(now, name)))
            for name in ("name", "contact", "group")
            if getattr(was, name) != getattr(now, name)
        ]
        before, after = [key.keyid for key in was.keys], [key.keyid for key in now.keys]
        found += [f"the key {key} is new" for key in after if key not in before]
        found += [f"the key {key} was removed" for key in before if key not in after]
        if not found:
            found.append("its keys are in another order")
        return f"its {title} {self._names.party(now)}: {'; '.join(found)}"


def _keys(members: dict[str, Any]) -> dict[str, Any]:
    return {**members, "keys": tuple(members["keys"])}


def _listed_changes(change: Change, show: Any) -> Iterator[str]:
    """Say which entries of a list are new and which were removed."""
    before, after = change.before, change.after
    new, gone = ([one for one in these if one not in those] for these, those in ((after, before), (before, after)))
    yield from (f"{show(one)} is new" for one in new)
    yield from (f"{show(one)} was removed" for one in gone)
    if not new and not gone:
        yield f"was {', '.join(map(show, before))}; is {', '.join(map(show, after))}"


def _build(build: dict[str, Any]) -> str:
    debug = " (in debug mode: the machine's operator can look inside)" if build["debug"] else ""
    return f"the build for {build['platform']} with the measurement {build['measurement']}{debug}"


def _encryption_change(change: Change) -> str:
    if change.after is None:
        return f"it is no longer sealed; it was sealed as {quoted(change.before)}"
    return f"it is sealed as {quoted(change.after)}; " + (
        "it was not sealed" if change.before is None else f"it was sealed as {quoted(change.before)}"
    )


def _was_is(what: str, before: str | None, after: str | None) -> str:
    if before is None:
        return f"{what} is new: {after}"
    if after is None:
        return f"{what} was removed; it was {before}"
    return f"{what} was {before}, is {after}"


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, int):
        return None if value is None else str(value)
    text = value if isinstance(value, str) else canonical_bytes(value).decode()
    return quoted(text) if len(text) <= SHORT else _sized(text.encode(), f"{len(text):,} characters")


def _contents(item: Any) -> str | None:
    """Return a file's contents if they are a short text, else their size and digest."""
    if item is None:
        return None
    data = base64.b64decode(item["contents"] if isinstance(item, dict) else item)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    return quoted(text) if len(data) <= SHORT and (text or not data) else _sized(data, f"{len(data):,} bytes")


def _sized(data: bytes, size: str) -> str:
    return f"{size} with the SHA-256 {sha256(data).hexdigest()}"
