"""Errors about a document in the words of the document, where pydantic uses those of the model."""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel

from connectors.models import printable_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic import ValidationError

__all__ = ["Wording", "problems"]


@dataclass(frozen=True)
class Wording:
    """What a kind of document says about its own members.

    Attributes:
        missing: what to say if a required member is missing, by its name.
        objects: what to say if a member is not an object, by its name.
        elsewhere: returns where an unknown member of the document belongs, or None.
        prefixes: prefixes that other tools give to the names of members; see `Credentials.member_prefixes`.
    """

    missing: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Callable[[str], str | None] = lambda _: None
    prefixes: tuple[str, ...] = ()


def problems(
    error: ValidationError, model: type[BaseModel], *, root: str | None = None, wording: Wording | None = None
) -> Iterator[str]:
    """Yield what is wrong with a document, a member each, without a member's value.

    Args:
        error: what pydantic found.
        model: the document's model.
        root: what the document is called in front of its members, or None.
        wording: what its kind says about its members.
    """
    wording = wording or Wording()
    details = error.errors(include_url=False, include_context=False, include_input=False)
    missing = [detail["loc"] for detail in details if detail["type"] == "missing"]
    strange = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    meant = {place: _meant(place, model, missing, wording.prefixes) for place in strange}
    misspelt = {(*place[:-1], name) for place, name in meant.items()}
    for detail in details:
        if detail["type"] == "missing" and detail["loc"] in misspelt:
            continue  # present under a misspelt name, which is reported
        # A rule about several members has no location.
        path = [str(part) for part in detail["loc"]]
        name = path[-1] if path else root or ""
        match detail["type"]:
            case "missing":
                rule = wording.missing.get(name, "required")
            case "extra_forbidden":
                owner = _owner(model, path[:-1])
                rule = f"unknown member; {_advice(name, meant[detail['loc']], owner, model, wording)}"
            case "model_type":
                default = "an object, in braces and without quotation marks around it, is expected"
                rule = wording.objects.get(name, default)
            case _:
                rule = _reworded(detail["msg"].removeprefix("Value error, "))
        shown = [*([root] if root else []), *path[:-1], *([printable_name(path[-1])] if path else [])]
        yield f"{'.'.join(shown)}: {rule}" if shown else rule


def _meant(
    place: tuple[int | str, ...],
    model: type[BaseModel],
    missing: Iterable[tuple[int | str, ...]],
    prefixes: tuple[str, ...],
) -> str | None:
    """Return the known member that an unknown one most likely means."""
    *parents, name = map(str, place)
    sound = _plain(name, prefixes)
    known = {_plain(one, prefixes): one for one in _owner(model, parents).model_fields}
    sure = [one for one in known if sorted(one) == sorted(sound)]
    beside = [_plain(str(one[-1]), prefixes) for one in missing if one[:-1] == place[:-1]]
    sure += [one for one in beside if sound and one.startswith(sound)]
    close = [one for one in sure if one in known] or difflib.get_close_matches(sound, known, n=1, cutoff=0.75)
    return known[close[0]] if close else None


def _plain(name: str, prefixes: Iterable[str]) -> str:
    """Return a member's normalized name: the same for accessKeyId, AWS_ACCESS_KEY_ID and access_key_id."""
    return functools.reduce(str.removeprefix, prefixes, re.sub(r"[^a-z0-9]", "", name.lower()))


def _advice(name: str, meant: str | None, owner: type[BaseModel], model: type[BaseModel], wording: Wording) -> str:
    if meant is not None:
        return f"did you mean {meant}?"
    elsewhere = wording.elsewhere(name) if owner is model else None
    if elsewhere is not None:
        return elsewhere
    if owner is not model and name in model.model_fields:
        return "it belongs one level up"
    return f"known members: {', '.join(sorted(owner.model_fields))}"


_WORDINGS = (
    (r"^Input should be a valid string$", "text in quotation marks is expected"),
    (r"^Input should be a valid integer.*", "a whole number, without quotation marks, is expected"),
    (r"^Input should be a valid boolean$", "true or false, without quotation marks, is expected"),
    (r"^Input should be greater than or equal to ([0-9]+)$", r"the minimum is \1"),
    (r"^Input should be less than or equal to ([0-9]+)$", r"the maximum is \1"),
    (r"^String should have at least 1 character$", "it is empty"),
    (r"^Input should be ('.*)$", r"\1 is expected"),
)


def _reworded(message: str) -> str:
    """Return pydantic's message in terms of the document instead of the model."""
    for pattern, words in _WORDINGS:
        message = re.sub(pattern, words, message)
    return message


def _owner(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    """Return the model of the object at a path of members, or the last known model on the way."""
    for name in path:
        annotation = model.model_fields[name].annotation if name in model.model_fields else None
        kinds = [annotation, *get_args(annotation)]
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return model
