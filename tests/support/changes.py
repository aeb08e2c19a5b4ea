"""Changes of any place in a bundle, as JSON has it, and what a refusal of each is to name."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from generated_workflows import some

from connectors.workflow.documents.canonical import canonical_bytes, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Path", "at", "change", "closed", "envelopes", "named", "opened", "places", "refit"]

Path = tuple[str | int, ...]
DIGEST = re.compile(r"[0-9a-f]{64}")
DEPTH = 8
"""More than references go: party, application, app config, workflow. What refers to itself cannot be made to fit."""


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield every place in a JSON document, itself the first."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def at(members: Any, path: Path) -> Any:
    """Return what stands at a place."""
    for key in path:
        members = members[key]
    return members


def envelopes(members: Any) -> Iterator[dict[str, Any]]:
    """Yield all that is signed in a bundle, under whatever name."""
    for name, value in members.items():
        if name != "request":
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict) and "payload" in one:
                    yield one


def opened(members: Any) -> Any:
    """Return a bundle with the documents in its envelopes as JSON, not as base64."""
    members = json.loads(json.dumps(members))
    for envelope in envelopes(members):
        envelope["payload"] = json.loads(base64.b64decode(envelope["payload"]))
    return members


def closed(members: Any) -> Any:
    """Return an opened bundle as it was."""
    members = json.loads(json.dumps(members))
    for envelope in envelopes(members):
        if isinstance(envelope["payload"], dict):
            envelope["payload"] = base64.b64encode(canonical_bytes(envelope["payload"])).decode()
    return members


def change(draw: Any, members: Any, inside: Callable[[Path], bool] = bool) -> tuple[Path, set[str]]:
    """Change something somewhere in a JSON document; return where, and which members are concerned.

    Args:
        draw: hypothesis's.
        members: the document, such as an opened bundle; it is changed.
        inside: tells the places that may be changed.
    """
    path = draw(some(*(path for path in places(members) if path and inside(path))))
    parent, last = at(members, path[:-1]), path[-1]
    value = parent[last]
    added = ""
    how = draw(some("another", "another", "dropped", "another type", "added", "renamed"))
    if how == "dropped":
        del parent[last]
    elif how == "added":
        added = _add(draw, parent, last)
    elif how == "renamed" and isinstance(parent, dict):
        added = draw(some(f"{last}0", str(last)[:-1], str(last).swapcase(), "schema"))
        parent[added] = parent.pop(last)
    elif how == "another":
        parent[last] = draw(some(*_others(value)))
    else:
        parent[last] = draw(some(None, {}, [], 7, 0, "x", "", True, [value], {"x": value}))
    concerned = {key for key in path if isinstance(key, str)} | ({added} if added else set())
    # What was in it is missing now, or something is in it that was not.
    for one in (value, parent[last] if how in ("another", "another type") else None):
        concerned |= one.keys() if isinstance(one, dict) else set()
    # Whatever is refused inside of a document is inside of these as well.
    return path, concerned - {"request", "documents"} if len(path) > len(("request", "documents")) else concerned


def _add(draw: Any, parent: Any, last: str | int) -> str:
    """Put something more beside a place; return under what name."""
    value = draw(some(parent[last], None, "x", 1, {}))
    if isinstance(parent, list):
        parent.insert(int(last), value)
        return ""
    name: str = draw(some("x", "description", "group", "pin", "parent", "reason", f"{last} "))
    parent[name] = value
    return name


def _others(value: Any) -> list[Any]:
    """Return values of the same type: near ones, where a careless comparison would see none."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, -value, 0]
        case str():
            flipped = ("1" if value[:1] == "0" else "0") + value[1:]
            return [value + "0", value[:-1], value.swapcase(), flipped, value + "\u0301", "", f" {value}", f"{value}\n"]
        case list():
            return [[*value, *value[-1:]], value[::-1], value[1:], value[:-1]]
        case dict():
            return [dict(list(value.items())[:-1]), {**value, "x": "y"}, {}]
        case _:
            return ["null"]


def named(members: Any, path: Path, people: dict[str, str]) -> set[str]:
    """Return by what else than its member a refusal may name what was changed at a place.

    Args:
        members: the opened bundle, as it was before.
        path: where.
        people: the parties' names, by digest.
    """
    if path[0] == "request":
        return {digest_of(canonical_bytes(members["request"]))}
    if len(path) == 1:  # whoever is missing now, or says something twice
        return {*people, *people.values()}
    envelope = at(members, path[:2]) if isinstance(path[1], int) else members[path[0]]
    found = {envelope["payload"][member] for member in ("party", "request") if member in envelope["payload"]}
    return found | {people[one] for one in found if one in people}


def refit(members: Any) -> tuple[Any, dict[str, str]]:
    """Give all changed documents their new digests, wherever they are referred to, and those who must approve their order.

    Return the bundle, and the new digests by the old ones.
    """
    fresh: dict[str, str] = {}
    for _ in range(DEPTH):
        documents = members["request"]["documents"]
        for name in [name for name in documents if not DIGEST.fullmatch(name)]:
            one = documents.pop(name)
            documents[digest_of(canonical_bytes(one))] = one
        stale = {digest: digest_of(canonical_bytes(one)) for digest, one in documents.items()}
        stale = {digest: new for digest, new in stale.items() if digest != new}
        if not stale:
            break
        text = json.dumps(members)
        for digest, new in stale.items():
            text = text.replace(digest, new)
        for old, new in [*fresh.items(), *((digest, digest) for digest in stale if digest not in fresh.values())]:
            fresh[old] = stale.get(new, new)
        members = json.loads(text)
        members["request"]["approvers"].sort()
    return members, fresh
