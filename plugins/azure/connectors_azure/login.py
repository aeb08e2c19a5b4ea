"""What all documents of this plugin share that log in with Microsoft Entra: their members, and where they log in."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated

from pydantic import Field

from connectors.secrets import SecretText  # noqa: TC001 - pydantic reads the annotations
from connectors.storage import SecretModel, Way, Word, checked, matching, word_problem
from connectors_azure.connection_string import url_problem

__all__ = ["CHINA", "GOVERNMENT", "LOGINS", "PUBLIC", "EntraLogin"]

PUBLIC = "https://login.microsoftonline.com"
"""The login service of the public cloud: Microsoft Entra, "National clouds"."""
GOVERNMENT = "https://login.microsoftonline.us"
"""That of Azure Government."""
CHINA = "https://login.partner.microsoftonline.cn"
"""That of Azure China."""

LOGINS = (
    Way(("tenant_id", "client_id", "client_secret"), extras=("authority_url",), title="a service principal"),
    Way(("managed_identity",), extras=("client_id",)),
)
"""The ways to log in that a document describes; `ambient` is the other one."""

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,254}")


class EntraLogin(SecretModel):
    """The members of a document that say who logs in with Microsoft Entra."""

    tenant_id: Annotated[str, matching(_TENANT, "not a tenant's id or domain")] | None = Field(
        default=None, description="A service principal's tenant."
    )
    client_id: Word | None = Field(
        default=None,
        description="The application id of a service principal, or the client id of a user-assigned managed identity.",
    )
    client_secret: Annotated[SecretText, checked(partial(word_problem, chosen=True))] | None = Field(
        default=None, description="A service principal's secret."
    )
    authority_url: Annotated[str, checked(url_problem)] | None = Field(
        default=None,
        description="Login service of a service principal; null for that of the cloud of the location or of the key.",
    )
    managed_identity: bool = Field(
        default=False, strict=True, description="Use the identity that Azure gives this machine."
    )
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Use the AZURE_* variables, the machine's identity or the login of its Azure tools, and the environment's "
            "proxies. Without it, none of them is read."
        ),
    )

    @property
    def logs_in(self) -> bool:
        """Whether requests carry a Microsoft Entra token."""
        return self.client_secret is not None or self.managed_identity or self.ambient

    def authority_problem(self) -> str | None:
        """Return what is wrong with the login service, or None."""
        if self.authority_url is not None and not self.authority_url.lower().startswith("https://"):
            return "authority_url: the client secret is sent there, so the URL must start with https://"
        return None
