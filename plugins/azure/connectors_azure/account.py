"""Which account requests go to, where it is, and what they are signed with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from connectors.errors import InvalidCredentials, InvalidLocation
from connectors.secrets import SecretText
from connectors_azure.connection_string import parse_connection_string

if TYPE_CHECKING:
    from connectors_azure.credentials import AzureCredentials
    from connectors_azure.location import Place

__all__ = ["Account", "account_of"]

_PUBLIC = "core.windows.net"
_AUTHORITIES = {
    # Microsoft Entra, "National clouds".
    _PUBLIC: "https://login.microsoftonline.com",
    "core.usgovcloudapi.net": "https://login.microsoftonline.us",
    "core.chinacloudapi.cn": "https://login.partner.microsoftonline.cn",
}


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account and the way in.

    Attributes:
        name: its name.
        endpoint: URL of its blob service, without a trailing slash.
        key: its key, where that is the way in.
        sas: a shared access signature without its question mark, where that is the way in.
        authority: where a service principal logs in.
    """

    name: str
    endpoint: str
    key: SecretText | None = None
    sas: SecretText | None = None
    authority: str = _AUTHORITIES[_PUBLIC]

    def url_of(self, container: str, name: str) -> str:
        """Return a blob's URL, without any signature."""
        return f"{self.endpoint}/{container}/{quote(name, safe='~/')}"


def account_of(credentials: AzureCredentials, place: Place) -> Account:
    """Return the account that credentials and location mean.

    Raises:
        InvalidLocation: the location names another account than the credentials.
        InvalidCredentials: neither names one.
    """
    connection = None
    if credentials.connection_string is not None:
        connection, _ = parse_connection_string(credentials.connection_string)
    given = connection.account if connection else credentials.account_name
    if given and place.account and given != place.account:
        message = f"the location is in the account {place.account}, and the credentials are for {given}; mend one"
        raise InvalidLocation(message)
    name = given or place.account
    if name is None:
        message = (
            "credentials.account_name: missing; give the storage account there, or in the location, as in "
            "abfss://container@account.dfs.core.windows.net/name"
        )
        raise InvalidCredentials(message)
    if connection:
        return Account(name, connection.endpoint, connection.key, connection.sas)
    suffix = place.suffix or _PUBLIC
    sas = credentials.sas_token
    return Account(
        name,
        (credentials.endpoint_url or f"https://{name}.blob.{suffix}").rstrip("/"),
        credentials.account_key,
        SecretText(sas.reveal().removeprefix("?")) if sas else None,
        credentials.authority_url or _AUTHORITIES[suffix],
    )
