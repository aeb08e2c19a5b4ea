"""Untrusted workflow documents: bundles, archives and CCM configurations in which members are replaced or left out."""

from __future__ import annotations

import copy
import functools
import json
import operator
from typing import Any

import pytest
import strange
from hypothesis import given
from hypothesis import strategies as st

from fuzz import stories
from fuzz.checks import ACCEPTED
from fuzz.targets import workflow

MORE = (
    "@clinic",
    "@lab",
    "@flow",
    "@app",
    "#lab",
    "~ab",
    "\x1b[2J",
    "\x9b2J",
    "\u202e",
    "\u2028",
    "\U000e0001",
    "\x85",
    " 'x'",
    "é",
    "a\nb",
    "2026-03-01T12:00:00Z",
)
CASES = {
    "bundles of workflows": (workflow._bundle_story, [stories.whole(), stories.small()]),
    "archives with drafts": (workflow._archive_story, [stories.drafted(), {"documents": stories.whole()["documents"]}]),
    "runtime configurations of CCM": (workflow._ccm, [stories.CCM]),
}
REFUSED = {"InvalidDocument", "BadSignature", "InvalidStatement", "WeakKey"}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values below a value."""
    names = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [one for name in names for one in ((*path, name), *places(value[name], (*path, name)))]


@st.composite
def edited(draw: Any, documents: list[dict[str, Any]]) -> dict[str, Any]:
    """A document in which up to three values, anywhere, are continued, replaced, left out or get another name."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        *above, last = draw(st.sampled_from(places(document)))
        place = functools.reduce(operator.getitem, above, document)
        match draw(st.sampled_from(("continued", "continued", "continued", "replaced", "left out", "renamed"))):
            case "continued" if isinstance(place[last], str) and place[last][:1] not in "@#~":
                place[last] += draw(st.one_of(st.sampled_from(MORE), strange.texts()))
            case "renamed" if isinstance(place, dict):
                place[draw(st.one_of(st.sampled_from(MORE), strange.names()))] = place.pop(last)
            case "left out" if above:
                del place[last]
            case _:
                place[last] = draw(st.one_of(st.sampled_from(MORE), strange.texts(), strange.json_values(*MORE)))
    return document


@pytest.mark.parametrize("what", CASES)
def test_edited_documents(what, tally):
    parse, documents = CASES[what]
    with tally("edited documents", what, outcome="kept, passed on and shown unchanged, or refused") as cases:

        @strange.examples(150)
        @given(edited(documents))
        def hold(document):
            outcome = parse(json.dumps(document).encode())
            assert outcome == ACCEPTED or outcome in REFUSED
            cases.count("held")

        hold()


@pytest.mark.parametrize(
    "name", [name for name in workflow.seeds() if name.split("-")[0] in ("document", "envelope", "file")]
)
def test_seeds_are_accepted(name):
    assert workflow.check(workflow.seeds()[name]) == ACCEPTED
