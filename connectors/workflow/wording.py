"""A `Difference` in words that somebody who approves a workflow understands, what matters most first.

Names come from strangers. They stand in quotes, written as Python writes them, so that none can pass for a sentence of
ours, and none holds what a terminal would obey. Where two parties have one name, the digest of each stands beside it.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from connectors.workflow.canonical import canonical_bytes
from connectors.workflow.difference import keys_of, same_party
from connectors.workflow.documents import AppConfig, Dataset, Party

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.workflow.difference import Change, Difference, Membership, Path
    from connectors.workflow.graph import Graph, Reach

__all__ = ["in_words", "listed"]

SHOWN = 6
"""Names that one sentence lists; how many more there are, it says."""
SHORT = 200
"""Letters of a text that are shown; of a longer one its size is."""

_TITLES = {
    1: "Objects",
    2: "Owners",
    3: "Builds and measurements",
    4: "Where data lies, and how it is protected",
    5: "Ports and connections",
    6: "Files that applications are given",
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
    """Return the sentences that say what is different, by the titles that they belong under.

    Args:
        difference: what `compare` has returned of the two.
        before: the version that was.
        after: the version that is.
    """
    words = _Words(before, after)
    parts: dict[str, list[str]] = {
        "What reaches whom now, and did not": list(words.reach(difference.gained, after, "reaches", "reach")),
        "What does not reach whom any more": list(words.reach(difference.lost, before, "reached", "reached")),
        "Who has joined and left": [
            *(words.membership(one, before, "has joined as owner of") for one in difference.joined),
            *(words.membership(one, after, "has left; it owned") for one in difference.left),
        ],
    }
    for change, subjects in _grouped(difference.changes):
        parts.setdefault(_TITLES[change.rank], []).extend(words.change(change, subjects))
    return {title: sentences for title, sentences in parts.items() if sentences}


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """Return names as a sentence lists them.

    >>> listed(["a", "b", "c"])
    "'a', 'b' and 'c'"
    """
    shown = [repr(name) for name in names[:most]]
    if len(names) > most:
        shown.append(f"{len(names) - most:,} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _grouped(changes: Sequence[Change]) -> Iterator[tuple[Change, list[str]]]:
    """Yield changes with the ids of all objects that have them alike: a new key of a party that owns many, for one."""
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
    def __init__(self, before: Graph, after: Graph) -> None:
        self._before = before
        self._after = after
        self._called: dict[str, list[Party]] = {}
        for party in {digest: graph.party(digest) for graph in (before, after) for digest in graph.owners()}.values():
            known = self._called.setdefault(party.name, [])
            if not any(same_party(party, one) for one in known):
                known.append(party)

    def reach(self, pairs: Sequence[Reach], graph: Graph, one: str, many: str) -> Iterator[str]:
        """Yield what reaches whom; what goes the same way to the same place in one sentence."""
        ways: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for pair in pairs:
            ways.setdefault((pair.target, pair.through), []).append(pair.source)
        for (target, through), sources in ways.items():
            passing = f" through {listed(through)}" if through else ""
            shown = [self.object(source, graph) for source in sources[:SHOWN]]
            if len(sources) > SHOWN:
                shown.append(f"{len(sources) - SHOWN:,} more")
            verb = one if len(sources) == 1 else many
            yield f"{', '.join(shown)} {verb} {self.object(target, graph)}{passing}"

    def membership(self, one: Membership, other: Graph, verb: str) -> str:
        """Say that a party is in one version alone."""
        sentence = f"{self.party(one.party)} {verb} {listed(one.objects)}"
        others = [other.party(digest) for digest in sorted(other.owners())]
        partners = [party for party in others if keys_of(party) & keys_of(one.party)]
        if partners:
            return (
                f"{sentence}; it has some keys in common with {' and '.join(map(self.party, partners))}, and some not"
            )
        if any(party.name == one.party.name for party in others):
            return f"{sentence}; it has the name of another party, and none of its keys"
        return sentence

    def party(self, party: Party) -> str:
        """Return what a party is called: what nobody else is called here."""
        return f"{party.name!r} ({party.digest[:16]})" if len(self._called[party.name]) > 1 else repr(party.name)

    def object(self, name: str, graph: Graph) -> str:
        """Return an object's id, its name, and whose it is."""
        node, parties = graph.nodes[name], [self.party(graph.party(digest)) for digest in graph.owners_of(name)]
        if isinstance(node, AppConfig):
            program = graph.application(node)
            by = f", which runs {program.name!r} of {parties[1]}" if parties[1] != parties[0] else ""
            return f"{name!r} (the application {node.name!r} of {parties[0]}{by})"
        if isinstance(node, Dataset):
            return f"{name!r} (the dataset {node.name!r} of {parties[0]})"
        return f"{name!r} (a place for {'an' if node.wanted == 'app' else 'a'} {node.wanted} of {parties[0]})"

    def change(self, change: Change, subjects: list[str]) -> Iterator[str]:
        """Say what one member was and is."""
        match change.path:
            case ("objects", name):
                yield self._whole(change, name)
            case ("objects", _, "application", *rest):
                graph = self._after
                programs = {
                    graph.application(node).name
                    for node in map(graph.nodes.get, subjects)
                    if isinstance(node, AppConfig)
                }
                about = f"the application {listed(sorted(programs))}, for {listed(subjects)}"
                yield from self._member(about, tuple(rest), change)
            case ("objects", _, *rest):
                yield from self._member(self._about(subjects), tuple(rest), change)
            case ("edges", *ends):
                yield _edge(ends, new=change.after is not None)
            case path:
                yield from self._member("the workflow", path, change)

    def _about(self, subjects: list[str]) -> str:
        if len(subjects) == 1:
            node = self._after.nodes[subjects[0]]
            name = getattr(node, "name", None)
            return f"{subjects[0]!r}" + (f" ({name!r})" if name is not None else "")
        return listed(subjects)

    def _whole(self, change: Change, name: str) -> str:
        if change.after is None:
            return f"{self.object(name, self._before)} is gone"
        now = self.object(name, self._after)
        node = self._after.nodes[name]
        if isinstance(node, Dataset):
            sealed = f"sealed as {node.encryption!r}" if node.encryption else "not sealed"
            more = f", for {node.direction}, {sealed}, at {node.location!r}"
        elif isinstance(node, AppConfig):
            more = f", of which the build is measured as {node.build.measurement}"
        else:
            more = f", for {node.purpose!r}" if node.purpose else ""
        return (
            f"{now} is new{more}"
            if change.before is None
            else f"{now} is in the place of {self.object(name, self._before)}{more}"
        )

    def _member(self, about: str, path: Path, change: Change) -> Iterator[str]:
        match path:
            case ("owner",) | ("reserved_for",):
                yield f"{about}: {self._owner(path[0], Party(**_keys(change.before)), Party(**_keys(change.after)))}"
            case ("build", "measurement"):
                yield f"{about} is another build: measurement was {change.before}, is {change.after}"
            case ("builds",):
                for one in _listed_changes(change, _build):
                    yield f"{about}: {one}"
            case ("ports",):
                for one in _listed_changes(change, lambda port: f"the port {port!r}"):
                    yield f"{about}: {one}"
            case ("items", place, *_):
                yield f"{about}: {_was_is(f'file {place!r}', _contents(change.before), _contents(change.after))}"
            case ("labels", label):
                yield f"{about}: {_was_is(f'label {label!r}', _text(change.before), _text(change.after))}"
            case ("encryption",):
                yield f"{about}: {_sealing(change)}"
            case _:
                what = " ".join(_WORDS.get(part, part) for part in path)
                yield f"{about}: {_was_is(what, _text(change.before), _text(change.after))}"

    def _owner(self, role: str, was: Party, now: Party) -> str:
        title = "owner" if role == "owner" else "party it is reserved for"
        if not keys_of(was) & keys_of(now):
            return f"{title} was {self.party(was)}, is {self.party(now)}"
        found = [
            _was_is(name, _text(getattr(was, name)), _text(getattr(now, name)))
            for name in ("name", "contact", "group")
            if getattr(was, name) != getattr(now, name)
        ]
        before, after = [key.keyid for key in was.keys], [key.keyid for key in now.keys]
        found += [f"the key {key} is new" for key in after if key not in before]
        found += [f"the key {key} is gone" for key in before if key not in after]
        if not found:
            found.append("its keys are in another order")
        return f"of its {title} {self.party(now)}, {'; '.join(found)}"


