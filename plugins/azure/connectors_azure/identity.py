"""Tokens of Microsoft Entra's, as `azure-identity` gets them: a service principal's, a machine's, or what there is."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceResponseError

from connectors.errors import AccessDenied, ConfigError, CredentialsExpired, StorageUnavailable

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

    from connectors.errors import ConnectorError
    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["Tokens", "check_identity", "open_identity"]

STORAGE_SCOPE = "https://storage.azure.com/.default"
"""What tokens for Azure Storage are for, in every cloud: "Authorize access to blobs using Microsoft Entra ID"."""
_CODE = re.compile(r"\bAADSTS[0-9]{4,8}\b")
_EXPIRED = frozenset({"AADSTS7000222"})
"""Microsoft Entra's code for a client secret whose time is over: "Microsoft Entra authentication error codes"."""


class Tokens:
    """A credential as the clients take it, whose errors are ours.

    Args:
        inner: one of azure-identity's credentials.
        whose: whose tokens they are, for messages.
    """

    def __init__(self, inner: Any, whose: str) -> None:
        self._inner = inner
        self._whose = whose

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token for Azure Storage, and for nothing else.

        A storage that does not accept a token may say for which resource it wants one, and its client asks for that:
        so one for a key vault, or for the whole subscription, would go to whoever answers in the storage's place.

        Raises:
            AccessDenied, CredentialsExpired: there is none to be had.
            StorageUnavailable: whoever gives them cannot be reached.
        """
        if scopes != (STORAGE_SCOPE,):
            message = f"the storage asks {self._whose} for a token of another service, which it is not given"
            raise AccessDenied(message)
        try:
            token: AccessToken = self._inner.get_token(*scopes, **options)
        except (AzureError, OSError, ValueError) as error:
            ours = self._translated(error)
        else:
            return token
        raise ours

    def _translated(self, error: Exception) -> ConnectorError:
        code = _CODE.search(str(error))
        if code:
            if code.group() in _EXPIRED:
                return CredentialsExpired(f"{self._whose} has expired ({code.group()}); have it renewed")
            return AccessDenied(f"Microsoft Entra does not accept {self._whose} ({code.group()})")
        # azure-identity calls most failures one of authentication, and keeps what it was made from as its cause.
        unreached = isinstance(error.__cause__, (ServiceRequestError, ServiceResponseError))
        if isinstance(error, ClientAuthenticationError) and not unreached:
            # Also where this machine has no identity: azure-identity says so by a kind of this error.
            return AccessDenied(f"Microsoft Entra gives no token for {self._whose}")
        what = type(error.__cause__ or error).__name__
        return StorageUnavailable(f"the login for {self._whose} cannot be reached ({what}); try again later")


def _withhold_answers() -> None:
    """Keep what a login server says out of the logs, where azure-identity writes it down word by word."""
    for name in ("azure.identity._internal.get_token_mixin", "azure.identity._internal.decorators"):
        logging.getLogger(name).addFilter(_nothing)  # adding it again changes nothing


def _nothing(_: logging.LogRecord) -> bool:
    return False


def check_identity(credentials: AzureCredentials) -> None:
    """Check that what the credentials log in with is installed.

    Raises:
        ConfigError: it is not.
    """
    if credentials.logs_in:
        _identity()


def _identity() -> Any:
    try:
        import azure.identity  # noqa: PLC0415 - an extra, and not every way in needs it
    except ImportError:
        pass
    else:
        return azure.identity
    message = (
        "credentials that log in with Microsoft Entra need azure-identity; install it with: "
        'pip install "enclave-connectors-azure[identity]"'
    )
    raise ConfigError(message)


def open_identity(account: Account, credentials: AzureCredentials) -> Tokens:
    """Return the tokens that `credentials` log in for; nothing is requested yet.

    Raises:
        ConfigError: azure-identity is not installed.
    """
    identity = _identity()
    _withhold_answers()
    if credentials.ambient:
        return Tokens(identity.DefaultAzureCredential(), "what this machine offers")
    options: dict[str, Any] = {"use_env_settings": False}
    if credentials.managed_identity:
        managed = identity.ManagedIdentityCredential(client_id=credentials.client_id, **options)
        return Tokens(managed, "this machine's managed identity")
    secret = credentials.client_secret
    principal = identity.ClientSecretCredential(
        credentials.tenant_id,
        credentials.client_id,
        secret.reveal() if secret else "",
        authority=account.authority,
        # A login of somebody's own is not known to Microsoft's, which would be asked about it.
        disable_instance_discovery=credentials.authority_url is not None,
        **options,
    )
    # False is msal's word for none. Left alone, AZURE_REGIONAL_AUTHORITY_NAME or MSAL_FORCE_REGION name another login.
    principal._regional_authority = False  # noqa: SLF001 - there is no argument for it
    return Tokens(principal, "the service principal's secret")
