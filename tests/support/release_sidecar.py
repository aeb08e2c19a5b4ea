"""A fake of the secure key release sidecar of Azure's confidential containers, which attests nothing.

It is not the sidecar. It follows ``POST /key/release`` of
https://github.com/microsoft/confidential-sidecar-containers/blob/main/cmd/skr/README.md, and the texts of errors in
pkg/skr/skr.go, pkg/common/akv.go and pkg/common/http.go there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from hostile import Answer, Request, hostile_server

from connectors.secrets import SecretKey
from connectors.testing import KeyService

__all__ = ["MAA", "VAULT", "RsaSidecar", "Sidecar", "failed"]

MAA, VAULT = "sharedneu.neu.attest.azure.net", "clinic.vault.azure.net"
_OAEP = OAEP(MGF1(SHA256()), SHA256(), None)


class Sidecar(KeyService):
    """A sidecar that releases symmetric keys, which are datasets' keys themselves.

    Attributes:
        url: where it is served.
        keys: the JSON Web Keys by their names.
        seen: what was asked, as JSON objects.
        token: the token that requests must have; None where the sidecar has an identity of its own.
        refusing: what to answer instead of the key; None for the key.
    """

    source = "azure-skr"
    shown = ("Azure secure key release", f"{VAULT}/keys/")

    def __init__(self) -> None:
        self.url = ""
        self.keys: dict[str, dict[str, Any]] = {}
        self.seen: list[dict[str, Any]] = []
        self.token: str | None = "eyJ0.token-for-the-vault.c2ln"
        self.refusing: Callable[[], Answer | None] = lambda: None
        self.requests: int = 0
        self._running = ExitStack()

    def serve(self) -> ExitStack:
        """Serve it until what is returned is closed, or it vanishes."""
        self.url, _ = self._running.enter_context(hostile_server(self._answer))
        return self._running

    def _answer(self, request: Request) -> Answer:
        self.requests += 1
        assert (request.method, request.target) == ("POST", "/key/release")
        assert request.headers["content-type"] == "application/json"
        assert "authorization" not in request.headers
        members = json.loads(request.body)
        self.seen.append(members)
        assert members["maa_endpoint"] == MAA
        if self.token is not None and members.get("access_token") != self.token:
            return failed(f"releasing the key {members['kid']} failed: {_PULLING}: {_STATUS} 401 Unauthorized")
        if members["akv_endpoint"] != VAULT or members["kid"] not in self.keys:
            return failed(f"releasing the key {members['kid']} failed: {_PULLING}: {_STATUS} 404 Not Found")
        refused = self.refusing()
        return refused or _json(200, {"key": json.dumps(self.keys[members["kid"]])})

    def secrets(self) -> list[str]:
        return [self.token] if self.token else []

    def place(self, kid: str) -> dict[str, Any]:
        """Return the document of a reference to a released key."""
        token = {} if self.token is None else {"access_token": self.token}
        document = {"source": self.source, "maa_endpoint": MAA, "akv_endpoint": VAULT, "kid": kid}
        return {**document, "sidecar_url": self.url, **token}

    def hold(self, key: SecretKey) -> dict[str, Any]:
        return self.hold_bytes(key.reveal())

    def hold_bytes(self, data: bytes) -> dict[str, Any]:
        kid = f"conditions-{len(self.keys)}"
        self.keys[kid] = {"k": _text_of(data), "key_ops": ["encrypt", "decrypt"], "kty": "oct"}
        return self.place(kid)

    def refuse(self) -> None:
        error = '{"error":{"code":"Forbidden","message":"Target environment attestation does not meet the policy."}}'
        self.refusing = lambda: failed(f"releasing the key x failed: {_PULLING}: {error}: {_STATUS} 403 Forbidden")

    def vanish(self) -> None:
        self._running.close()


class RsaSidecar(Sidecar):
    """A sidecar that releases an RSA key, under which datasets' keys are wrapped."""

    def __init__(self) -> None:
        super().__init__()
        self.private = generate_private_key(65537, 2048)
        self.keys["wrapping"] = web_key_of(self.private)

    def hold_bytes(self, data: bytes) -> dict[str, Any]:
        wrapped = self.private.public_key().encrypt(data, _OAEP)
        return {**self.place("wrapping"), "wrapped": base64.b64encode(wrapped).decode()}


_PULLING = "pulling AKV response body failed"
_STATUS = "http response status equal to"


def failed(text: str, status: int = 403) -> Answer:
    """Return an error in the sidecar's form."""
    links = "ERROR: Please refer to the documentation for more information on how to use this sidecar."
    return _json(status, {"error": f"secure key release failed\n{links}: {text}"})


def web_key_of(key: RSAPrivateKey) -> dict[str, Any]:
    """Return a private key as a JSON Web Key: RFC 7518, section 6.3."""
    private = key.private_numbers()
    numbers = {"n": private.public_numbers.n, "e": private.public_numbers.e, "d": private.d}
    numbers |= {"p": private.p, "q": private.q, "dp": private.dmp1, "dq": private.dmq1, "qi": private.iqmp}
    texts = {name: _text_of(one.to_bytes((one.bit_length() + 7) // 8)) for name, one in numbers.items()}
    return {"kty": "RSA", "key_ops": ["unwrapKey"], **texts}


def _text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _json(status: int, members: dict[str, Any]) -> Answer:
    return Answer(status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(members).encode())
