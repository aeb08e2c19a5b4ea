"""A fake of Google Cloud KMS on loopback, which really encrypts.

It is not the service. It follows the documentation of two methods and of their errors:
https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt,
https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt and
https://google.aip.dev/193. Its checksums are those of Google's own library.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from gcs_server import Tokens
from google_crc32c import value as crc32c
from hostile import Answer, Request, hostile_server

from connectors.testing import KeyService

__all__ = ["KEY_NAME", "CloudKms", "problem"]

KEY_NAME = "projects/clinic-4711/locations/europe-west1/keyRings/data/cryptoKeys/lab"
_PATH = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/:]+):(encrypt|decrypt)")
_NONCE = 12
_MEMBERS = {"plaintext", "ciphertext", "additionalAuthenticatedData"}


class CloudKms(KeyService):
    """The service, with one key of two versions, the last of which is primary.

    Args:
        login: the members of documents that log in.
        tokens: issues tokens to a service account.
        given: a token that is valid besides.

    Attributes:
        url: where it is served.
        versions: the key's versions.
        seen: the requests.
        refusing: what to answer instead of the result; None for the result.
        changing: changes the members of a result.
        losing: changes the bytes of a request, as a broken network card would.
    """

    source = "gcp-kms"
    shown = ("Google Cloud KMS", KEY_NAME)

    def __init__(self, login: dict[str, Any], tokens: Tokens, given: str) -> None:
        self.login = login
        self.tokens = tokens
        self.given = given
        self.url = ""
        self.versions = [os.urandom(32) for _ in range(2)]
        self.seen: list[Request] = []
        self.refusing: Callable[[], Answer | None] = lambda: None
        self.changing: Callable[[dict[str, Any]], dict[str, Any]] = lambda members: members
        self.losing: Callable[[bytes], bytes] = lambda data: data
        self.requests: int = 0
        self._running = ExitStack()

    def serve(self) -> ExitStack:
        """Serve it until what is returned is closed, or it vanishes."""
        self.tokens.heard = self._heard
        self.url, _ = self._running.enter_context(hostile_server(self._answer))
        return self._running

    def _heard(self) -> None:
        self.requests += 1

    # What the service does.

    def _answer(self, request: Request) -> Answer:
        self._heard()
        self.seen.append(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in (*self.tokens.given, self.given):
            return problem(401, "UNAUTHENTICATED")
        return self.refusing() or self._done(request)

    def _done(self, request: Request) -> Answer:
        found = _PATH.fullmatch(request.target)
        assert found is not None
        assert request.method == "POST"
        assert request.headers["content-type"] == "application/json"
        name, method = found.groups()
        members = json.loads(request.body)
        assert members.keys() <= _MEMBERS | {f"{one}Crc32c" for one in _MEMBERS}
        if name != KEY_NAME:
            return problem(404, "NOT_FOUND")
        given = {one: self.losing(base64.b64decode(members[one], validate=True)) for one in _MEMBERS & members.keys()}
        # They are 64-bit integers, which are strings in JSON.
        if any(members[f"{one}Crc32c"] != str(crc32c(data)) for one, data in given.items()):
            return problem(400, "INVALID_ARGUMENT")
        bound = given.get("additionalAuthenticatedData", b"")
        if method == "encrypt":
            result = self._encrypted(given["plaintext"], bound)
            if bound:
                result["verifiedAdditionalAuthenticatedDataCrc32c"] = True
            return _json(200, self.changing(result))
        opened = self._opened(given["ciphertext"], bound)
        if opened is None:
            return problem(400, "INVALID_ARGUMENT")
        result = {"plaintextCrc32c": str(crc32c(opened)), "usedPrimary": True, "protectionLevel": "HSM"}
        if opened:  # JSON leaves out what is empty
            result["plaintext"] = base64.b64encode(opened).decode()
        return _json(200, self.changing(result))

    def _encrypted(self, data: bytes, bound: bytes) -> dict[str, Any]:
        version, nonce = len(self.versions), os.urandom(_NONCE)
        sealed = bytes([version]) + nonce + AESGCM(self.versions[version - 1]).encrypt(nonce, data, bound)
        return {
            "name": f"{KEY_NAME}/cryptoKeyVersions/{version}",
            "ciphertext": base64.b64encode(sealed).decode(),
            "ciphertextCrc32c": str(crc32c(sealed)),
            "verifiedPlaintextCrc32c": True,
            "protectionLevel": "HSM",
        }

    def _opened(self, sealed: bytes, bound: bytes) -> bytes | None:
        version, nonce, rest = sealed[0], sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        if not 1 <= version <= len(self.versions):
            return None
        try:
            return AESGCM(self.versions[version - 1]).decrypt(nonce, rest, bound)
        except (InvalidTag, ValueError):
            return None

    # What the contract's tests ask for.

    def secrets(self) -> list[str]:
        account = self.login.get("service_account", {})
        return [self.given, *self.tokens.given, *account.get("private_key", "").splitlines()[1:2]]

    def wrapping(self) -> dict[str, Any]:
        place = {"source": "gcp-kms", "key_name": KEY_NAME, "context": "dataset conditions"}
        return {**place, "endpoint_url": self.url, **self.login}

    def hold_bytes(self, data: bytes) -> dict[str, Any]:
        return {**self.wrapping(), "wrapped": self._encrypted(data, b"dataset conditions")["ciphertext"]}

    def refuse(self) -> None:
        self.refusing = lambda: problem(403, "PERMISSION_DENIED")

    def vanish(self) -> None:
        self._running.close()


def problem(status: int, code: str, reason: str = "") -> Answer:
    """Return an error in Google's form, whose message names the caller."""
    error: dict[str, Any] = {"code": status, "message": "Permission denied on reader@clinic", "status": code}
    if reason:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.Help", "links": []}, info]
    return _json(status, {"error": error})


def _json(status: int, members: dict[str, Any]) -> Answer:
    return Answer(status, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(members).encode())
