"""Authorises requests to Azure Storage: with an account key, a SAS, a Microsoft Entra token, or nothing."""

from __future__ import annotations

import base64
import dataclasses
import email.utils
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import unquote

from connectors.storage import BearerSigner, QuerySigner, Unsigned
from connectors_azure.identity import open_tokens

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.secrets import SecretText
    from connectors.storage import HttpClient, Request, Signer
    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["COPY_SOURCE", "EntraSigner", "SasSigner", "SharedKeySigner", "hmac_of", "signer_of"]

SCOPE = "https://storage.azure.com/.default"
"""The scope of tokens for Azure Storage in every cloud: "Authorize access to blobs using Microsoft Entra ID"."""
COPY_SOURCE = "x-ms-copy-source"
"""The header with the URL of a blob to copy."""

# "Authorize with Shared Key", in the order in which they are signed. Content-Length is among them, but the client sets
# that header, and Date is empty, because x-ms-date is sent in its place.
_BEFORE_LENGTH = ("content-encoding", "content-language")
_AFTER_LENGTH = (
    *("content-md5", "content-type", "date", "if-modified-since", "if-match", "if-none-match"),
    *("if-unmodified-since", "range"),
)


def hmac_of(key: SecretText, text: str) -> str:
    """Return the HMAC-SHA256 of a text with a key, both in base64 as Azure writes them."""
    return base64.b64encode(hmac.digest(base64.b64decode(key.reveal()), text.encode(), hashlib.sha256)).decode()


class SharedKeySigner(Unsigned):
    """Signs requests with an account key.

    Args:
        account: the account's name.
        key: the key, in base64.
    """

    def __init__(self, account: str, key: SecretText) -> None:
        self._account = account
        self._key = key

    def sign(self, request: Request) -> Request:
        """Return the request with its date and its signature."""
        request = _dated(request)
        authorization = f"SharedKey {self._account}:{hmac_of(self._key, self._text(request))}"
        return dataclasses.replace(request, headers={**request.headers, "Authorization": authorization})

    def _text(self, request: Request) -> str:
        """Return what is signed: the headers of the standard, those of Azure, the path and the query."""
        given = {name.lower(): value.strip() for name, value in request.headers.items()}
        path, _, query = request.target.reveal().partition("?")
        lines = [
            request.method,
            *(given.get(name, "") for name in _BEFORE_LENGTH),
            str(request.size or ""),
            *(given.get(name, "") for name in _AFTER_LENGTH),
            *(f"{name}:{given[name]}" for name in sorted(given) if name.startswith("x-ms-")),
            f"/{self._account}{path}",
            *sorted(_parameter(one) for one in query.split("&") if one),
        ]
        return "\n".join(lines)


def _parameter(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{unquote(name).lower()}:{unquote(value)}"


class EntraSigner(BearerSigner):
    """Authorises requests with Microsoft Entra tokens, which are for Azure Storage and no other service."""

    def sign(self, request: Request) -> Request:
        """Return the request with its date and a token. Raises as `Tokens.token` does."""
        return super().sign(_dated(request))


class SasSigner(QuerySigner):
    """Adds a shared access signature to the query, and to the URL of the blob that a request copies."""

    def __init__(self, sas: SecretText, expires_at: datetime | None, endpoint: str) -> None:
        super().__init__(sas, expires_at, endpoint)
        self._sas = sas

    def sign(self, request: Request) -> Request:
        """Return the request with the signature.

        Raises:
            CredentialsExpired: the signature expired longer ago than clocks differ.
        """
        signed = super().sign(request)
        if COPY_SOURCE not in signed.headers:
            return signed
        source = f"{signed.headers[COPY_SOURCE]}?{self._sas.reveal()}"
        return dataclasses.replace(signed, headers={**signed.headers, COPY_SOURCE: source})


def _dated(request: Request) -> Request:
    return dataclasses.replace(request, headers={**request.headers, "x-ms-date": email.utils.formatdate(usegmt=True)})


def signer_of(account: Account, credentials: AzureCredentials, client: HttpClient) -> Signer:
    """Return what authorises requests to an account; makes no request.

    Args:
        account: the account.
        credentials: the account's credentials.
        client: sends the requests of a service principal that logs in.

    Raises:
        ConfigError: azure-identity is needed and not installed.
    """
    if account.key is not None:
        return SharedKeySigner(account.name, account.key)
    if account.sas is not None:
        return SasSigner(account.sas, credentials.expires_at, account.endpoint)
    if not credentials.logs_in:
        return Unsigned()
    return EntraSigner(open_tokens(credentials, account.authority, SCOPE, client))
