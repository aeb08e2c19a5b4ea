"""A fake of Azure Key Vault and Managed HSM, on loopback behind TLS, which really wraps and unwraps keys.

It is not the service. It follows the documentation of two operations, of their errors and of tokens:
https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key,
https://learn.microsoft.com/rest/api/keyvault/keys/unwrap-key/unwrap-key and
https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses.
"""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from hostile import Answer, Request, hostile_server
from login_server import CLIENT, SECRET, TENANT, Login

from connectors.testing import KeyService

__all__ = ["KeyVault", "problem"]

_PATH = re.compile(r"/keys/([^/]+)(?:/([^/]+))?/(wrapkey|unwrapkey)")
_OAEP = OAEP(MGF1(SHA256()), SHA256(), None)


class KeyVault(KeyService):
    """A vault with one key, ``wrapping``, of two versions; a Managed HSM has an AES key instead of an RSA key.

    Attributes:
        host: the vault's host, which documents name.
        url: where it is served.
        versions: the key's versions, the last of which is the current one.
        seen: the requests.
        refusing: what to answer instead of the result; None for the result.
        changing: changes the members of a result.
    """

    source = "azure-key-vault"

    def __init__(self, host: str, login: Login) -> None:
        self.host = host
        self.login = login
        self.url = ""
        self.is_hsm = ".managedhsm." in host
        self.versions = {os.urandom(16).hex(): self._new_key() for _ in range(2)}
        self.seen: list[Request] = []
        self.refusing: Callable[[], Answer | None] = lambda: None
        self.changing: Callable[[dict[str, Any]], dict[str, Any]] = lambda members: members
        self.shown = ("Azure Key Vault", f"https://{host}/keys/wrapping")
        self.requests: int = 0
        self._running = ExitStack()

    def _new_key(self) -> RSAPrivateKey | bytes:
        return os.urandom(32) if self.is_hsm else generate_private_key(65537, 2048)

    def serve(self, tls: ssl.SSLContext) -> ExitStack:
        """Serve it until what is returned is closed, or it vanishes."""
        self.login.heard = self._heard
        self.url, _ = self._running.enter_context(hostile_server(self._answer, tls))
        return self._running

    def _heard(self) -> None:
        self.requests += 1

    # What the service does.

    def _answer(self, request: Request) -> Answer:
        self._heard()
        self.seen.append(request)
        audience = f"https://{self.host.partition('.')[2]}"
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self.login.issued or _claims(bearer)["aud"] != audience:
            challenge = f'Bearer authorization="https://login.example/{TENANT}", resource="{audience}"'
            answer = problem(401, "Unauthorized")
            return Answer(401, {**answer.headers, "WWW-Authenticate": challenge}, answer.body)
        return self.refusing() or self._operated(request)

    def _operated(self, request: Request) -> Answer:
        parts = urlsplit(request.target)
        found = _PATH.fullmatch(parts.path)
        assert found is not None
        assert request.method == "POST"
        assert parse_qs(parts.query) == {"api-version": ["7.4"]}
        assert request.headers["content-type"] == "application/json"
        name, version, operation = found.groups()
        version = version or list(self.versions)[-1]
        if name != "wrapping" or version not in self.versions:
            return problem(404, "KeyNotFound")
        members = json.loads(request.body)
        data = self._result(self.versions[version], operation, members["alg"], _bytes_of(members["value"]))
        if data is None:
            return problem(400, "BadParameter")
        kid = f"https://{self.host}/keys/{name}/{version}"
        return _json(200, self.changing({"kid": kid, "value": _text_of(data)}))

    @staticmethod
    def _result(key: RSAPrivateKey | bytes, operation: str, algorithm: str, data: bytes) -> bytes | None:
        if isinstance(key, bytes):
            if algorithm != "A256KW":
                return None
            try:
                return aes_key_wrap(key, data) if operation == "wrapkey" else aes_key_unwrap(key, data)
            except (InvalidUnwrap, ValueError):
                return None
        if algorithm != "RSA-OAEP-256":
            return None
        try:
            return key.public_key().encrypt(data, _OAEP) if operation == "wrapkey" else key.decrypt(data, _OAEP)
        except ValueError:
            return None

    # What the contract's tests ask for.

    def secrets(self) -> list[str]:
        return [SECRET, *self.login.issued]

    def wrapping(self) -> dict[str, Any]:
        return {
            "source": "azure-key-vault",
            "key_id": f"https://{self.host}/keys/wrapping",
            "endpoint_url": self.url,
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "authority_url": self.login.url,
            **({"algorithm": "A256KW"} if self.is_hsm else {}),
        }

    def hold_bytes(self, data: bytes) -> dict[str, Any] | None:
        if self.is_hsm and (len(data) < 16 or len(data) % 8):
            return None  # AES key wrap cannot hold that
        version, key = list(self.versions.items())[-1]
        wrapped = self._result(key, "wrapkey", "A256KW" if self.is_hsm else "RSA-OAEP-256", data)
        assert wrapped is not None
        place = {**self.wrapping(), "key_id": f"https://{self.host}/keys/wrapping/{version}"}
        return {**place, "wrapped": base64.b64encode(wrapped).decode()}

    def refuse(self) -> None:
        self.refusing = lambda: problem(403, "Forbidden", "AccessDenied")

    def vanish(self) -> None:
        self._running.close()


def problem(status: int, code: str, inner: str = "", headers: dict[str, str] | None = None) -> Answer:
    """Return an error in the service's form, whose message names the caller and the vault."""
    error: dict[str, Any] = {"code": code, "message": "Caller: appid=11fa2b7c-client;oid=0815\r\nVault: clinic"}
    if inner:
        error["innererror"] = {"code": inner}
    return _json(status, {"error": error}, headers)


def _json(status: int, members: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(members).encode())


def _bytes_of(text: str) -> bytes:
    """Return the bytes of base64url without padding, which is the only form that the service takes."""
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(_bytes_of(token.split(".")[1]))
    return claims
