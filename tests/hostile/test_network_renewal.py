"""Credentials that expire during a read: the read continues if the app config has new ones by then."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import network
import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from patience import scaled, until

import connectors
from connectors.errors import CredentialsExpired

PLAIN = bytes(range(250)) * 2000
KEY = {"encryption": {"key": network.KEY}}


def write_app_config(root, location, document):
    folder = root / "input" / "conditions" / "dataset"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "location.txt").write_text(location)
    (folder / "credentials.bin").write_text(json.dumps({**document, **KEY}))


def read_across(root, expire, renew):
    """Read a part, let the credentials expire, and read the rest, which is not requested yet."""
    with connectors.load(root)["input"]["conditions"].open() as file:
        first = file.read(1000)
        with expire():
            renew()
            return first + file.read()


def test_s3_session_token_expires_during_a_read(request, s3, tmp_path, monkeypatch, tally):
    network.impatient(monkeypatch)
    storage = network.storage_at("S3", request)
    storage.write("ending", PLAIN)
    location, document = storage.locate("ending", False)
    # The proxy tells the two documents apart by the region, which is part of each signature.
    old, new = {**document, "region": "us-east-1"}, {**document, "region": "eu-west-1"}
    expired = lambda: storage.proxy.rule("faults.Expired", text="/us-east-1/")  # noqa: E731
    with tally("the session token expires during a read, with and without new credentials", "S3") as cases:
        write_app_config(tmp_path, location, old)
        renewed = cases.read(
            lambda: read_across(tmp_path, expired, lambda: write_app_config(tmp_path, location, new)), PLAIN
        )
        write_app_config(tmp_path, location, old)
        cases.refused(lambda: read_across(tmp_path, expired, lambda: None), CredentialsExpired)
    assert renewed == "the right bytes"


def test_azure_sas_expires_during_a_read(request, azure, tmp_path, monkeypatch, tally):
    network.impatient(monkeypatch)
    storage = network.storage_at("Azure", request)
    storage.write("ending", PLAIN)
    location, document = storage.locate("ending", False)
    expiry = datetime.now(UTC)

    def signed(seconds):
        nonlocal expiry
        expiry = datetime.now(UTC) + timedelta(seconds=seconds)
        permission = ContainerSasPermissions(read=True)
        token = generate_container_sas(
            azure.account, network.CONTAINER, account_key=azure.key, permission=permission, expiry=expiry
        )
        return {**{name: document[name] for name in ("account_name", "endpoint_url")}, "sas_token": token}

    def expired():
        # The storage decides, and it counts in whole seconds.
        until(lambda: datetime.now(UTC) > expiry + timedelta(seconds=1.1), "the SAS expires")
        return storage.proxy.rule(None)

    with tally("the SAS expires during a read, with and without a new one", "Azure") as cases:
        write_app_config(tmp_path, location, signed(scaled(2)))
        renewed = cases.read(
            lambda: read_across(tmp_path, expired, lambda: write_app_config(tmp_path, location, signed(600))), PLAIN
        )
        write_app_config(tmp_path, location, signed(scaled(2)))
        cases.refused(lambda: read_across(tmp_path, expired, lambda: None), CredentialsExpired)
    assert renewed == "the right bytes"


@pytest.mark.parametrize("name", ["S3 over presigned URLs", "Azure over SAS URLs"])
def test_signed_url_expires_during_a_read(name, request, tmp_path, monkeypatch, tally):
    network.impatient(monkeypatch)
    storage = network.storage_at(name, request)
    storage.write("ending", PLAIN)
    location, old = storage.locate("ending", False)
    time.sleep(1.1)  # so that the next URL is signed in another second, and differs
    _, new = storage.locate("ending", False)
    signature = network.signature(old["query_string"])
    expired = lambda: storage.proxy.rule("faults.Expired", target=signature)  # noqa: E731
    with tally("a signed URL expires during a read, with and without a new one", name) as cases:
        write_app_config(tmp_path, location, old)
        renewed = cases.read(
            lambda: read_across(tmp_path, expired, lambda: write_app_config(tmp_path, location, new)), PLAIN
        )
        write_app_config(tmp_path, location, old)
        error = cases.refused(lambda: read_across(tmp_path, expired, lambda: None), CredentialsExpired)
    assert renewed == "the right bytes"
    assert signature not in str(error)
