"""Each refusal has a type of its own, whose attributes say who and what it is about."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from parties import MEASUREMENT, NOW, approved, bundle_of, decided, person, requested, submitted

from connectors import errors
from connectors.cli.common.exit_codes import CHECK_FAILED
from connectors.cli.common.exit_codes import describe as described
from connectors.errors import ConnectorError, NotApproved
from connectors.workflow.deploy import folder_files
from connectors.workflow.documents.commitment import OpenedCredentials
from connectors.workflow.documents.kinds import Revocation
from connectors.workflow.documents.model import moment_text
from connectors.workflow.documents.runtime import runtime_config
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.trust.signing import sign
from connectors.workflow.trust.verification import verify

TOLD, BUNDLE, TRUSTED = approved()
REQUEST = BUNDLE.request
CONFIG = runtime_config(REQUEST, "describe")
CLINIC, LAB, REGISTRY = (who.party.digest for who in (TOLD.clinic, TOLD.lab, TOLD.receiver))
EVE = person("Dr. Eve")
LATE = NOW + timedelta(days=31)
CONDITIONS = CONFIG.ports["input"]["conditions"].dataset


def verified(**changes):
    options = {
        "trusted": TRUSTED,
        "identifier": CONFIG.identifier,
        "measurement": MEASUREMENT,
        "platform": "simulated",
        "debug": False,
        "now": NOW,
    }
    given = {**options, **changes}
    bundle = given.pop("bundle", None) or bundle_of(REQUEST, *given.pop("decisions", BUNDLE.decisions))
    return verify(bundle, **given)


def revoked():
    members = {"request": REQUEST.digest, "reason": "moved", "when": moment_text(NOW)}
    revocation = Revocation(party=CLINIC, **members)
    return replace(BUNDLE, revocations=(sign(revocation, TOLD.clinic.signer),))


def another_signature():
    first, second, *rest = BUNDLE.decisions
    return [first.model_copy(update={"signatures": decided(REQUEST, TOLD.clinic, "decline").signatures}), second, *rest]


def laid_down(opened: OpenedCredentials | None, **changes):
    dataset = CONDITIONS.model_copy(update=changes)
    connection = CONFIG.ports["input"]["conditions"].model_copy(update={"dataset": dataset})
    config = CONFIG.model_copy(update={"ports": {"input": {"conditions": connection}}})
    return folder_files(config, {dataset.document: opened} if opened else {}, {})


OPENED = OpenedCredentials({"encryption": {"key": "5a" * 32, "format": "gcm", "pin": "5b" * 32}}, bytes(32))
CREDENTIALS = {"dataset": "input/conditions", "document": CONDITIONS.document, "parties": {}}
OWN_KEY, EVES_KEY = (who.party.keys[0].keyid for who in (TOLD.clinic, EVE))

REFUSALS = {
    "undecided": (
        lambda: verified(decisions=BUNDLE.decisions[:1]),
        errors.Undecided,
        {"parties": {LAB: "Lab B", REGISTRY: "Registry C"}},
    ),
    "declined": (
        lambda: verified(decisions=[decided(REQUEST, TOLD.lab, "decline", reason="too much")]),
        errors.Declined,
        {"parties": {LAB: "Lab B"}, "reasons": {LAB: "too much"}},
    ),
    "expired": (
        lambda: verified(decisions=BUNDLE.decisions[:2], now=LATE),
        errors.RequestExpired,
        {"parties": {REGISTRY: "Registry C"}, "expires": REQUEST.expires},
    ),
    "approved too late": (
        lambda: verified(decisions=[*BUNDLE.decisions[:2], decided(REQUEST, TOLD.receiver, when=moment_text(LATE))]),
        errors.RequestExpired,
        {"parties": {REGISTRY: "Registry C"}, "expires": REQUEST.expires},
    ),
    "revoked": (
        lambda: verified(bundle=revoked()),
        errors.Revoked,
        {"parties": {CLINIC: "Clinic A"}, "reasons": {CLINIC: "moved"}},
    ),
    "untrusted": (
        lambda: verified(trusted={LAB}),
        errors.UntrustedParty,
        {"parties": {CLINIC: "Clinic A", REGISTRY: "Registry C"}},
    ),
    "another's key": (
        lambda: verified(decisions=[decided(REQUEST, TOLD.clinic, signer=EVE.signer)]),
        errors.BadSignature,
        {"parties": {CLINIC: "Clinic A"}, "key_id": EVES_KEY, "known_key": False},
    ),
    "another signature": (
        lambda: verified(decisions=another_signature()),
        errors.BadSignature,
        {"parties": {CLINIC: "Clinic A"}, "key_id": OWN_KEY, "known_key": True},
    ),
    "another request": (
        lambda: verified(decisions=[decided(REQUEST, TOLD.clinic, request="00" * 32)]),
        errors.InvalidStatement,
        {"parties": {CLINIC: "Clinic A"}, "kind": "decision", "member": "request", "expected": REQUEST.digest, "found": "00" * 32},
    ),
    "asked by another": (
        lambda: verified(bundle=bundle_of(REQUEST, submission=submitted(REQUEST, TOLD.clinic))),
        errors.InvalidStatement,
        {"parties": {CLINIC: "Clinic A"}, "kind": "submission", "member": "party", "expected": LAB, "found": CLINIC},
    ),
    "decided by a stranger": (
        lambda: verified(decisions=[decided(REQUEST, EVE)]),
        errors.InvalidStatement,
        {"parties": {}, "kind": "decision", "member": "party", "expected": None, "found": EVE.party.digest},
    ),
    "decided twice": (
        lambda: verified(decisions=[decided(REQUEST, TOLD.clinic)] * 2),
        errors.InvalidStatement,
        {"parties": {CLINIC: "Clinic A"}, "kind": "decision", "member": None, "expected": None, "found": None},
    ),
    "identifier": (
        lambda: verified(identifier="00" * 32),
        errors.UnknownIdentifier,
        {"parties": {}, "identifier": "00" * 32, "known": {"describe": CONFIG.identifier}},
    ),
    "measurement": (
        lambda: verified(measurement="cd" * 32),
        errors.MeasurementMismatch,
        {"parties": {}, "object": "describe", "member": "measurement", "expected": MEASUREMENT, "found": "cd" * 32},
    ),
    "platform": (
        lambda: verified(platform="sgx"),
        errors.MeasurementMismatch,
        {"parties": {}, "object": "describe", "member": "platform", "expected": "simulated", "found": "sgx"},
    ),
    "debug": (
        lambda: verified(debug=True),
        errors.MeasurementMismatch,
        {"parties": {}, "object": "describe", "member": "debug", "expected": "false", "found": "true"},
    ),
    "credentials missing": (
        lambda: laid_down(None),
        errors.CredentialsMismatch,
        {**CREDENTIALS, "member": "credentials_digest", "expected": CONDITIONS.credentials_digest, "found": None},
    ),
    "other credentials": (
        lambda: laid_down(OPENED),
        errors.CredentialsMismatch,
        {**CREDENTIALS, "member": "credentials_digest", "expected": CONDITIONS.credentials_digest, "found": OPENED.digest},
    ),
    "other encryption": (
        lambda: laid_down(OPENED, credentials_digest=OPENED.digest),
        errors.CredentialsMismatch,
        {**CREDENTIALS, "member": "encryption", "expected": "cobblestone-256", "found": None},
    ),
    "another pin": (
        lambda: laid_down(OPENED, credentials_digest=OPENED.digest, encryption="gcm"),
        errors.CredentialsMismatch,
        {**CREDENTIALS, "member": "pin", "expected": None, "found": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS)
def test_each_refusal_has_its_own_type_and_says_who_and_what(refusal):
    call, kind, attributes = REFUSALS[refusal]
    with pytest.raises(NotApproved) as caught:
        call()
    error = caught.value
    assert type(error) is kind
    assert error.request == REQUEST.digest
    assert {name: getattr(error, name) for name in attributes} == attributes
    assert described(error)[0] == CHECK_FAILED
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))


@pytest.mark.parametrize(
    "refusal", [name for name, (_, kind, _) in REFUSALS.items() if kind.__name__.startswith("Cred")]
)
def test_refused_credentials_are_named_and_not_shown(refusal):
    with pytest.raises(errors.CredentialsMismatch, match="^input/conditions: the credentials of ") as caught:
        REFUSALS[refusal][0]()
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert "5a" * 32 not in shown
    assert "5b" * 32 not in shown


def test_request_that_its_requester_has_not_signed_has_its_own_type(tmp_path):
    _, request = requested()
    with pytest.raises(errors.NotSubmitted) as caught:
        FolderStore(str(tmp_path)).bundle(request)
    assert (caught.value.request, caught.value.parties) == (request.digest, {LAB: "Lab B"})


def test_statement_in_a_store_is_refused_as_itself_with_its_file(tmp_path):
    store = FolderStore(str(tmp_path / "store"))
    store.keep(bundle_of(REQUEST))
    said = Path(store.folder, "said", REQUEST.digest)
    for forged, kind in (
        (decided(REQUEST, TOLD.clinic, signer=EVE.signer), errors.BadSignature),
        (decided(REQUEST, EVE), errors.InvalidStatement),
    ):
        path = said / f"{forged.digest}.json"
        path.write_bytes(forged.to_bytes())
        with pytest.raises(kind, match=f"^{re.escape(str(path))}: a "):
            store.statements(REQUEST)
        path.unlink()


def test_every_refusal_is_tested_and_documented_with_its_attributes():
    page = Path(__file__).parents[3].joinpath("docs", "workflows.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .* \|(.*) \|$", page, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", attributes)) for name, attributes in rows}
    kinds = {kind.__name__: kind for kind in NotApproved.__subclasses__()}
    for name, kind in kinds.items():
        own = set(vars(kind).get("__annotations__", ()))
        assert documented[name] - {"dataset"} == own
    assert {kind for _, kind, _ in REFUSALS.values()} | {errors.NotSubmitted} == set(kinds.values())


def test_document_that_breaks_a_rule_is_no_mistake_in_a_configuration():
    assert issubclass(errors.InvalidDocument, (ConnectorError, ValueError))
    assert not issubclass(errors.InvalidDocument, errors.ConfigError)
    assert described(errors.InvalidDocument("it breaks a rule")) == (CHECK_FAILED, "it breaks a rule")
