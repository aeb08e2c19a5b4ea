"""Determines the storage account that requests go to, its endpoint, and what signs the requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from connectors.errors import InvalidCredentials, InvalidLocation
from connectors.secrets import SecretText
from connectors_azure.connection_string import parse_connection_string
from connectors_azure.location import ACCOUNT_HOST
from connectors_azure.login import CHINA, GOVERNMENT, PUBLIC

if TYPE_CHECKING:
    from connectors.storage import BucketPlace
    from connectors_azure.credentials import AzureCredentials

__all__ = ["Account", "account_of"]

_PUBLIC = "core.windows.net"
_AUTHORITIES = {
    _PUBLIC: PUBLIC,
    "core.usgovcloudapi.net": GOVERNMENT,
    "core.chinacloudapi.cn": CHINA,
}


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account and what authorizes requests to it.

    Attributes:
        name: the account's name.
        endpoint: URL of its blob service, without a trailing slash.
        key: the account key, if it signs the requests.
        sas: the shared access signature without its question mark, if it authorizes the requests.
        authority: URL of the login service for service principals.
    """

    name: str
    endpoint: str
    key: SecretText | None = None
    sas: SecretText | None = None
    authority: str = PUBLIC

    def url_of(self, container: str, name: str) -> str:
        """Return the URL of a blob, without a signature."""
        return f"{self.endpoint}/{container}/{quote(name, safe='~/')}"


def account_of(credentials: AzureCredentials, place: BucketPlace) -> Account:
    """Return the account that credentials and a location refer to.

    Raises:
        InvalidLocation: the location names another account than the credentials.
        InvalidCredentials: neither names an account.
    """
    connection, host = None, ACCOUNT_HOST.fullmatch(place.host)
    located = host and host["account"]
    if credentials.connection_string is not None:
        connection, _ = parse_connection_string(credentials.connection_string)
    given = connection.account if connection else credentials.account_name
    if given and located and given != located:
        message = f"the location is in the account {located}, but the credentials are for {given}; correct one of them"
        raise InvalidLocation(message)
    name = given or located
    if name is None:
        message = (
            "credentials.account_name: missing; give the storage account there, or in the location, as in "
            "abfss://container@account.dfs.core.windows.net/name"
        )
        raise InvalidCredentials(message)
    if connection:
        return Account(name, connection.endpoint, connection.key, connection.sas)
    suffix = host["suffix"] if host else _PUBLIC
    sas = credentials.sas_token
    return Account(
        name,
        (credentials.endpoint_url or f"https://{name}.blob.{suffix}").rstrip("/"),
        credentials.account_key,
        SecretText(sas.reveal().removeprefix("?")) if sas else None,
        credentials.authority_url or _AUTHORITIES[suffix],
    )
