"""Credentials that azure-identity logs in with: it must be installed, write no session keys and return valid tokens."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
from hostile import Answer, hostile_server
from watching import frames_of, texts_of

from connectors.credentials.model import validate
from connectors.errors import ConfigError, StorageUnavailable
from connectors_azure import AzureBackend, AzureCredentials


@pytest.mark.parametrize(
    "members",
    [
        {"managed_identity": True},
        {"ambient": True},
    ],
)
def test_missing_azure_identity_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, members: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    credentials = validate(AzureCredentials, {"account_name": "clinic", **members, "encryption": None})
    backend = AzureBackend()
    for call in (
        lambda: backend.connect("az://ward/a", credentials),
        lambda: backend.presign("az://ward/a", credentials, "GET", 60),
    ):
        with pytest.raises(ConfigError, match=r'pip install "enclave-connectors-azure\[identity\]"'):
            call()


@pytest.mark.parametrize("members", [{"managed_identity": True}, {"ambient": True}])
def test_library_that_would_write_session_keys_does_not_log_in(
    monkeypatch: pytest.MonkeyPatch, members: dict[str, Any]
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", "/nonexistent/keys")
    credentials = validate(AzureCredentials, {"account_name": "clinic", **members, "encryption": None})
    with pytest.raises(ConfigError, match="SSLKEYLOGFILE is set: azure-identity, which logs in with these credentials"):
        AzureBackend().connect("az://ward/a", credentials)


@pytest.mark.parametrize("issued", ["t\u00f6ken-of-the-machine", "token-of-the-machine\r\nX-Evil: 1", "two tokens"])
def test_machine_s_token_that_is_not_printable_is_refused(monkeypatch: pytest.MonkeyPatch, issued: str) -> None:
    reply = json.dumps({"access_token": issued, "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"})
    answer = Answer(200, {"Content-Type": "application/json"}, reply.encode())
    with hostile_server(lambda _: answer) as (url, _):
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
        document = {"account_name": "clinic", "managed_identity": True, "encryption": None}
        fs, path = AzureBackend().connect("az://ward/a", validate(AzureCredentials, document))
        with pytest.raises(StorageUnavailable, match="sent no token for the login with this machine's") as caught:
            fs.store.signer.sign(fs.store.read_request(path, None, None))
    assert caught.value.__context__ is None
    frames = [
        text for where, text in frames_of(caught.value) if where.startswith(("connectors_azure/", "storage/tokens"))
    ]
    assert len(frames) >= 3
    for text in (*frames, *texts_of(caught.value)):
        assert "ken-of-the-machine" not in text
        assert "two tokens" not in text
