"""A request is approved by all whose it is about, or by nobody; and an enclave can tell."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from parties import MEASUREMENT, NOW, approved, bundle_of, decided, person, story, submitted

from connectors.errors import InvalidDocument, NotApproved
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.kinds import Placeholder, Revocation, Workflow
from connectors.workflow.documents.model import moment_text
from connectors.workflow.documents.requests import Request, make_request
from connectors.workflow.documents.runtime import runtime_configs
from connectors.workflow.trust.signing import sign
from connectors.workflow.trust.verification import Bundle, status, verify


def test_approved_by_all_it_gives_the_application_its_share():
    _, bundle, trusted = approved()
    (config,) = runtime_configs(bundle.request).values()
    found = verify(
        Bundle.from_bytes(bundle.to_bytes()),
        trusted,
        config.identifier,
        MEASUREMENT,
        platform="simulated",
        debug=False,
        now=NOW,
    )
    assert found == config
    assert found.ports["input"]["conditions"].dataset.reads
    assert found.ports["output"]["result"].dataset.writes
    assert found.ports["output"]["result"].dataset.location == "https://registry.example/output.sealed"


def test_states():
    told, bundle, trusted = approved()
    request, envelopes = bundle.request, bundle.decisions
    later = NOW + timedelta(days=31)

    def state(*decisions, revocations=(), now=NOW):
        return status(bundle_of(request, *decisions, revocations=revocations), trusted, now).state

    assert state() == "pending"
    assert state(*envelopes[:2]) == "pending"
    assert state(*envelopes[:2], now=later) == "expired"
    assert state(*envelopes) == state(*envelopes, now=later) == "approved"
    assert state(envelopes[0], decided(request, told.lab, "decline")) == "declined"
    assert state(*envelopes[:2], decided(request, told.receiver, when=moment_text(later))) == "expired"
    revocation = Revocation(
        request=request.digest, party=told.clinic.party.digest, reason="moved", when=moment_text(NOW)
    )
    assert state(*envelopes, revocations=[sign(revocation, told.clinic.signer)]) == "revoked"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda told, bundle: bundle.decisions[:2], "not approved yet: 'Registry C' has not decided"),
        (lambda told, bundle: [*bundle.decisions, bundle.decisions[0]], "the bundle has two decisions by 'Clinic A'"),
        (
            lambda told, bundle: [*bundle.decisions[:2], decided(bundle.request, told.receiver, "decline", reason="too much")],
            "the request was declined by 'Registry C': 'too much'",
        ),
        (
            lambda told, bundle: [*bundle.decisions[:2], decided(bundle.request, told.receiver, signer=told.lab.signer)],
            "by 'Registry C' has no valid signature: the key [0-9a-f]{64} is not theirs",
        ),
        (
            lambda told, bundle: [*bundle.decisions, decided(bundle.request, person("Dr. Eve"))],
            "who owns nothing in the workflow",
        ),
        (
            lambda told, bundle: [*bundle.decisions[:2], decided(bundle.request, told.receiver, request="00" * 32)],
            "is about the request 0000",
        ),
        (
            lambda told, bundle: [*bundle.decisions[:2], decided(bundle.request, told.receiver, when="2026-05-01T00:00:00Z")],
            "the request expired on 2026-03-31T12:00:00Z before 'Registry C' approved it",
        ),
    ],
)  # fmt: skip
def test_whatever_is_amiss_stops_it_and_says_who(change, message):
    told, bundle, trusted = approved()
    (config,) = runtime_configs(bundle.request).values()
    changed = bundle_of(bundle.request, *change(told, bundle))
    with pytest.raises(NotApproved, match=message):
        verify(changed, trusted, config.identifier, MEASUREMENT, platform="simulated", debug=False, now=NOW)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda told, bundle: submitted(bundle.request, request="00" * 32),
            NotApproved,
            "a submission is about the request 0000",
        ),
        (
            lambda told, bundle: submitted(bundle.request, told.clinic),
            NotApproved,
            r"a submission is by [0-9a-f]{64}, but the requester is 'Lab B'",
        ),
        (
            lambda told, bundle: submitted(bundle.request, person("Dr. Eve")),
            NotApproved,
            r"a submission is by [0-9a-f]{64}, but the requester is 'Lab B'",
        ),
        (
            lambda told, bundle: submitted(bundle.request, signer=told.clinic.signer),
            NotApproved,
            r"by 'Lab B' has no valid signature: the key [0-9a-f]{64} is not theirs",
        ),
        (
            lambda told, bundle: submitted(bundle.request).model_copy(
                update={"signatures": submitted(bundle.request, when="2026-03-02T00:00:00Z").signatures}
            ),
            NotApproved,
            "by 'Lab B' has no valid signature: the signature does not match the signed bytes",
        ),
        (
            lambda told, bundle: decided(bundle.request, told.lab),
            InvalidDocument,
            "payloadType is 'application/vnd.enclave-connectors.decision.v1.json', but a submission was expected",
        ),
    ],
    ids=["another request", "another party", "a stranger", "another's key", "another signature", "an approval"],
)
def test_nobody_asks_in_the_name_of_another(change, error, message):
    told, bundle, trusted = approved()
    (config,) = runtime_configs(bundle.request).values()
    forged = Bundle(bundle.request, change(told, bundle), bundle.decisions)
    for check in (
        lambda: verify(forged, trusted, config.identifier, MEASUREMENT, platform="simulated", debug=False, now=NOW),
        lambda: status(forged, trusted, NOW),
    ):
        with pytest.raises(error, match=message):
            check()


def test_bundle_that_nobody_has_signed_is_none():
    _, bundle, _ = approved()
    members = json.loads(bundle.to_bytes())
    for change in (
        lambda: members.update(submission=None),
        lambda: members.update(submission=[members["decisions"][0]]),
        lambda: members.pop("submission"),
    ):
        change()
        with pytest.raises(InvalidDocument, match="submission"):
            Bundle.from_bytes(canonical_bytes(members))


def test_asking_is_not_approving():
    told, bundle, trusted = approved()
    others = (decided(bundle.request, told.clinic), decided(bundle.request, told.receiver))
    found = status(bundle_of(bundle.request, *others), trusted, NOW)
    assert (found.state, found.missing) == ("pending", {told.lab.party.digest})


def test_who_asks_need_own_nothing_in_it():
    told, workflow = story()
    eve = person("Dr. Eve")
    request = make_request(workflow, told.documents, eve.party, created=NOW)
    people = (told.clinic, told.lab, told.receiver)
    trusted = {who.party.digest for who in (*people, eve)}
    decisions = [decided(request, who) for who in people]
    assert status(bundle_of(request, *decisions), trusted, NOW).state == "approved"
    with pytest.raises(NotApproved, match="who owns nothing in the workflow"):
        status(bundle_of(request, *decisions, decided(request, eve)), trusted, NOW)


def test_another_identifier_measurement_or_party_is_refused():
    _, bundle, trusted = approved()
    (config,) = runtime_configs(bundle.request).values()
    with pytest.raises(NotApproved, match="has no application with the identifier 0000"):
        verify(bundle, trusted, "00" * 32, MEASUREMENT, platform="simulated", debug=False, now=NOW)
    with pytest.raises(NotApproved, match="has the measurement cdcd"):
        verify(bundle, trusted, config.identifier, "cd" * 32, platform="simulated", debug=False, now=NOW)
    for one in trusted:
        with pytest.raises(NotApproved, match="is not among the trusted parties"):
            verify(bundle, trusted - {one}, config.identifier, MEASUREMENT, platform="simulated", debug=False, now=NOW)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.update(payload="e30"), "decisions.1: .* payload: it must be base64 with padding"),
        (lambda one: one.update(payload="e30="), "the payload that the key {keyid} is said to have signed: this is not of the kind 'decision'"),
        (lambda one: one.update(payload="AAAA"), "the payload that the key {keyid} is said to have signed: a document must be a JSON"),
        (lambda one: one["signatures"][0].update(sig=""), "by {name!r} has no valid signature"),
        (lambda one: one["signatures"][0].pop("keyid"), r"decisions.1: .* signatures\.0\.keyid: Field required"),
        (lambda one: one.update(payload_type=one.pop("payloadType")), "decisions.1: .* this one has payload, payload_type, signatures"),
        (lambda one: one.update(payloadType="text/plain"), "the envelope's payloadType is 'text/plain'"),
    ],
)  # fmt: skip
def test_an_envelope_that_was_changed_is_named_with_its_member(change, message):
    told, bundle, trusted = approved()
    (config,) = runtime_configs(bundle.request).values()
    members = json.loads(bundle.to_bytes())
    keyid = members["decisions"][1]["signatures"][0]["keyid"]
    change(members["decisions"][1])
    with pytest.raises((InvalidDocument, NotApproved), match=message.format(keyid=keyid, name=told.lab.party.name)):
        verify(
            Bundle.from_bytes(canonical_bytes(members)),
            trusted,
            config.identifier,
            MEASUREMENT,
            platform="simulated",
            debug=False,
            now=NOW,
        )


def test_who_is_asked_and_owns_nothing_is_named_and_who_is_not_asked():
    told, bundle, _ = approved()
    gone, added = told.clinic.party.digest, "00" * 32
    approvers = sorted({*bundle.request.approvers, added} - {gone})
    request = Request.from_members({**bundle.request.members(), "approvers": approvers})
    with pytest.raises(InvalidDocument, match=f"approvers must be .*: {added}, {gone}"):
        _ = request.graph
    request = Request.from_members({**bundle.request.members(), "approvers": list(bundle.request.approvers[::-1])})
    with pytest.raises(InvalidDocument, match="the order is wrong"):
        _ = request.graph


def test_a_place_that_is_not_filled_cannot_be_asked_about():
    told, workflow = story()
    place = Placeholder(reserved_for=told.receiver.party.digest, wanted="dataset")
    objects = {**workflow.objects, "result": place}
    draft = Workflow(name="x", objects=objects, edges=workflow.edges)
    with pytest.raises(InvalidDocument, match="'result', a dataset from 'Registry C'"):
        make_request(draft, told.documents, told.lab.party, created=NOW)
