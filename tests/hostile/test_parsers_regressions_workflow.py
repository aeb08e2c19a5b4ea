"""Defects that the fuzz target `workflow` found: each of these inputs once raised an error that is not ours, or did worse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from parties import story

from connectors.errors import ConfigError, InvalidDocument
from connectors.workflow.ccm import parse_runtime_app_config
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.commitment import OpenedCredentials
from connectors.workflow.documents.kinds import AppConfigDocument, Item, Party, Workflow
from connectors.workflow.trust.identities import Identities
from connectors.workflow.trust.signing import Envelope
from connectors.workflow.trust.verification import Bundle


def long_names(size: int = 8_000) -> dict[str, Any]:
    """Many wrong values below one long name: validation described each of them by this name."""
    return {"n" * size: {f"a{number:06}": 1 for number in range(size)}}


LONG = {
    "workflow": (
        Workflow.from_bytes,
        canonical_bytes({"schema": Workflow.schema_name(), "name": "a", "objects": long_names(), "version": 1}),
    ),
    "bundle": (Bundle.from_bytes, canonical_bytes({"schema": "x", "request": {"documents": long_names()}})),
    "envelope": (Envelope.from_bytes, canonical_bytes({"payload": "", "signatures": [long_names()]})),
    "ccm": (parse_runtime_app_config, json.dumps({"config": {"app_config": long_names(), "labels": {}}}).encode()),
}


@pytest.mark.parametrize("what", LONG)
def test_long_names_above_many_values_are_refused_before_validation(what):
    parse, data = LONG[what]
    with pytest.raises(InvalidDocument, match="too long names above too many values"):
        parse(data)


def test_many_long_names_that_are_allowed_are_no_defect():
    told, _ = story()
    (config,) = [one for one in told.documents.values() if isinstance(one, AppConfigDocument)]
    items = {f"{number:04}{'x' * 200}/{'/'.join(['y' * 200] * 3)}": Item(contents="") for number in range(2_000)}
    large = config.model_copy(
        update={"items": items, "labels": {f"{number:03}{'k' * 190}": "" for number in range(900)}}
    )
    assert AppConfigDocument.from_bytes(large.to_bytes()) == large


def test_error_about_very_many_problems_lists_none_of_them():
    members = {"schema": Party.schema_name(), **{f"a{number:06}": 1 for number in range(20_000)}}
    with pytest.raises(InvalidDocument, match="the party breaks rules: it: more than 10000 problems"):
        Party.from_bytes(canonical_bytes(members))


def test_error_about_a_ccm_configuration_lists_the_first_problems():
    members = {"config": {"app_config": {f"a{number}": 1 for number in range(100)}, "labels": {}, "zone_ca": []}}
    with pytest.raises(InvalidDocument, match="; and more$") as caught:
        parse_runtime_app_config(json.dumps(members).encode())
    assert len(str(caught.value)) < 2_000


def test_number_that_python_cannot_write_down_is_refused():
    data = (
        b'{"config": {"app_config": {}, "labels": {}, "zone_ca": []}, "extra": {"connections": {"a": {"b": {"dataset": '
    )
    data += b'{"location": "s3://a/b", "credentials": {"x": %b}}}}}}}'
    assert parse_runtime_app_config(data % b"1").extra.connections
    with pytest.raises(InvalidDocument, match="it is not JSON"):
        parse_runtime_app_config(data % (b"1" * 5_000))


@pytest.mark.parametrize("contents", ["é", "a", "a b=", "\ud7ff"])
def test_contents_of_a_ccm_item_that_are_not_base64_are_one_of_our_errors(contents):
    members = {"config": {"app_config": {"a": {"contents": contents}}, "labels": {}, "zone_ca": []}}
    with pytest.raises(InvalidDocument, match="the contents of the app config item 'a' are not base64"):
        parse_runtime_app_config(json.dumps(members).encode()).files(lambda *_: b"")


@pytest.mark.parametrize("salt", ["5A" * 32, "5a " * 21 + "5", " " * 64, "5a" * 31, "5a" * 33, "٣" * 64, 5, None])
def test_salt_has_one_form(salt):
    members = {"credentials": {}, "salt": salt, "schema": "enclave-connectors workflow credentials 1"}
    with pytest.raises(InvalidDocument, match="salt"):
        OpenedCredentials.from_bytes(canonical_bytes(members))


@pytest.mark.parametrize("parties", [[["a", 1]], [], "ab", 1, None, {"ab": 1}, {"ab": None}])
def test_list_of_trusted_parties_that_is_none_is_one_of_our_errors(parties, tmp_path):
    members = {"schema": "enclave-connectors workflow trusted parties 1", "parties": parties}
    (tmp_path / "trusted.json").write_text(json.dumps(members))
    with pytest.raises(ConfigError, match=r"trusted.json does not have the names of parties"):
        Identities(str(tmp_path)).trusted()


def test_deeply_nested_list_of_trusted_parties_is_one_of_our_errors(tmp_path):
    (tmp_path / "trusted.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="does not have the expected contents"):
        Identities(str(tmp_path)).trusted()
