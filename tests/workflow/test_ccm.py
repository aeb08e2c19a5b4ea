"""The CCM profile: the published digests, and configurations laid down as folders that the SDK reads."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

import connectors
from connectors.errors import InvalidDocument
from connectors.workflow.ccm import HashedConfig, parse_runtime_app_config

DOCUMENT = b'{"encryption": null}'


@pytest.fixture(scope="session", params=range(4))
def published(request, shared_data) -> dict:
    return json.loads((shared_data / "ccm" / f"em_client_{request.param}.json").read_text())


def test_published_digests_are_reproduced(published):
    config = parse_runtime_app_config(json.dumps(published["runtime_app_config"]).encode())
    assert config.config.digest == published["expected_sha256"]


def test_order_of_what_is_given_does_not_matter(published):
    def turned(value):
        if isinstance(value, dict):
            return {name: turned(value[name]) for name in reversed(value)}
        return value

    config = HashedConfig.model_validate(turned(published["runtime_app_config"]["config"]))
    assert config.digest == published["expected_sha256"]


def test_configurations_become_folders_that_are_read(published, tmp_path):
    config = parse_runtime_app_config(json.dumps(published["runtime_app_config"]).encode())
    for path, data in config.files(lambda *_: DOCUMENT).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    connections = published["runtime_app_config"]["extra"]["connections"]
    app = connectors.load(tmp_path)
    assert sorted(app) == sorted(connections)
    for port, objects in connections.items():
        datasets = [name for name, one in objects.items() if "dataset" in one]
        assert sorted(app[port]) == datasets
    for path, item in published["runtime_app_config"]["config"]["app_config"].items():
        assert (tmp_path / Path(path).name).read_bytes().hex() == base64.b64decode(item["contents"]).hex()


def config_with(**changes) -> dict:
    connections = {"input": {"one": {"dataset": {"location": "s3://a/b"}}}}
    port_map = {"input": {"one": {"dataset": {"id": "141c73d4-36f2-4185-bc75-40e2f7f4f235"}}}}
    config = {
        "config": {
            "app_config": {},
            "labels": {},
            "zone_ca": [],
            "workflow": {
                "workflow_id": "93156096-5ed4-41ad-ae23-19e8fab1e0af",
                "app_name": "app-1",
                "port_map": port_map,
            },
        },
        "extra": {"connections": connections},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = config
        for name in parents:
            place = place[name]
        place[last] = value
    return config


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../escape",
        "/opt/fortanix/enclave-os/app-config/rw/../escape",
        "input/one/dataset/credentials.bin",
        "/opt/fortanix/enclave-os/app-config/rw/input/one/dataset/credentials.bin",
        "app-config.json",
        "folder/",
        "folder/.",
        "",
    ],
)
def test_item_cannot_leave_the_folder_or_replace_another_file(path):
    config = parse_runtime_app_config(json.dumps(config_with(config__app_config={path: {"contents": ""}})).encode())
    with pytest.raises(InvalidDocument, match="is not in"):
        config.files(lambda *_: DOCUMENT)


def test_what_is_not_hashed_may_not_add_connections():
    for connections in (
        {"input": {"two": {"dataset": {"location": "s3://a/b"}}}},
        {"more": {"one": {"dataset": {"location": "s3://a/b"}}}},
        {"input": {"one": {"application": {"workflow_domain": "x"}}}},
    ):
        config = parse_runtime_app_config(json.dumps(config_with(extra__connections=connections)).encode())
        with pytest.raises(InvalidDocument, match="is not connected as in the hashed part"):
            config.files(lambda *_: DOCUMENT)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", ""])
def test_names_that_are_no_folders_are_refused(name):
    changed = config_with(extra__connections={"input": {name: {"dataset": {"location": "s3://a/b"}}}})
    with pytest.raises(InvalidDocument, match="cannot be a folder's name"):
        parse_runtime_app_config(json.dumps(changed).encode()).files(lambda *_: DOCUMENT)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"config": {}}', b"\xff", b'{"config": 1, "extra": {}}'])
def test_what_is_no_configuration_is_refused(data):
    with pytest.raises(InvalidDocument, match="this is not a runtime configuration of CCM"):
        parse_runtime_app_config(data)
