"""The dialect of the secure key release sidecar of Azure's confidential containers.

It attests the container group, has a key of a vault released to it, and gives it to the group's containers:
``POST /key/release``, https://github.com/microsoft/confidential-sidecar-containers/blob/main/cmd/skr/README.md.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, ClassVar

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from connectors.errors import InvalidKey, KeyRefused, KeyUnavailable
from connectors.secrets import Hidden, SecretKey, SecretText
from connectors.storage import HttpClient, KeyServer, Origin, Request, Unsigned
from connectors_azure.identity import AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Headers
    from connectors_azure.key_documents import ReleaseReference

__all__ = ["ReleaseServer"]

# The sidecar has no codes: whatever failed, the status is 403, and a text tells which step did (pkg/skr/skr.go and
# pkg/common/http.go in its repository). The first pattern that is found gives the code.
_STEPS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("ServiceBusy", re.compile(rb"http response status equal to (?:429|5\d\d)")),
    ("NoIdentity", re.compile(rb"retrieving authentication token")),
    ("Unreachable", re.compile(rb"HTTP GET failed")),
    ("AttestationFailed", re.compile(rb"attestation failed")),
    ("ForbiddenByRbac", re.compile(rb"ForbiddenByRbac")),
    ("ForbiddenByFirewall", re.compile(rb"ForbiddenByFirewall")),
    ("KeyNotFound", re.compile(rb"http response status equal to 404")),
    ("TokenRefused", re.compile(rb"http response status equal to 401")),
    ("ReleaseRefused", re.compile(rb"http response status equal to 40[03]")),
    ("KeyNotSupported", re.compile(rb"not supported")),
)
_RSA = ("n", "e", "d", "p", "q", "dp", "dq", "qi")
"""The numbers of a private RSA key: RFC 7518, section 6.3."""


class ReleaseServer(KeyServer):
    """The sidecar of this container group.

    Args:
        reference: the key.
    """

    name = "Azure secure key release"
    patience = 60.0  # it attests the container group before it answers
    transient: ClassVar[frozenset[str]] = frozenset({"ServiceBusy", "Unreachable"})
    reasons: ClassVar[Mapping[str, str]] = {
        "NoIdentity": (
            "the sidecar got no token for the vault; assign the container group a managed identity, or give an "
            "access_token"
        ),
        "AttestationFailed": (
            "the container group could not be attested; check maa_endpoint, and that the group is a confidential one"
        ),
        "ForbiddenByRbac": (
            "the identity may not release the key; assign it the role Key Vault Crypto Service Release User (for a "
            "Managed HSM: Managed HSM Crypto Service Release User)"
        ),
        "ForbiddenByFirewall": "the vault's firewall does not let the container group in; add its network",
        "KeyNotFound": "there is no such key or version; check akv_endpoint and kid",
        "TokenRefused": "the vault does not accept the token; renew access_token, or check the managed identity",
        "ReleaseRefused": (
            "the key's release policy is not met, or the identity may not release it; compare x-ms-sevsnpvm-hostdata "
            "in the policy with the hash of the container group's security policy, and the authority with maa_endpoint"
        ),
        "KeyNotSupported": "only keys of the types oct-HSM and RSA-HSM are supported",
    }

    def __init__(self, reference: ReleaseReference) -> None:
        super().__init__(HttpClient(AGENT), Unsigned())
        self._reference = reference
        self._shown = f"{reference.akv_endpoint}/keys/{reference.kid}"

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002 - the engine's signature
        """Return which step failed."""
        return next((code for code, pattern in _STEPS if pattern.search(body)), "")

    def released(self) -> SecretKey:
        """Return the key, or the key that is wrapped under it."""
        reference = self._reference
        named, token = reference.model_dump(include={"maa_endpoint", "akv_endpoint", "kid"}), reference.access_token
        body = Hidden({**named, **({"access_token": token.reveal()} if token else {})})
        request = Request("POST", Origin.of(reference.sidecar_url), SecretText("/key/release"))
        key = self._web_key(self.ask(request, self._shown, "release", body))
        kind = key.reveal().get("kty")
        if kind in ("RSA", "RSA-HSM"):
            return self._unwrapped(key)
        if kind not in ("oct", "oct-HSM"):
            message = f"the key {self._shown} cannot wrap keys, and is none itself; use one of the type oct or RSA"
            raise InvalidKey(message)
        if reference.wrapped is not None:
            message = f"the key {self._shown} is symmetric, so it is the dataset's key itself; leave out `wrapped`"
            raise InvalidKey(message)
        return self.key_of(Hidden(key.reveal().get("k")), self._shown)

    def _web_key(self, members: Hidden) -> Hidden:
        """Return the members of the JSON Web Key, which is text in the member `key`."""
        try:
            key = Hidden(json.loads(members.reveal()["key"]))
        except (ValueError, TypeError, LookupError, RecursionError):
            key = Hidden(None)
        if not isinstance(key.reveal(), dict):
            raise self.nonsense(self._shown)
        return key

    def _unwrapped(self, key: Hidden) -> SecretKey:
        """Return the key that is wrapped under the released RSA key."""
        wrapped = self._reference.wrapped
        if wrapped is None:
            message = f"the key {self._shown} is an RSA key, which wraps keys; give the dataset's key in `wrapped`"
            raise InvalidKey(message)
        private = self._private_key(key)
        if private is None:
            raise self.nonsense(self._shown)
        try:
            data = Hidden(private.decrypt(wrapped, OAEP(MGF1(SHA256()), SHA256(), None)))
        except ValueError:
            data = None
        if data is None:
            message = (
                f"the dataset's key is not wrapped under {self._shown}: another key or version wraps it, or the "
                "document was changed"
            )
            raise KeyRefused(message)
        return self.checked_key(data, self._shown)

    def _private_key(self, key: Hidden) -> RSAPrivateKey | None:
        members = key.reveal()
        try:
            numbers = [self.bytes_of(Hidden(members[name]), self._shown).reveal() for name in _RSA]
            n, e, d, p, q, dp, dq, qi = (int.from_bytes(one) for one in numbers)
            return RSAPrivateNumbers(p, q, d, dp, dq, qi, RSAPublicNumbers(e, n)).private_key()
        except (KeyError, ValueError, KeyUnavailable):
            return None
