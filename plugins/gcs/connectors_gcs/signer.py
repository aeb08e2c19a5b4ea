"""Authorises requests: with the document's token, or with tokens that Google issues."""

from __future__ import annotations

import http.client
import importlib.metadata
import math
from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit, urlunsplit

from connectors.errors import AccessDenied, StorageUnavailable
from connectors.secrets import Hidden, SecretText
from connectors.storage import BearerSigner, Failure, HttpClient, Limits, Origin, Request, Tokens, Unsigned, token_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.errors import ConnectorError
    from connectors.storage import Headers, Signer
    from connectors_gcs.login import GoogleLogin, ServiceAccount

__all__ = ["AGENT", "STORAGE", "GoogleTokens", "signer_of"]

AGENT = f"enclave-connectors-gcs/{importlib.metadata.version('enclave-connectors-gcs')}"
STORAGE = "https://www.googleapis.com/auth/devstorage.read_write"
"""The scope of tokens for objects, but not for their permissions."""
_MAX_PAGE = 1 << 17
"""Bytes in the largest response to a request for a token: twice those of the largest header."""


class GoogleTokens(Tokens):
    """Tokens that google-auth gets.

    Args:
        account: the service account, or None for the credentials that this machine provides.
        scope: what the tokens are for.
    """

    def __init__(self, account: ServiceAccount | None, scope: str) -> None:
        super().__init__("the service account" if account else "the credentials that this machine provides")
        self._account = account
        self._scope = scope

    def log_in(self) -> tuple[SecretText, float] | ConnectorError:
        """Return a new token, and when it expires; or why there is none: for one, the proxy for it may be invalid."""
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - takes a while

        # Hidden, because google-auth keeps token and key in attributes, which a debugger shows.
        transport, credentials, unreachable = _Transport(), None, False
        try:
            credentials = Hidden(self._credentials(transport))
            credentials.reveal().refresh(transport)
        except GoogleAuthError as error:
            unreachable = credentials is not None and bool(error.retryable)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            pass  # the response holds an invalid token or expiry time
        else:
            token, ends = token_of(credentials.reveal().token), credentials.reveal().expiry
            if token is not None:
                return token, ends.replace(tzinfo=UTC).timestamp() if ends else math.inf
        failure = transport.failure
        if credentials is not None and failure is not None and not isinstance(failure.error, StorageUnavailable):
            return failure.error
        if unreachable:
            why = f" ({failure.error})" if failure else ""
            return StorageUnavailable(f"the token server for {self.subject} cannot be reached{why}; try again later")
        if self._account is None:
            return AccessDenied("the credentials are ambient, but this machine provides none that work")
        return AccessDenied(f"no token was issued for {self.subject}: its key was revoked, or the clock here is wrong")

    def _credentials(self, transport: _Transport) -> Any:
        if self._account is None:
            import google.auth  # noqa: PLC0415

            return cast("Any", google.auth).default(scopes=[self._scope], request=transport)[0]
        from google.oauth2.service_account import Credentials  # noqa: PLC0415

        account = self._account
        members = {
            "client_email": account.client_email,
            "private_key": account.private_key.reveal(),
            "private_key_id": account.private_key_id,
            "token_uri": account.token_uri,
        }
        return cast("Any", Credentials).from_service_account_info(members, scopes=[self._scope])


class _Page(NamedTuple):
    """A response in the form that google-auth expects."""

    status: int
    headers: Headers
    data: bytes


class _Transport:
    """Sends google-auth's requests by the rules of every other request; its own transports read netrc, and log.

    Attributes:
        failure: why the latest request has no response, or None.
    """

    def __init__(self) -> None:
        self.failure: Failure | None = None

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> _Page:
        """Send a request.

        Raises:
            TransportError: there is no response.
        """
        from google.auth import exceptions  # noqa: PLC0415

        parts, content = urlsplit(url), body.encode() if isinstance(body, str) else body
        target = SecretText(urlunsplit(("", "", parts.path or "/", parts.query, "")))
        request = Request(method, Origin.of(url), target, dict(headers or {}), content)
        client = HttpClient(AGENT, Limits(timeout, timeout) if timeout else None)
        try:
            response = client.send(request)
            if isinstance(response, Failure):
                self.failure = response
            else:
                self.failure = None
                try:
                    return _Page(response.status, response.headers, response.read(_MAX_PAGE))
                finally:
                    response.close()
        except (OSError, http.client.HTTPException) as error:
            self.failure = client.broken(error, request.origin)
        finally:
            client.close()
        failure: Any = exceptions.TransportError
        message = "no response"
        raise failure(message, retryable=True)


def signer_of(login: GoogleLogin, scope: str) -> Signer:
    """Return the signer that a document describes, with tokens for a scope."""
    if login.service_account is not None or login.ambient:
        return BearerSigner(GoogleTokens(login.service_account, scope))
    return Unsigned() if login.token is None else BearerSigner(login.token)
