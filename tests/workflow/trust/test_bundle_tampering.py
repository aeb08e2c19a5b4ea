"""Whoever passes a bundle on can change nothing in it: every member of every document, every signature, every edge."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from changes import at, places, refit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parties import MEASUREMENT, NOW, approved

from connectors.errors import InvalidDocument, NotApproved
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.runtime import runtime_configs
from connectors.workflow.trust.verification import Bundle, verify

_, BUNDLE, TRUSTED = approved()
(SHARE,) = runtime_configs(BUNDLE.request).values()
MEMBERS = json.loads(BUNDLE.to_bytes())
PLACES = [path for path in places(MEMBERS) if path]


def refused(members: Any) -> None:
    with pytest.raises((InvalidDocument, NotApproved)):
        verify(
            Bundle.from_bytes(canonical_bytes(members)),
            TRUSTED,
            SHARE.identifier,
            MEASUREMENT,
            platform="simulated",
            debug=False,
            now=NOW,
        )


def test_as_it_is_it_is_accepted():
    assert (
        verify(
            Bundle.from_bytes(canonical_bytes(MEMBERS)),
            TRUSTED,
            SHARE.identifier,
            MEASUREMENT,
            platform="simulated",
            debug=False,
            now=NOW,
        )
        == SHARE
    )


# Places have digests in them, which are long: they go by their order.
@pytest.mark.parametrize("path", PLACES, ids=range(len(PLACES)))
def test_no_member_can_be_dropped_or_changed(path):
    if path == ("revocations",):
        pytest.skip("an empty list has nothing to change")
    members = copy.deepcopy(MEMBERS)
    parent, last = at(members, path[:-1]), path[-1]
    value = parent[last]
    del parent[last]
    refused(members)
    others: list[Any] = [None, {}, [], 7, "x", True]
    if isinstance(value, str):
        others += [value + "0", value[:-1], value.swapcase(), ("1" if value[:1] == "0" else "0") + value[1:]]
    elif isinstance(value, list):
        others += [[*value, *value[-1:]], value[::-1], value[1:]]
    elif isinstance(value, bool):
        others.append(not value)
    for other in others:
        # The order in which decisions stand says nothing.
        if other == value or (path == ("decisions",) and other == value[::-1]):
            continue
        members = copy.deepcopy(MEMBERS)
        at(members, path[:-1])[last] = other
        refused(members)


FORGING = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def forge(data: st.DataObject) -> None:
    """Change one thing in a document, and all digests so that they fit again."""
    path = data.draw(
        st.sampled_from([path for path in PLACES if path[:2] == ("request", "documents") and len(path) > 3])
    )
    members = copy.deepcopy(MEMBERS)
    parent, last = at(members, path[:-1]), path[-1]
    value = parent[last]
    if isinstance(value, str):
        parent[last] = value + data.draw(st.sampled_from(["0", "x", "ab"]))
    elif isinstance(value, (list, dict)) and value and data.draw(st.booleans()):
        value.pop() if isinstance(value, list) else value.popitem()
    else:
        del parent[last]
    refused(refit(members)[0])


@settings(FORGING, max_examples=300)
@given(st.data())
def test_nor_where_all_digests_are_made_to_fit(data):
    forge(data)


@pytest.mark.slow
@settings(FORGING, max_examples=5_000)
@given(st.data())
def test_nor_in_thousands_of_ways(data):
    forge(data)
