"""The dialect of Vault's HTTP API: requests to the transit secrets engine, and what error texts mean.

Sources: https://developer.hashicorp.com/vault/api-docs and https://openbao.org/api-docs/, both with /secret/transit.
The texts of errors are not documented; these are those of OpenBao 2.7.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from connectors.secrets import Hidden, SecretText
from connectors.storage import HttpClient, KeyServer, Origin, Request, Unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Headers, Signer
    from connectors_vault.reference import VaultWrapping

__all__ = ["VaultLogin", "VaultServer"]

_AGENT = f"enclave-connectors-vault/{importlib.metadata.version('enclave-connectors-vault')}"
_CLIENT = HttpClient(_AGENT)
_VERBS = {"encrypt": "wrap a key by", "decrypt": "unwrap a key by"}

_PHRASES = (
    ("Vault is sealed", "Sealed"),
    ("permission denied", "PermissionDenied"),
    ("invalid token", "PermissionDenied"),
    ("encryption key not found", "KeyNotFound"),
    ("no handler for route", "NoSuchMount"),
    ("unsupported path", "NoSuchMount"),
    ("missing 'context'", "ContextMissing"),
    ("for non-AEAD cipher", "BindsNothing"),
    ("message authentication failed", "WrongKey"),
    ("invalid ciphertext", "WrongKey"),
    ("disallowed by policy", "KeyVersionTooOld"),
    ("does not support", "KeyTypeUnsuitable"),
    ("not supported", "KeyTypeUnsuitable"),
    ("invalid role", "InvalidLogin"),
    ("invalid secret", "InvalidLogin"),
)
"""Parts of the texts of errors, which are its only codes, and what they are called here. The texts are not shown."""
_BY_STATUS: dict[int, str] = {HTTPStatus.BAD_REQUEST: "Unknown", HTTPStatus.NOT_FOUND: "NoSuchMount"}


class VaultServer(KeyServer):
    """A server, as one login sees it.

    Args:
        reference: has the server's address and the namespace.
        signer: authorises the requests.
    """

    name = "Vault"
    renewing = frozenset({HTTPStatus.FORBIDDEN})  # so Vault refuses an expired token
    reasons: ClassVar[Mapping[str, str]] = {
        "PermissionDenied": (
            "the token is invalid or has expired, or its policy does not allow update on that path; get a new token, "
            "or ask the owner of the key for the permission"
        ),
        "KeyNotFound": "there is no such key; check its name, its mount and the namespace",
        "NoSuchMount": "nothing is mounted at that path; check the mount and the namespace",
        "ContextMissing": "the key is a derived one; give the context",
        "WrongKey": (
            "the key was wrapped by another key or with another context or other associated_data, or was changed"
        ),
        "BindsNothing": "the key's type takes no associated_data; leave it out, or use aes256-gcm96",
        "KeyVersionTooOld": "the key's min_decryption_version is higher than that of the wrapped key",
        "KeyTypeUnsuitable": "the key's type does not do that; use aes256-gcm96 or another type that encrypts",
        "Unknown": "the server's log says why",
    }

    def __init__(self, reference: VaultWrapping, signer: Signer) -> None:
        super().__init__(_CLIENT, signer)
        self._address = reference.address
        self._namespace = reference.namespace

    def request(self, path: str) -> Request:
        """Return the request for a path, without its body."""
        base = urlsplit(self._address).path.rstrip("/")
        headers = {"Accept": "application/json", "X-Vault-Request": "true"}
        if self._namespace is not None:
            headers["X-Vault-Namespace"] = self._namespace
        return Request("POST", Origin.of(self._address), SecretText(f"{base}/v1/{path}"), headers)

    def transit(self, reference: VaultWrapping, operation: str, wanted: str, body: Hidden) -> Hidden:
        """Return a member of the response of an operation of the transit secrets engine; None if there is none.

        Args:
            reference: names the key, the context and the associated data.
            operation: encrypt or decrypt.
            wanted: the member's name.
            body: the operation's own members.
        """
        for name in ("context", "associated_data"):
            text: str | None = getattr(reference, name)
            if text is not None:
                body = Hidden({**body.reveal(), name: base64.b64encode(text.encode()).decode()})
        request = self.request(f"{reference.mount}/{operation}/{reference.key}")
        data = Hidden(self.ask(request, reference.shown, _VERBS[operation], body).reveal().get("data"))
        return Hidden(data.reveal().get(wanted) if isinstance(data.reveal(), dict) else None)

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002
        """Return what `{"errors": ["…"]}` says, in a word; nothing if it cannot be read."""
        try:
            said = json.loads(body)["errors"]
            text = " ".join(map(str, said)) if isinstance(said, list) else ""
        except (ValueError, TypeError, LookupError, RecursionError):
            return ""
        found = next((code for phrase, code in _PHRASES if phrase in text), "")
        return found or _BY_STATUS.get(status, "")


class VaultLogin(VaultServer):
    """A server, as somebody sees it who has no token yet."""

    _NOT_ACCEPTED = "the role is unknown, or what it logs in with is wrong, has expired or was withdrawn; get it anew"
    reasons: ClassVar[Mapping[str, str]] = {
        **VaultServer.reasons,
        "InvalidLogin": _NOT_ACCEPTED,
        "PermissionDenied": _NOT_ACCEPTED,
        "Unknown": _NOT_ACCEPTED,
    }

    def __init__(self, reference: VaultWrapping) -> None:
        super().__init__(reference, Unsigned())
