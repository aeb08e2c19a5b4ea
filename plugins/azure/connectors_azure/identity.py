"""Gets Microsoft Entra tokens with `azure-identity`: of a service principal, a managed identity or an ambient login."""

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
"""The scope of tokens for Azure Storage in every cloud: "Authorize access to blobs using Microsoft Entra ID"."""
_CODE = re.compile(r"\bAADSTS[0-9]{4,8}\b")
_EXPIRED = frozenset({"AADSTS7000222"})
"""The code for an expired client secret: "Microsoft Entra authentication error codes"."""


class Tokens:
    """A credential for Azure's clients that raises the errors of `connectors`.

    Args:
        inner: a credential of azure-identity.
        subject: what it logs in with, for messages.
    """

    def __init__(self, inner: Any, subject: str) -> None:
        self._inner = inner
        self._subject = subject

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token for Azure Storage; refuse to get one for any other service.

        A storage that rejects a token may name the resource that it wants one for, and Azure's client then requests
        such a token. So a server in the storage's place could get a token for a key vault or the whole subscription.

        Raises:
            AccessDenied, CredentialsExpired: no token is issued, or it was requested for another service.
            StorageUnavailable: the login server cannot be reached.
        """
        if scopes != (STORAGE_SCOPE,):
            message = (
                f"the storage requested a token for another service, but {self._subject} is used only for Azure Storage"
            )
            raise AccessDenied(message)
        try:
            token: AccessToken = self._inner.get_token(*scopes, **options)
        except (AzureError, OSError, ValueError) as error:
            translated = self._error_for(error)
        else:
            return token
        raise translated

    def _error_for(self, error: Exception) -> ConnectorError:
        code = _CODE.search(str(error))
        if code:
            if code.group() in _EXPIRED:
                return CredentialsExpired(f"{self._subject} has expired ({code.group()}); get a new one")
            return AccessDenied(f"Microsoft Entra does not accept {self._subject} ({code.group()})")
        # azure-identity raises ClientAuthenticationError for most failures, with the original error as its cause.
        unreachable = isinstance(error.__cause__, (ServiceRequestError, ServiceResponseError))
        if isinstance(error, ClientAuthenticationError) and not unreachable:
            # Also if this machine has no identity: azure-identity then raises a subclass of this error.
            return AccessDenied(f"Microsoft Entra issued no token for {self._subject}")
        name = type(error.__cause__ or error).__name__
        message = f"the login server for {self._subject} cannot be reached ({name}); try again later"
        return StorageUnavailable(message)


def _withhold_responses() -> None:
    """Keep the responses of login servers out of the logs, because azure-identity logs them in full."""
    for name in ("azure.identity._internal.get_token_mixin", "azure.identity._internal.decorators"):
        logging.getLogger(name).addFilter(_drop)  # adding it again changes nothing


def _drop(_: logging.LogRecord) -> bool:
    return False


def check_identity(credentials: AzureCredentials) -> None:
    """Check that azure-identity is installed if the credentials need it.

    Raises:
        ConfigError: it is not installed.
    """
    if credentials.logs_in:
        _identity()


def _identity() -> Any:
    try:
        import azure.identity  # noqa: PLC0415 - an extra that not all credentials need
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
    """Return the credential that gets tokens for `credentials`; makes no request yet.

    Raises:
        ConfigError: azure-identity is not installed.
    """
    identity = _identity()
    _withhold_responses()
    if credentials.ambient:
        return Tokens(identity.DefaultAzureCredential(), "the ambient login of this machine")
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
        # Otherwise Microsoft's login service would be asked about a private one, which it does not know.
        disable_instance_discovery=credentials.authority_url is not None,
        **options,
    )
    # False means none to msal. Without this, AZURE_REGIONAL_AUTHORITY_NAME or MSAL_FORCE_REGION select another login
    # service.
    principal._regional_authority = False  # noqa: SLF001 - there is no argument for it
    return Tokens(principal, "the service principal's secret")
