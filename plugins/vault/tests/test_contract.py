"""The contract of key sources, against OpenBao, with each way to log in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vault_server import Pod

from connectors.testing import KeyService, KeySourceContract


class TestToken(KeySourceContract):
    @pytest.fixture
    def service(self, clinic: Any) -> KeyService:
        return clinic


class TestTokenFile(KeySourceContract):
    @pytest.fixture
    def service(self, clinic: Any, private: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch) -> KeyService:
        monkeypatch.setenv("VAULT_ADDR", clinic.url)
        clinic.login = {"token_file": private("token", clinic.login["token"] + "\n")}
        return clinic


class TestAppRole(KeySourceContract):
    @pytest.fixture
    def service(self, clinic: Any) -> KeyService:
        clinic.login = {"approle": clinic.log_in_by_role(token_ttl="1h")}
        return clinic


class TestKubernetes(KeySourceContract):
    @pytest.fixture
    def service(self, clinic: Any, pod: Pod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyService:
        monkeypatch.setenv("VAULT_ADDR", clinic.url)
        clinic.login = {"kubernetes": clinic.log_in_by_pod(pod, tmp_path / "jwt")}
        return clinic


class TestAssociatedData(KeySourceContract):
    @pytest.fixture
    def service(self, clinic: Any) -> KeyService:
        clinic.login = {**clinic.login, "associated_data": "dataset=conditions"}
        clinic.hold_bytes = lambda _: None
        return clinic


class TestDerivedKey(KeySourceContract):
    @pytest.fixture
    def service(self, derived: Any) -> KeyService:
        derived.login = {**derived.login, "context": "dataset=conditions"}
        derived.hold_bytes = lambda _: None
        return derived
