"""The dialect of Azure Key Vault and Managed HSM: wraps and unwraps keys.

"Wrap Key" and "Unwrap Key": https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key and
https://learn.microsoft.com/rest/api/keyvault/keys/unwrap-key/unwrap-key.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from connectors.secrets import Hidden, SecretKey, SecretText
from connectors.storage import BearerSigner, HttpClient, KeyServer, Origin, Request
from connectors_azure.identity import AGENT, open_tokens
from connectors_azure.vaults import key_id_of, key_id_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Headers
    from connectors_azure.key_documents import VaultWrapping

__all__ = ["VERSION", "VaultServer"]

VERSION = "7.4"
"""The version of the REST API. Later ones have the same operations, but not in all clouds."""

_ROLE = (
    "these credentials may not do that; assign them the role Key Vault Crypto Service Encryption User (for a Managed "
    "HSM: Managed HSM Crypto Service Encryption User) for the key"
)
_POLICY = (
    "these credentials may not do that; add the key permissions wrapKey and unwrapKey to the vault's access policy"
)


class VaultServer(KeyServer):
    """A vault or a Managed HSM. Its tokens are for that service and no other one.

    Args:
        wrapping: the key, and who logs in.

    Raises:
        ConfigError: azure-identity is needed and not installed.
    """

    name = "Azure Key Vault"
    # Codes of `error.innererror`, else of `error`, in responses of the service: there is no list of them. See
    # https://learn.microsoft.com/azure/key-vault/general/rest-error-codes and
    # https://github.com/Azure/azure-sdk-for-net/blob/main/sdk/keyvault/TROUBLESHOOTING.md.
    reasons: ClassVar[Mapping[str, str]] = {
        "AccessDenied": _POLICY,
        "ForbiddenByPolicy": _POLICY,
        "Forbidden": _ROLE,
        "ForbiddenByRbac": _ROLE,
        "ForbiddenByFirewall": "the vault's firewall does not let this machine in; add its network to the firewall",
        "ForbiddenByConnection": "the vault has no public access; reach it by its private endpoint",
        "KeyDisabled": "the key is disabled; enable this version of it",
        "KeyOperationForbidden": "the key may not be used for that; add wrapKey and unwrapKey to its key_ops",
        "KeyNotFound": "there is no such key or version; check key_id, and whether the key was deleted",
        "BadParameter": (
            "the wrapped key was changed, or wrapped by another key, version or algorithm; or the algorithm does not "
            "suit the type of the wrapping key"
        ),
        "Unauthorized": "the token is not accepted; check that the login is of the vault's tenant",
    }

    def __init__(self, wrapping: VaultWrapping) -> None:
        client, key = HttpClient(AGENT), wrapping.wrapping_key
        tokens = open_tokens(wrapping, wrapping.authority_url or key.authority, key.scope, client)
        super().__init__(client, BearerSigner(tokens))
        self._key = key
        self._shown = wrapping.key_id
        self._algorithm = wrapping.algorithm
        self._origin = Origin.of(wrapping.endpoint_url or f"https://{key.host}")

    def wrap(self, key: SecretKey) -> tuple[str, bytes]:
        """Return the identifier of the version that wrapped a key, and the wrapped key."""
        kid, value = self._operate("wrap", Hidden(key.reveal()))
        return kid, bytes(value.reveal())

    def unwrap(self, wrapped: bytes) -> SecretKey:
        """Return a wrapped key."""
        _, value = self._operate("unwrap", Hidden(wrapped))
        return self.checked_key(value, self._shown)

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:
        """Return the inner code of an error, which says more, or else its code."""
        try:
            code = json.loads(body)["error"]["innererror"]["code"]
        except (ValueError, TypeError, LookupError, RecursionError):
            code = None
        return code if isinstance(code, str) else super().error_code(status, headers, body)

    def _operate(self, verb: str, data: Hidden) -> tuple[str, Hidden]:
        """Return what an operation returns: the identifier of the key's version, and bytes."""
        resource = urlsplit(self._shown).path
        request = Request("POST", self._origin, SecretText(f"{resource}/{verb}key?api-version={VERSION}"))
        # Values are base64url without padding: "Data types" of the page in `vaults`.
        value = Hidden(base64.urlsafe_b64encode(data.reveal()).decode().rstrip("="))
        body = Hidden({"alg": self._algorithm, "value": value.reveal()})
        members = self.ask(request, self._shown, f"{verb} with", body)
        kid = str(members.reveal().get("kid"))
        if key_id_problem(kid) or not key_id_of(kid).version or not self._key.is_same(key_id_of(kid)):
            raise self.nonsense(self._shown)
        return kid, self.bytes_of(Hidden(members.reveal().get("value")), self._shown)
