"""The dialect of Google Cloud KMS: wraps and unwraps keys, and checks that nothing changed on the way.

"Method: cryptoKeys.encrypt" and "Method: cryptoKeys.decrypt":
https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/encrypt and
https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt; and
https://cloud.google.com/kms/docs/data-integrity-guidelines.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from connectors.errors import KeyUnavailable
from connectors.secrets import Hidden, SecretKey, SecretText
from connectors.storage import HttpClient, KeyServer, Origin, Request
from connectors_gcs.crc32c import crc32c
from connectors_gcs.key_documents import KMS
from connectors_gcs.signer import AGENT, signer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.storage import Headers
    from connectors_gcs.key_documents import KmsWrapping

__all__ = ["SCOPE", "KmsServer"]

SCOPE = "https://www.googleapis.com/auth/cloudkms"
"""The scope of tokens: "Authorization scopes" of both methods."""
_ATTEMPTS = 3
"""How often something is asked whose checksum does not match: "perform a limited number of retries"."""


class KmsServer(KeyServer):
    """Google Cloud KMS, for one key.

    Args:
        wrapping: the key, and who logs in.
    """

    name = "Google Cloud KMS"
    # Codes of `error.status`, or reasons in `error.details`: https://cloud.google.com/apis/design/errors.
    reasons: ClassVar[Mapping[str, str]] = {
        "PERMISSION_DENIED": (
            "these credentials may not do that, or there is no such key; grant them the role Cloud KMS CryptoKey "
            "Encrypter/Decrypter for the key"
        ),
        "NOT_FOUND": "there is no such key; check key_name",
        "INVALID_ARGUMENT": (
            "the wrapped key was changed, or wrapped by another key or with another context; or the purpose of the "
            "wrapping key is not symmetric encryption"
        ),
        "FAILED_PRECONDITION": "the version of the key is disabled or destroyed; enable it",
        "UNAUTHENTICATED": "the token has expired, or was revoked; get a new one",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT": f"the token is not for Cloud KMS; get one with the scope {SCOPE}",
        "SERVICE_DISABLED": "the project does not use Cloud KMS yet; enable the API cloudkms.googleapis.com in it",
    }

    def __init__(self, wrapping: KmsWrapping) -> None:
        super().__init__(HttpClient(AGENT), signer_of(wrapping, SCOPE))
        self._key = wrapping.key_name
        self._origin = Origin.of(wrapping.endpoint_url or KMS)
        self._context = None if wrapping.context is None else wrapping.context.encode()

    def encrypt(self, key: SecretKey) -> bytes:
        """Return a key, wrapped under the primary version of the service's key."""
        members = self._asked("wrap with", "encrypt", "plaintext", Hidden(key.reveal()), self._is_encrypted)
        name = members.reveal().get("name")
        if not isinstance(name, str) or not name.startswith(f"{self._key}/cryptoKeyVersions/"):
            raise self.nonsense(self._key)
        return bytes(self._bytes(members, "ciphertext").reveal())

    def decrypt(self, wrapped: bytes) -> SecretKey:
        """Return a wrapped key."""
        members = self._asked("unwrap with", "decrypt", "ciphertext", Hidden(wrapped), self._is_decrypted)
        return self.checked_key(self._bytes(members, "plaintext"), self._key)

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002 - the engine's signature
        """Return a reason that is known, or else the status of an error."""
        try:
            error = json.loads(body)["error"]
            details = error.get("details", [])
            reasons = [one["reason"] for one in details if isinstance(one, dict) and one.get("reason") in self.reasons]
            code = reasons[0] if reasons else error["status"]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return ""
        return code if isinstance(code, str) else ""

    def _asked(self, verb: str, method: str, member: str, data: Hidden, is_whole: Callable[[Hidden], bool]) -> Hidden:
        """Return the members of a response whose checksums match."""
        body = Hidden(_with_checksum(member, data) | self._bound())
        request = Request("POST", self._origin, SecretText(f"/v1/{quote(self._key, safe='/:')}:{method}"))
        for _ in range(_ATTEMPTS):
            members = self.ask(request, self._key, verb, body)
            if is_whole(members):
                return members
        message = (
            f"{self.name} cannot {verb} {self._key}: the checksums of {_ATTEMPTS} responses do not match, so something "
            "on the way, or this machine, changes data"
        )
        raise KeyUnavailable(message)

    def _bound(self) -> dict[str, str]:
        if self._context is None:
            return {}
        return _with_checksum("additionalAuthenticatedData", Hidden(self._context))

    def _is_encrypted(self, members: Hidden) -> bool:
        """Return whether the service received what was sent, and its response arrived as it was."""
        verified = ["verifiedPlaintextCrc32c"]
        if self._context is not None:
            verified.append("verifiedAdditionalAuthenticatedDataCrc32c")
        given = members.reveal()
        return all(given.get(name) is True for name in verified) and self._matches(members, "ciphertext")

    def _is_decrypted(self, members: Hidden) -> bool:
        return self._matches(members, "plaintext")

    def _matches(self, members: Hidden, member: str) -> bool:
        # JSON has 64-bit integers as strings: https://protobuf.dev/programming-guides/json/.
        return str(members.reveal().get(f"{member}Crc32c")) == str(crc32c(self._bytes(members, member)))

    def _bytes(self, members: Hidden, member: str) -> Hidden:
        # JSON leaves out what is empty.
        return self.bytes_of(Hidden(members.reveal().get(member, "")), self._key)


def _with_checksum(member: str, data: Hidden) -> dict[str, str]:
    return {
        member: base64.b64encode(data.reveal()).decode(),
        f"{member}Crc32c": str(crc32c(data)),
    }
