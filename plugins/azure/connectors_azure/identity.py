"""Gets Microsoft Entra tokens: of a service principal itself, of other logins with `azure-identity`."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from connectors.errors import AccessDenied, ConfigError, ConnectorError, CredentialsExpired, StorageUnavailable
from connectors.secrets import SecretText
from connectors.storage import Failure, ObjectStore, Origin, Request, Tokens, Unsigned, refuse_key_log, token_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.storage import Action, Headers, HttpClient
    from connectors_azure.login import EntraLogin

__all__ = ["AGENT", "open_tokens"]

AGENT = f"enclave-connectors-azure/{importlib.metadata.version('enclave-connectors-azure')}"
"""The User-Agent of this plugin's requests."""
_CODE = re.compile(r"\bAADSTS[0-9]{4,8}\b")
_EXPIRED = frozenset({"AADSTS7000222"})
"""The code for an expired client secret: "Microsoft Entra authentication error codes"."""
_MAX_REPLY = 1 << 17
"""Bytes in the largest response with a token: twice those of the largest token."""


class _Principal(Tokens):
    """A service principal, by the OAuth 2.0 client credentials flow."""

    def __init__(self, login: EntraLogin, authority: str, scope: str, client: HttpClient) -> None:
        super().__init__("the service principal's secret")
        self._server = _LoginServer(login, authority, scope, client)

    def log_in(self) -> tuple[SecretText, float] | ConnectorError:
        return self._server.issued(self.subject)


class _FormSigner(Unsigned):
    """Adds the form with the client secret as a request is sent, so that no traceback has it."""

    def __init__(self, login: EntraLogin, scope: str) -> None:
        self._login = login
        self._scope = scope

    def sign(self, request: Request) -> Request:
        """Return the request with the form."""
        secret = self._login.client_secret
        form = {
            "grant_type": "client_credentials",
            "client_id": self._login.client_id,
            "client_secret": secret.reveal() if secret else "",
            "scope": self._scope,
        }
        return dataclasses.replace(request, body=urlencode(form).encode())


class _LoginServer(ObjectStore):
    """The dialect of a login server: "Microsoft identity platform and the OAuth 2.0 client credentials flow".

    Its URL is that of the credentials and nothing else: no variable such as AZURE_REGIONAL_AUTHORITY_NAME or
    MSAL_FORCE_REGION selects another one, and it is not asked for further URLs.
    """

    name = "Microsoft Entra"

    def __init__(self, login: EntraLogin, authority: str, scope: str, client: HttpClient) -> None:
        super().__init__(client, _FormSigner(login, scope))
        self._authority = authority
        self._login = login

    def shown(self, path: str) -> str:
        """Return what is requested."""
        return f"the login with {path}"

    def read_request(self, path: str, span: str | None, validator: str | None) -> Request:  # noqa: ARG002 - for a token
        """Return the request for a token, without its body."""
        base = urlsplit(self._authority).path.rstrip("/")
        target = SecretText(f"{base}/{self._login.tenant_id}/oauth2/v2.0/token")
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return Request("POST", Origin.of(self._authority), target, headers)

    def issued(self, subject: str) -> tuple[SecretText, float] | ConnectorError:
        """Return what `Tokens.log_in` does."""
        now = time.time()
        reply = self.attempt(self.read_request(subject, None, None), subject, "read", limit=_MAX_REPLY)
        if isinstance(reply, Failure):
            return reply.error
        try:
            members = json.loads(reply.body)
            token, ends = token_of(members["access_token"]), now + float(members["expires_in"])
        except (ValueError, TypeError, LookupError, RecursionError, OverflowError):
            token = None
        return (token, ends) if token else self.invalid(subject, "sent no token")

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002
        """Return the code in the description of an error."""
        found = _CODE.search(body.decode("latin-1"))
        return found.group() if found else ""

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means."""
        failure = super().refusal(status, code, path, action, headers)
        if not failure.transient:
            return Failure(_refused(path, code or str(status)), status=status, code=code)
        message = f"the login server for {path} cannot be reached ({status}); try again later"
        return Failure(StorageUnavailable(message), transient=True, pause=failure.pause, status=status, code=code)


def _refused(subject: str, code: str) -> ConnectorError:
    if code in _EXPIRED:
        return CredentialsExpired(f"{subject} has expired ({code}); get a new one")
    return AccessDenied(f"Microsoft Entra does not accept {subject} ({code})")


class _Library(Tokens):
    """A login that azure-identity knows: a managed identity, or what it finds on this machine."""

    def __init__(self, make: Callable[[], Any], scope: str, subject: str) -> None:
        super().__init__(subject)
        self._make = make
        self._scope = scope
        self._credential = make()

    def drop(self) -> None:
        """Forget the token, and the credential that keeps a copy of it."""
        self._credential = self._make()
        super().drop()

    def log_in(self) -> tuple[SecretText, float] | ConnectorError:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - a dependency of azure-identity

        try:
            issued = self._credential.get_token(self._scope)
            token, ends = token_of(issued.token), float(issued.expires_on)
        # Of an invalid response, azure-identity raises whatever its parsing raises.
        except (AzureError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            return self._error_for(error)
        if token is None:
            return StorageUnavailable(f"Microsoft Entra sent no token for the login with {self.subject}")
        return token, ends

    def _error_for(self, error: Exception) -> ConnectorError:
        from azure.core import exceptions as azure  # noqa: PLC0415

        if code := _CODE.search(str(error)):
            return _refused(self.subject, code.group())
        # azure-identity raises ClientAuthenticationError for most failures, with the original error as its cause.
        unreachable = isinstance(error.__cause__, (azure.ServiceRequestError, azure.ServiceResponseError))
        if isinstance(error, azure.ClientAuthenticationError) and not unreachable:
            # Also if this machine has no identity: azure-identity then raises a subclass of this error.
            return AccessDenied(f"Microsoft Entra issued no token for {self.subject}")
        name = type(error.__cause__ or error).__name__
        message = f"the login server for {self.subject} cannot be reached ({name}); try again later"
        return StorageUnavailable(message)


def _library() -> Any:
    try:
        import azure.identity  # noqa: PLC0415 - an extra that not all credentials need
    except ImportError:
        pass
    else:
        return azure.identity
    message = (
        "a managed identity and ambient credentials need azure-identity; install it with: "
        'pip install "enclave-connectors-azure[identity]"'
    )
    raise ConfigError(message)


def open_tokens(login: EntraLogin, authority: str, scope: str, client: HttpClient) -> Tokens:
    """Return what provides the tokens of a login; makes no request yet.

    Args:
        login: who logs in.
        authority: URL of the login server of a service principal.
        scope: the service that the tokens are for: ``https://vault.azure.net/.default``.
        client: sends the requests of a service principal.

    Raises:
        ConfigError: azure-identity is needed and not installed, or SSLKEYLOGFILE is set.
    """
    if not (login.ambient or login.managed_identity):
        return _Principal(login, authority, scope, client)
    library = _library()
    refuse_key_log("azure-identity")
    # Keep the responses of login servers out of the logs, because azure-identity logs them in full.
    for name in ("azure.identity._internal.get_token_mixin", "azure.identity._internal.decorators"):
        logging.getLogger(name).addFilter(_drop)  # adding it again changes nothing
    if login.ambient:
        return _Library(library.DefaultAzureCredential, scope, "the ambient login of this machine")

    def managed() -> Any:
        return library.ManagedIdentityCredential(client_id=login.client_id, use_env_settings=False)

    return _Library(managed, scope, "this machine's managed identity")


def _drop(_: logging.LogRecord) -> bool:
    return False
