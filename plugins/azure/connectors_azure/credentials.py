"""The model of the credentials document of a dataset in Azure Blob Storage.

For example::

{"type": "azure", "account_name": "clinic", "account_key": "…", "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from connectors.secrets import SecretText  # noqa: TC001 - pydantic reads the annotations
from connectors.storage import (
    BucketCredentials,
    Way,
    checked,
    is_loopback,
    matching,
    not_yet_valid,
    sas_expiry,
    sas_problems,
    sas_start,
)
from connectors_azure.connection_string import ENDPOINT, key_problem, parse_connection_string, sas_problem, url_problem
from connectors_azure.login import LOGINS, EntraLogin

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["AzureCredentials"]

_BLOB_HOST = re.compile(
    r"(?:[a-z0-9-]+\.)+(?:blob|dfs)\.(?:core\.windows\.net|core\.usgovcloudapi\.net|core\.chinacloudapi\.cn|storage\.azure\.net)"
)
"""The hosts of Azure Storage in all clouds, with those of private links and DNS zones."""
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_NO_ACCOUNT = "not the name of a storage account: use 3 to 24 lower-case letters and digits, without the host"


def _connection_problem(value: SecretText) -> str | None:
    return parse_connection_string(value)[1]


class AzureCredentials(EntraLogin, BucketCredentials):
    """Credentials: a key, a SAS, an identity, none for a public blob, or those that the machine provides."""

    member_prefixes: ClassVar[tuple[str, ...]] = ("azure",)
    ways: ClassVar[tuple[Way, ...]] = (
        *(Way((name,)) for name in ("account_key", "sas_token", "connection_string")),
        *LOGINS,
        *(Way((name,)) for name in ("anonymous", "ambient")),
    )
    endpoint_example: ClassVar[str] = ENDPOINT

    type: Literal["azure"] = "azure"
    # The account becomes part of a host name, so it decides which server gets the requests.
    account_name: Annotated[str, matching(_ACCOUNT, _NO_ACCOUNT)] | None = Field(
        default=None, description="The storage account; optional if the location or the connection string names it."
    )
    account_key: Annotated[SecretText, checked(key_problem)] | None = Field(
        default=None, description="One of the account's two keys, in base64."
    )
    sas_token: Annotated[SecretText, checked(sas_problem)] | None = Field(
        default=None, description="A shared access signature: the part of its URL after the '?'."
    )
    connection_string: Annotated[SecretText, checked(_connection_problem)] | None = Field(
        default=None, description="The account's connection string, with a key or a SAS; it names the account."
    )
    endpoint_url: Annotated[str, checked(url_problem)] | None = Field(
        default=None,
        description="URL of the account's blob service if it is not Azure's own; null for Azure's.",
    )

    @property
    def expires_at(self) -> datetime | None:
        """When the SAS expires, in UTC; None if it does not say, and for all other kinds of credentials."""
        sas, _ = self._sas()
        return None if sas is None else sas_expiry(sas.reveal())

    def problems(self, location: str | None = None) -> tuple[str, ...]:
        """Return what is missing or contradictory in the SAS, without any of its values; empty for other kinds."""
        sas, endpoint = self._sas()
        if sas is None:
            return ()
        member = "sas_token" if self.connection_string is None else "connection_string"
        early = not_yet_valid(sas_start(sas.reveal()))
        found = (*sas_problems(sas.reveal(), endpoint or location), *([early] if early else []))
        return tuple(f"credentials.{member}: {one}" for one in found)

    def _sas(self) -> tuple[SecretText | None, str | None]:
        """Return the SAS, if there is one, and the endpoint that is given with it."""
        if self.connection_string is None:
            return self.sas_token, self.endpoint_url
        connection, _ = parse_connection_string(self.connection_string)
        return (connection.sas, connection.endpoint) if connection else (None, None)

    def contradiction(self) -> str | None:
        """Return what is wrong with members that do not fit together, or None."""
        if self.connection_string is not None and not (self.account_name is None and self.endpoint_url is None):
            return "the connection_string already contains account_name and endpoint_url; leave them out"
        if (problem := self.authority_problem()) is not None:
            return problem
        member, url = "endpoint_url", self.endpoint_url
        if self.connection_string is not None:
            parsed, _ = parse_connection_string(self.connection_string)
            member, url = "connection_string", parsed.endpoint if parsed else None
        if url is not None and (self.ambient or self.managed_identity) and not _is_azure_or_here(url):
            return (
                f"{member}: the token of this machine's identity is sent only to hosts of Azure Storage; leave it out, "
                "or log in with a client_secret of the document"
            )
        if url is None or not url.lower().startswith("http://"):
            return None
        if self.logs_in:
            return f"{member}: Microsoft Entra tokens are sent only over https://"
        problem = self.clear_problem(url)
        return f"{member}: {problem}" if problem else None


def _is_azure_or_here(url: str) -> bool:
    """Return whether a URL's host is that of a blob service of Azure, or this machine, as that of an emulator."""
    host = (urlsplit(url).hostname or "").lower()
    return _BLOB_HOST.fullmatch(host) is not None or is_loopback(host)
