"""Credentials that azure-identity logs in with: it must be installed, and write no session keys."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from connectors.credentials.model import validate
from connectors.errors import ConfigError
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
