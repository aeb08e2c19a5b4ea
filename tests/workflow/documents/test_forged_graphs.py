"""Workflows that hypothesis makes up, and forgers that it makes up for them: nothing passes that not all have signed.

To see how many forgeries of each kind there were among the few hundred of every run, and what came of them::

    pytest tests/workflow/documents/test_forged_graphs.py -m "not slow" --hypothesis-show-statistics
"""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from changes import closed
from forgeries import EFFORTS, Forger
from generated_workflows import TRYING, Agreed, agreed, some
from hypothesis import event, given, settings
from hypothesis import strategies as st
from lies import ANYWHERE, LIES
from parties import NOW

from connectors.errors import InvalidDocument, NotApproved
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.runtime import RuntimeConfig
from connectors.workflow.trust.verification import Bundle, verify

NAMED = re.compile(r"[0-9a-f]{64}|'[^']+'|[a-z_]+(\.[^ :]+)*: |the bundle's [a-z]+")
"""A digest, a name, or a member."""


def outcome(data: bytes, true: Agreed, config: RuntimeConfig) -> RuntimeConfig | InvalidDocument | NotApproved:
    """What verification makes of a bundle; any other error is none that it may raise."""
    try:
        return verify(
            Bundle.from_bytes(data),
            true.people,
            config.identifier,
            config.build.measurement,
            platform=config.build.platform,
            debug=config.build.debug,
            now=NOW,
        )
    except (InvalidDocument, NotApproved) as error:
        return error


@settings(TRYING, max_examples=100)
@given(agreed())
def test_what_all_have_signed_is_accepted_for_each_application(true):
    data = true.bundle.to_bytes()
    assert Bundle.from_bytes(data) == true.bundle
    assert true.configs
    for config in true.configs.values():
        assert outcome(data, true, config) == config


def hold(forger: Forger, what: str, counted: Counter) -> None:
    """Refuse what not all have signed, for the applications as they were and as the forger would have them."""
    data = forger.to_bytes()
    outcomes = set()
    for config in (forger.agreed.configs | forger.configs()).values():
        found = outcome(data, forger.agreed, config)
        if isinstance(found, RuntimeConfig):
            assert found == config
            assert forger.is_approved(found), f"{what}: {found.identifier} was accepted, and not all have signed it"
            outcomes.add(
                "accepted, as it was" if config.identifier in forger.agreed.configs else "accepted, as signed anew"
            )
        else:
            outcomes.add(type(found).__name__)
            message = str(found)
            assert NAMED.search(message), f"{what}: {message!r} names nothing"
            named = any(name in message for name in forger.names)
            assert named or not forger.names, f"{what}: {message!r} names none of {forger.names}"
    counted[what] += 1
    event(f"{what}: {' / '.join(sorted(outcomes))}")


def forge(data: st.DataObject, counted: Counter) -> None:
    """Tell a lie about a workflow, and make some effort for it to be believed."""
    forger = Forger(data.draw, data.draw(agreed()))
    what, effort = data.draw(some(*LIES)), data.draw(some(*EFFORTS[:1] * 3, *EFFORTS))
    if what == ANYWHERE:  # of which there may be too little left to make fit
        effort = EFFORTS[0]
    LIES[what](forger)
    forger.make_fit(effort)
    hold(forger, f"{what}; {effort}", counted)


@settings(TRYING, max_examples=250)
@given(st.data())
def test_no_forgery_passes(data):
    forge(data, Counter())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_forgery_passes_of_thousands():
    counted = Counter()

    @settings(TRYING, max_examples=6_000)
    @given(st.data())
    def hold_all(data):
        forge(data, counted)

    hold_all()
    assert counted.total() >= 5_000
    told = Counter(what.partition("; ")[0] for what in counted.elements())
    made = Counter(what.partition("; ")[2] for what in counted.elements())
    assert set(told) == set(LIES)
    assert set(made) == set(EFFORTS)
    assert min(told.values()) > 10, told


@settings(TRYING, max_examples=50)
@given(agreed(), st.data())
def test_what_is_withheld_of_decisions_is_missed_and_of_revocations_is_not(true, data):
    forger = Forger(data.draw, true)
    who = forger.someone()
    before = forger.to_bytes()
    forger.members["revocations"].append(forger.revokes(who))
    for config in true.configs.values():
        assert f"the request was revoked by {who.party.name!r}: 'moved'" in str(
            outcome(forger.to_bytes(), true, config)
        )
        # Whoever passes a bundle on can leave out what came later; that is for those to know who release credentials.
        assert outcome(before, true, config) == config
        withheld = {**forger.members, "decisions": [], "revocations": []}
        assert "not decided" in str(outcome(canonical_bytes(closed(withheld)), true, config))


@settings(TRYING, max_examples=50)
@given(agreed(), st.data())
def test_the_same_written_otherwise_is_refused(true, data):
    members = true.members()
    turned = dict(reversed(members.items()))
    for other in (
        json.dumps(members, indent=1).encode(),
        json.dumps(members).encode(),
        json.dumps(turned, ensure_ascii=False, separators=(",", ":")).encode(),
        json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-16"),
        b"\xef\xbb\xbf" + true.bundle.to_bytes(),
        true.bundle.to_bytes() + b"\n",
        true.bundle.to_bytes()[:-1] + b',"schema":"enclave-connectors workflow bundle 1"}',
    ):
        for config in true.configs.values():
            assert isinstance(outcome(other, true, config), InvalidDocument)
