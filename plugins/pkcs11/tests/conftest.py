"""A token of SoftHSM for each test, with keys whose bytes are known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import softhsm
from softhsm import Hsm

from connectors.keys import source_of, wrapping
from connectors.secrets import SecretKey
from connectors.testing import KeyService

KEK = bytes(range(32))


class Safe(KeyService):
    """A data owner's token.

    Attributes:
        hsm: the token.
        kek: the bytes of its AES key `kek`.
        how: the members of the document that name the key and the mechanism.
    """

    source = "pkcs11"
    kek = KEK

    def __init__(self, hsm: Hsm, **how: Any) -> None:
        self.hsm = hsm
        self.how = how or {"key": "kek"}
        self.login = {"pin": hsm.pin}
        self.shown = ("PKCS#11", hsm.token, self.how["key"])

    def secrets(self) -> list[str]:
        return [self.hsm.pin]

    def wrapping(self) -> dict[str, Any]:
        return {"source": "pkcs11", "module": self.hsm.module, "token": self.hsm.token, **self.login, **self.how}

    def wrap(self, key: SecretKey, /, **changes: Any) -> dict[str, Any]:
        """Return the document of a reference to a key."""
        document = {name: one for name, one in {**self.wrapping(), **changes}.items() if one is not None}
        return source_of("pkcs11").wrap(key, wrapping(document), None).document()

    def refuse(self) -> None:
        self.hsm.remove_keys()

    def vanish(self) -> None:
        self.hsm.disconnect()


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hsm:
    try:
        hsm, environment = softhsm.new_token(tmp_path)
    except softhsm.AptMissing as reason:
        pytest.skip(str(reason))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONNECTORS_PKCS11_MODULES", f"/usr/lib/another.so{os.pathsep}{hsm.module}")
    return hsm


@pytest.fixture
def safe(hsm: Hsm) -> Safe:
    hsm.import_key("kek", KEK)
    return Safe(hsm)


@pytest.fixture
def pair(hsm: Hsm) -> Safe:
    """A token with a pair of RSA keys; SoftHSM has OAEP with SHA-1 only."""
    hsm.make_pair("pair")
    return Safe(hsm, key="pair", mechanism="RSA_PKCS_OAEP", hash="SHA1")


@pytest.fixture
def private(tmp_path: Path) -> Callable[[str, str], str]:
    """Write a private file; return its path."""

    def write(name: str, text: str) -> str:
        path = tmp_path / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return str(path)

    return write
