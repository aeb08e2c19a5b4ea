"""The contract of key sources, against a fake of the guest's API server."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.secrets import SecretKey
from connectors.testing import KeyService, KeySourceContract


class TestRawKey(KeySourceContract):
    @pytest.fixture
    def service(self, guest: Any) -> KeyService:
        return guest


class TestHexadecimalKey(KeySourceContract):
    @pytest.fixture
    def service(self, guest: Any) -> KeyService:
        guest.hold = lambda key: guest.put(f"{SecretKey(key).reveal().hex()}\n".encode())
        return guest
