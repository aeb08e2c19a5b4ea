"""The model of the credentials document of a dataset in Azure Blob Storage.

For example::

{"type": "azure", "account_name": "clinic", "account_key": "…", "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from connectors.secrets import SecretText
from connectors.storage import (
    HIDES_NOTHING,
    Credentials,
    not_yet_valid,
    sas_expiry,
    sas_problems,
    sas_start,
    sends_in_the_clear,
)
from connectors_azure.connection_string import (
    key_problem,
    parse_connection_string,
    sas_problem,
    url_problem,
)

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["AzureCredentials"]

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_PRINTABLE = re.compile(r"[!-~]+")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,254}")

_WAYS = (
    "account_key, sas_token, connection_string, tenant_id with client_id and client_secret, managed_identity, "
    "anonymous and ambient"
)


class AzureCredentials(Credentials):
    """Credentials: a key, a SAS, an identity, none for a public blob, or those that the machine provides."""

    member_prefixes: ClassVar[tuple[str, ...]] = ("azure",)

    type: Literal["azure"] = "azure"
    account_name: str | None = Field(
        default=None, description="The storage account; optional if the location or the connection string names it."
    )
    account_key: SecretText | None = Field(default=None, description="One of the account's two keys, in base64.")
    sas_token: SecretText | None = Field(
        default=None, description="A shared access signature: the part of its URL after the '?'."
    )
    connection_string: SecretText | None = Field(
        default=None, description="The account's connection string, with a key or a SAS; it names the account."
    )
    tenant_id: str | None = Field(default=None, description="A service principal's tenant.")
    client_id: str | None = Field(
        default=None,
        description="The application id of a service principal, or the client id of a user-assigned managed identity.",
    )
    client_secret: SecretText | None = Field(default=None, description="A service principal's secret.")
    authority_url: str | None = Field(
        default=None,
        description="Login service of a service principal; null for that of the location's cloud, or the public cloud.",
    )
    managed_identity: bool = Field(
        default=False, strict=True, description="Use the identity that Azure gives this machine."
    )
    anonymous: bool = Field(default=False, strict=True, description="Send unsigned requests: the blob is public.")
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Use the AZURE_* variables, the machine's identity or the login of its Azure tools, and the environment's "
            "proxies. Without it, none of them is read."
        ),
    )
    endpoint_url: str | None = Field(
        default=None,
        description="URL of the account's blob service if it is not Azure's own; null for Azure's.",
    )
    allow_http: bool = Field(
        default=False, strict=True, description="Also allow http:// for an endpoint that is not a loopback address."
    )

    @field_validator("account_name")
    @classmethod
    def _check_account(cls, value: str | None) -> str | None:
        # It becomes part of a host name, so it decides which server gets the requests.
        if value is not None and not _ACCOUNT.fullmatch(value):
            message = "not the name of a storage account: use 3 to 24 lower-case letters and digits, without the host"
            raise ValueError(message)
        return value

    @field_validator("tenant_id")
    @classmethod
    def _check_tenant(cls, value: str | None) -> str | None:
        if value is not None and not _TENANT.fullmatch(value):
            message = "not a tenant's id or domain"
            raise ValueError(message)
        return value

    @field_validator("client_id", "client_secret")
    @classmethod
    def _check_text(cls, value: str | SecretText | None) -> str | SecretText | None:
        text = value.reveal() if isinstance(value, SecretText) else value
        if text is not None and not _PRINTABLE.fullmatch(text):
            message = "empty, or contains white space or other characters that are not allowed here"
            raise ValueError(message)
        return value

    @field_validator("account_key", "sas_token", "connection_string")
    @classmethod
    def _check_secret(cls, value: SecretText | None, info: object) -> SecretText | None:
        if value is not None:
            problem = _SECRET_RULES[getattr(info, "field_name", "")](value)
            if problem:
                raise ValueError(problem)
        return value

    @field_validator("endpoint_url", "authority_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is not None:
            problem = url_problem(value)
            if problem:
                raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problem = self._identity_problem() or self._transport_problem()
        if problem:
            raise ValueError(problem)
        return self

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

    @property
    def _is_principal(self) -> bool:
        return (
            self.tenant_id is not None
            or self.client_secret is not None
            or (self.client_id is not None and not self.managed_identity)
        )

    @property
    def logs_in(self) -> bool:
        """Whether requests carry a Microsoft Entra token."""
        return self._is_principal or self.managed_identity or self.ambient

    def _identity_problem(self) -> str | None:
        """Return what is wrong with the ways to authenticate: there must be exactly one, and it must be complete."""
        ways = [
            self.account_key is not None,
            self.sas_token is not None,
            self.connection_string is not None,
            self._is_principal,
            self.managed_identity,
            self.anonymous,
            self.ambient,
        ].count(True)
        if ways == 0:
            return (
                f'no credentials are given: give exactly one of {_WAYS}; for a public blob add "anonymous": true, for '
                'the credentials that this machine provides "ambient": true'
            )
        if ways > 1:
            return f"give exactly one of {_WAYS}"
        if self._is_principal and None in (self.tenant_id, self.client_id, self.client_secret):
            return "a service principal needs all of tenant_id, client_id and client_secret"
        if self.authority_url is not None and not self._is_principal:
            return "authority_url needs tenant_id, client_id and client_secret"
        if self.connection_string is not None and not (self.account_name is None and self.endpoint_url is None):
            return "the connection_string already contains account_name and endpoint_url; leave them out"
        return None

    def _transport_problem(self) -> str | None:
        if self.authority_url is not None and not self.authority_url.lower().startswith("https://"):
            return "authority_url: the client secret is sent there, so the URL must start with https://"
        member, url = "endpoint_url", self.endpoint_url
        if self.connection_string is not None:
            parsed, _ = parse_connection_string(self.connection_string)
            member, url = "connection_string", parsed.endpoint if parsed else None
        if url is None or not url.lower().startswith("http://"):
            return None
        if self.logs_in:
            return f"{member}: Microsoft Entra tokens are sent only over https://"
        if sends_in_the_clear(url) and not self.allow_http:
            return f"{member}: {HIDES_NOTHING}"
        return None


def _connection_problem(value: SecretText) -> str | None:
    return parse_connection_string(value)[1]


_SECRET_RULES = {
    "account_key": key_problem,
    "sas_token": sas_problem,
    "connection_string": _connection_problem,
}
