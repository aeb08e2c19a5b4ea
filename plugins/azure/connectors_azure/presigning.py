"""Presigned URLs: whoever has one can GET or PUT one blob, for a while, without credentials."""

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
"""Seconds a URL can live at most. It is the life of a user delegation key (Azure Storage REST API, "Get User Delegation
Key"), and kept to with an account's key too: a URL signed so can be taken back only together with the key."""
_SKEW = timedelta(minutes=5)
"""By how much this machine's clock may be ahead."""

_PERMISSIONS = {"GET": {"read": True}, "PUT": {"create": True, "write": True}}


def presign(location: str, credentials: AzureCredentials, method: str, expires: int) -> str:
    """Return a URL that GETs or PUTs the blob for `expires` seconds.

    It is a service SAS, signed with the account's key, or a user delegation SAS, signed with a key that a service
    principal or a managed identity asks Azure for. The first takes no request.

    Raises:
        ConfigError: `expires` is not between 1 and 604,800.
        NotSupported: another method, or credentials that sign nothing.
        InvalidLocation: the location is none of Azure's, or a folder's.
        AccessDenied, StorageUnavailable: Azure does not give the key that the URL is to be signed with.
    """
    place = split_location(location)
    if place.is_folder:
        message = f"{redact_url(location)} is a folder; a URL is presigned for one object"
        raise InvalidLocation(message)
    permissions = _PERMISSIONS.get(method.upper())
    if permissions is None:
        message = f"Azure's URLs are presigned for GET or PUT, not for {method}"
        raise NotSupported(message)
    if isinstance(expires, bool) or not isinstance(expires, int) or not 1 <= expires <= MAX_EXPIRES:
        message = f"a presigned URL lives 1 to {MAX_EXPIRES} seconds, not {expires}"
        raise ConfigError(message)
    account = account_of(credentials, place)
    if account.key is None and not credentials.logs_in:
        message = (
            "anonymous credentials sign no URLs, and a public blob needs none"
            if credentials.anonymous
            else "a SAS signs no other; presign with an account's key, a service principal or a managed identity"
        )
        raise NotSupported(message)
    ends = datetime.now(UTC) + timedelta(seconds=expires)
    query = generate_blob_sas(
        account.name,
        place.container,
        place.name,
        permission=BlobSasPermissions(**permissions),
        expiry=ends,
        protocol="https" if account.endpoint.startswith("https://") else None,
        **_signed_with(account, credentials, place.path, ends),
    )
    return f"{account.url_of(place.container, place.name)}?{query}"


def _signed_with(account: Account, credentials: AzureCredentials, path: str, ends: datetime) -> dict[str, Any]:
    if account.key is not None:
        return {"account_key": account.key.reveal()}
    with open_service(account, credentials) as service:
        start = datetime.now(UTC) - _SKEW
        # A key lives seven days from its start and not a second more; the longest URLs end with it, a little early.
        stop = min(ends, start + timedelta(seconds=MAX_EXPIRES))
        key = attempt(path, "read", lambda: service.get_user_delegation_key(start, stop))
    return {"user_delegation_key": key}