def _keys(members: dict[str, Any]) -> dict[str, Any]:
    return {**members, "keys": tuple(members["keys"])}


def _edge(ends: Sequence[str], *, new: bool) -> str:
    source, out, target, into = ends
    no_longer = "" if new else "no longer "
    if not out:
        return f"{target!r} {no_longer}reads {source!r}, on its port {into!r}"
    if not into:
        return f"{source!r} {no_longer}writes {target!r}, on its port {out!r}"
    return f"{source!r} (port {out!r}) {no_longer}hands on to {target!r} (port {into!r})"


def _listed_changes(change: Change, show: Any) -> Iterator[str]:
    """Say which entries of a list are new and which are gone."""
    before, after = change.before, change.after
    new, gone = ([one for one in these if one not in those] for these, those in ((after, before), (before, after)))
    yield from (f"{show(one)} is new" for one in new)
    yield from (f"{show(one)} is gone" for one in gone)
    if not new and not gone:
        yield f"was {', '.join(map(show, before))}; is {', '.join(map(show, after))}"


def _build(build: dict[str, Any]) -> str:
    debug = ", in debug mode, in which whoever runs the machine can look inside" if build["debug"] else ""
    return f"the build for {build['platform']} that is measured as {build['measurement']}{debug}"


def _sealing(change: Change) -> str:
    if change.after is None:
        return f"it is not sealed any more; it was, as {change.before!r}"
    return f"it is sealed as {change.after!r}; " + (
        "it was not" if change.before is None else f"it was, as {change.before!r}"
    )


def _was_is(what: str, before: str | None, after: str | None) -> str:
    if before is None:
        return f"{what} is new: {after}"
    if after is None:
        return f"{what} is gone; it was {before}"
    return f"{what} was {before}, is {after}"


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, int):
        return None if value is None else str(value)
    text = value if isinstance(value, str) else canonical_bytes(value).decode()
    return repr(text) if len(text) <= SHORT else _sized(text.encode(), f"{len(text):,} letters")


def _contents(item: Any) -> str | None:
    """Return what is in a file: itself, if it is a short text."""
    if item is None:
        return None
    data = base64.b64decode(item["contents"] if isinstance(item, dict) else item)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    return repr(text) if len(data) <= SHORT and (text or not data) else _sized(data, f"{len(data):,} bytes")


def _sized(data: bytes, size: str) -> str:
    return f"{size} with the SHA-256 {sha256(data).hexdigest()}"
