"""The credentials document of a dataset in Azure Blob Storage.

For example::

{"type": "azure", "account_name": "clinic", "account_key": "…", "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from connectors.secrets import SecretText
from connectors.storage import HIDES_NOTHING, Credentials, sas_expiry, sends_in_the_clear
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
    "account_key, or sas_token, or connection_string, or tenant_id with client_id and client_secret, or "
    "managed_identity, or anonymous, or ambient"
)


class AzureCredentials(Credentials):
    """What gives access to blobs: a key, a signature, an identity, nothing at all, or what the machine offers."""

    member_prefixes: ClassVar[tuple[str, ...]] = ("azure",)

    type: Literal["azure"] = "azure"
    account_name: str | None = Field(
        default=None, description="The storage account; may be left out where the location or the connection has it."
    )
    account_key: SecretText | None = Field(default=None, description="One of the account's two keys, in base64.")
    sas_token: SecretText | None = Field(
        default=None, description="A shared access signature: what follows the '?' of its URL."
    )
    connection_string: SecretText | None = Field(
        default=None, description="The account's connection string, with a key or a SAS; it names the account."
    )
    tenant_id: str | None = Field(default=None, description="A service principal's tenant.")
    client_id: str | None = Field(
        default=None, description="A service principal's application id, or a user-assigned managed identity's."
    )
    client_secret: SecretText | None = Field(default=None, description="A service principal's secret.")
    authority_url: str | None = Field(
        default=None, description="Where a service principal logs in; null is the public cloud's, or the location's."
    )
    managed_identity: bool = Field(
        default=False, strict=True, description="Be the identity that Azure gives this machine."
    )
    anonymous: bool = Field(default=False, strict=True, description="Send unsigned requests: the blob is public.")
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Take what the AZURE_* variables, the machine's identity or its Azure tools log in as, and the proxies of "
            "the environment. Without it none of them is looked at."
        ),
    )
    endpoint_url: str | None = Field(
        default=None,
        description="URL of the account's blob service, where it is not Azure's own; null is Azure's.",
    )
    allow_http: bool = Field(
        default=False, strict=True, description="Allow an http:// endpoint that is not this machine's loopback."
    )

    @field_validator("account_name")
    @classmethod
    def _check_account(cls, value: str | None) -> str | None:
        # It becomes part of a host name, so it decides who is sent the requests.
        if value is not None and not _ACCOUNT.fullmatch(value):
            message = "not the name of a storage account: 3 to 24 small letters and digits, and no host behind it"
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
            message = "empty, or with white space or other characters in it that no such value has"
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
        """When the SAS expires, in UTC; None if it does not say, and for every other way to log in."""
        sas = self.sas_token
        if self.connection_string is not None:
            connection, _ = parse_connection_string(self.connection_string)
            sas = connection.sas if connection else None
        return None if sas is None else sas_expiry(sas.reveal())

    @property
    def _is_principal(self) -> bool:
        return (
            self.tenant_id is not None
            or self.client_secret is not None
            or (self.client_id is not None and not self.managed_identity)
        )

    @property
    def logs_in(self) -> bool:
        """Whether requests carry a token of Microsoft Entra's."""
        return self._is_principal or self.managed_identity or self.ambient

    def _identity_problem(self) -> str | None:
        """Return which rule of "who are you" is broken: one way to say it, and all of it."""
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
                f'no way to log in is given: give {_WAYS}; for a public blob say "anonymous": true, for what this '
                'machine offers "ambient": true'
            )
        if ways > 1:
            return f"give either {_WAYS}; not two of them"
        if self._is_principal and None in (self.tenant_id, self.client_id, self.client_secret):
            return "tenant_id, client_id and client_secret go together; one of them is missing"
        if self.authority_url is not None and not self._is_principal:
            return "authority_url goes with tenant_id, client_id and client_secret"
        if self.connection_string is not None and not (self.account_name is None and self.endpoint_url is None):
            return "account_name and endpoint_url stand in the connection_string already; leave them out"
        return None

    def _transport_problem(self) -> str | None:
        if self.authority_url is not None and not self.authority_url.lower().startswith("https://"):
            return "authority_url: a secret is sent there, so only https:// will do"
        member, url = "endpoint_url", self.endpoint_url
        if self.connection_string is not None:
            parsed, _ = parse_connection_string(self.connection_string)
            member, url = "connection_string", parsed.endpoint if parsed else None
        if url is None or not url.lower().startswith("http://"):
            return None
        if self.logs_in:
            return f"{member}: tokens of Microsoft Entra's go over https:// only"
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
