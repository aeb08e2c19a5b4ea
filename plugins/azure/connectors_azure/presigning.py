"""Presigned URLs, which let their holder GET or PUT one blob for a limited time without credentials."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from connectors.errors import NotSupported
from connectors.secrets import SecretText
from connectors.storage import MAX_EXPIRES, parse_xml, text_at
from connectors_azure.account import account_of
from connectors_azure.connection_string import key_problem
from connectors_azure.signers import hmac_of
from connectors_azure.store import VERSION, AzureStore

if TYPE_CHECKING:
    from connectors.storage import BucketPlace
    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["DelegationKey", "presign", "service_sas"]

_SKEW = timedelta(minutes=5)
"""How far this machine's clock may be ahead."""

_PERMISSIONS = {"GET": "r", "PUT": "cw"}


class DelegationKey(NamedTuple):
    """A key that Azure issues to an identity.

    Attributes:
        key: the key, in base64.
        fields: what the query of a URL says about it, in the order in which it is signed.
    """

    key: SecretText
    fields: dict[str, str]


def presign(place: BucketPlace, credentials: AzureCredentials, method: str, expires: int) -> str:
    """Return a URL that can GET or PUT the blob for `expires` seconds.

    Its query is a service SAS, signed with the account key, or a user delegation SAS, signed with a key that a service
    principal or a managed identity gets from Azure. A service SAS takes no request.

    Raises:
        NotSupported: the credentials cannot sign URLs.
        AccessDenied, StorageUnavailable: Azure does not provide the user delegation key.
    """
    account = account_of(credentials, place)
    if account.key is None and not credentials.logs_in:
        message = (
            "a SAS cannot sign another one; presign with an account key, a service principal or a managed identity"
        )
        raise NotSupported(message)
    expires_at = datetime.now(UTC) + timedelta(seconds=expires)
    key = account.key or _delegation_key(account, credentials, place.path, expires_at)
    query = service_sas(account, place.path, _PERMISSIONS[method], _iso(expires_at), key)
    return f"{account.url_of(place.bucket, place.key)}?{query}"


def service_sas(
    account: Account,
    path: str,
    permissions: str,
    expiry: str,
    key: SecretText | DelegationKey,
    *,
    version: str = VERSION,
) -> str:
    """Return a SAS for one blob: "Create a service SAS" and "Create a user delegation SAS", version 2020-12-06.

    Args:
        account: the account.
        path: ``container/name``.
        permissions: the letters of what it allows.
        expiry: when it expires, as ``2026-01-02T03:04:05Z``.
        key: the account key, or a user delegation key.
        version: the version of the REST API.
    """
    protocol = "https" if account.endpoint.startswith("https://") else ""
    delegated = key.fields if isinstance(key, DelegationKey) else {}
    query = {"se": expiry, "sp": permissions, "spr": protocol, "sv": version, "sr": "b", **delegated}
    # Empty are the start; a stored access policy, or the users and the correlation of a delegation; the address, the
    # snapshot, the encryption scope, and the five headers of a response.
    signed = [permissions, "", expiry, f"/blob/{account.name}/{path}", *(delegated.values() or [""])]
    signed += [*([""] * 3 if delegated else []), "", protocol, version, "b", *[""] * 7]
    secret = key.key if isinstance(key, DelegationKey) else key
    query["sig"] = hmac_of(secret, "\n".join(signed))
    return "&".join(f"{name}={quote(value)}" for name, value in query.items() if value)


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


_FIELDS = {
    "skoid": "SignedOid",
    "sktid": "SignedTid",
    "skt": "SignedStart",
    "ske": "SignedExpiry",
    "sks": "SignedService",
    "skv": "SignedVersion",
}


def _delegation_key(account: Account, credentials: AzureCredentials, path: str, expires_at: datetime) -> DelegationKey:
    """Request a key that is valid until a URL expires."""
    start = datetime.now(UTC) - _SKEW
    # A key is valid for at most seven days from its start, so the longest URLs expire with it, a little early.
    stop = min(expires_at, start + timedelta(seconds=MAX_EXPIRES))
    body = f"<KeyInfo><Start>{_iso(start)}</Start><Expiry>{_iso(stop)}</Expiry></KeyInfo>".encode()
    store = AzureStore(account, credentials)
    request = store.request("POST", "", {"restype": "service", "comp": "userdelegationkey"}, None, body)
    reply = store.call(request, path, "read")

    def read() -> DelegationKey:
        root = parse_xml(reply.body)
        key = SecretText(text_at(root, "Value"))
        if problem := key_problem(key):
            raise ValueError(problem)
        return DelegationKey(key, {name: text_at(root, tag) for name, tag in _FIELDS.items()})

    return store.valid(path, read)
