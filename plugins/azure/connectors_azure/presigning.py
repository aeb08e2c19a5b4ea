"""Presigned URLs, which let their holder GET or PUT one blob for a limited time without credentials."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from connectors.errors import ConfigError, InvalidLocation, NotSupported
from connectors.secrets import redact_url
from connectors_azure.account import account_of
from connectors_azure.client import open_service
from connectors_azure.error_mapping import attempt
from connectors_azure.location import split_location

if TYPE_CHECKING:
    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["MAX_EXPIRES", "presign"]

MAX_EXPIRES = 7 * 24 * 3600
"""The longest time in seconds for which a URL can be valid. It is the longest validity of a user delegation key (Azure
Storage REST API, "Get User Delegation Key"), and applies to an account key too, because a URL that an account key has
signed can be revoked only together with the key."""
_SKEW = timedelta(minutes=5)
"""How far this machine's clock may be ahead."""

_PERMISSIONS = {"GET": {"read": True}, "PUT": {"create": True, "write": True}}


def presign(location: str, credentials: AzureCredentials, method: str, expires: int) -> str:
    """Return a URL that can GET or PUT the blob for `expires` seconds.

    Its query is a service SAS, signed with the account key, or a user delegation SAS, signed with a key that a service
    principal or a managed identity gets from Azure. A service SAS takes no request.

    Raises:
        ConfigError: `expires` is not between 1 and 604,800.
        NotSupported: another method, or credentials that cannot sign URLs.
        InvalidLocation: this is not a location in Azure, or it is a folder.
        AccessDenied, StorageUnavailable: Azure does not provide the user delegation key.
    """
    place = split_location(location)
    if place.is_folder:
        message = f"{redact_url(location)} is a folder; a URL is presigned for one object"
        raise InvalidLocation(message)
    permissions = _PERMISSIONS.get(method.upper())
    if permissions is None:
        message = f"URLs for Azure are presigned for GET or PUT, not for {method}"
        raise NotSupported(message)
    if isinstance(expires, bool) or not isinstance(expires, int) or not 1 <= expires <= MAX_EXPIRES:
        message = f"a presigned URL is valid for 1 to {MAX_EXPIRES} seconds, not for {expires}"
        raise ConfigError(message)
    account = account_of(credentials, place)
    if account.key is None and not credentials.logs_in:
        message = (
            "anonymous credentials cannot sign URLs, and a public blob needs none"
            if credentials.anonymous
            else "a SAS cannot sign another one; presign with an account key, a service principal or a managed identity"
        )
        raise NotSupported(message)
    expires_at = datetime.now(UTC) + timedelta(seconds=expires)
    query = generate_blob_sas(
        account.name,
        place.container,
        place.name,
        permission=BlobSasPermissions(**permissions),
        expiry=expires_at,
        protocol="https" if account.endpoint.startswith("https://") else None,
        **_signing_key(account, credentials, place.path, expires_at),
    )
    return f"{account.url_of(place.container, place.name)}?{query}"


def _signing_key(account: Account, credentials: AzureCredentials, path: str, expires_at: datetime) -> dict[str, Any]:
    """Return the key that signs a URL, as an argument of `generate_blob_sas`."""
    if account.key is not None:
        return {"account_key": account.key.reveal()}
    with open_service(account, credentials) as service:
        start = datetime.now(UTC) - _SKEW
        # A key is valid for at most seven days from its start, so the longest URLs expire with it, a little early.
        stop = min(expires_at, start + timedelta(seconds=MAX_EXPIRES))
        key = attempt(path, "read", lambda: service.get_user_delegation_key(start, stop))
    return {"user_delegation_key": key}
