"""What is installed: the verbs `backends` and `schema`."""

from __future__ import annotations

import json

from dataset_commands import mistake

from connectors.storage.registry import InstalledBackend


def test_backends_are_listed_with_their_packages_and_problems(run, monkeypatch):
    listed = json.loads(run("backends", "--json").out)
    [file] = [one for one in listed if one["name"] == "file"]
    assert (file["schemes"], file["distribution"], file["problem"]) == (["file"], "enclave-connectors", None)
    broken = InstalledBackend("gcs", (), "enclave-connectors-gcs", "1.2", "ImportError: no google")
    monkeypatch.setattr("connectors.storage.registry.backends", lambda: [broken])
    head, row = run("backends").text.splitlines()
    assert head.split() == ["BACKEND", "SCHEMES", "PACKAGE", "VERSION", "PROBLEM"]
    assert row.split(maxsplit=4) == ["gcs", "-", "enclave-connectors-gcs", "1.2", "ImportError: no google"]
    message = mistake(run("schema", "gcs", code=2))
    assert message == "enclave-connectors-gcs is installed but cannot be used: ImportError: no google"


def test_schema_is_json_of_one_backend_or_of_all(run):
    everything = json.loads(run("schema").out)
    assert everything["$schema"].endswith("2020-12/schema")
    assert len(everything["anyOf"]) >= 2
    one = json.loads(run("schema", "file").out)
    assert one["required"] == ["encryption"]
    assert one["additionalProperties"] is False
    assert one["properties"]["type"]["const"] == "file"
    assert "no backend 'floppy' is installed; installed: " in mistake(run("schema", "floppy", code=2))
