"""The contract of key sources, against SoftHSM, with each mechanism."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from connectors.testing import KeyService, KeySourceContract


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class TestAesKeyWrap(KeySourceContract):
    @pytest.fixture
    def service(self, safe: Any) -> KeyService:
        def hold_bytes(data: bytes) -> dict[str, Any] | None:
            # RFC 3394 wraps whole blocks of 8 bytes, and at least two.
            whole = len(data) >= 16 and len(data) % 8 == 0
            return {**safe.wrapping(), "wrapped": text(aes_key_wrap(safe.kek, data))} if whole else None

        safe.hold_bytes = hold_bytes
        return safe


class TestAesGcm(KeySourceContract):
    @pytest.fixture
    def service(self, safe: Any, private: Callable[[str, str], str]) -> KeyService:
        safe.how = {"key": "kek", "id": "01", "mechanism": "AES_GCM", "context": "dataset Süd"}
        safe.login = {"pin_file": private("pin", safe.hsm.pin + "\n")}

        def hold_bytes(data: bytes) -> dict[str, Any]:
            nonce = os.urandom(12)
            return {
                **safe.wrapping(),
                "wrapped": text(nonce + AESGCM(safe.kek).encrypt(nonce, data, "dataset Süd".encode())),
            }

        safe.hold_bytes = hold_bytes
        return safe


class TestRsaOaep(KeySourceContract):
    @pytest.fixture
    def service(self, pair: Any) -> KeyService:
        return pair
