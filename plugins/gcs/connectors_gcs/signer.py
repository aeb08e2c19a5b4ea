"""Authorises requests: with the document's token, or with tokens that Google issues."""

from __future__ import annotations

import dataclasses
import http.client
import importlib.metadata
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit, urlunsplit

from connectors.errors import AccessDenied, StorageUnavailable
from connectors.secrets import Hidden, SecretText
from connectors.storage import Failure, HttpClient, Limits, Origin, Request, Unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Headers, Signer
    from connectors_gcs.credentials import GcsCredentials, ServiceAccount

__all__ = ["AGENT", "GoogleSigner", "TokenSigner", "signer_of"]

AGENT = f"enclave-connectors-gcs/{importlib.metadata.version('enclave-connectors-gcs')}"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
"""The scope that tokens are requested for: it covers objects, but not their permissions."""
_MAX_PAGE = 1 << 17
"""Bytes in the largest response to a request for a token: twice those of the largest header."""


class TokenSigner:
    """Adds the token in the document, which expires and cannot be renewed here."""

    def __init__(self, token: SecretText) -> None:
        self._token = token

    def sign(self, request: Request) -> Request:
        """Return the request with the token."""
        return _with_token(request, self._token.reveal())

    def renew(self) -> bool:
        """Return False."""
        return False


class GoogleSigner:
    """Adds tokens from google-auth. Without a lock, which a fork could leave held, so two threads may get one each.

    Args:
        account: the service account, or None for the credentials that this machine provides.
    """

    def __init__(self, account: ServiceAccount | None) -> None:
        self._account = account
        # Hidden, because google-auth keeps token and key in attributes, which a debugger shows.
        self._current: Hidden | None = None

    def sign(self, request: Request) -> Request:
        """Return the request with a valid token.

        Raises:
            AccessDenied: no token is issued for the credentials.
            StorageUnavailable: the token server cannot be reached.
            ConfigError: the proxy for it is invalid.
        """
        current = self._current
        if current is None or not current.reveal().valid:
            current = Hidden(self._fresh())
            self._current = current
        return _with_token(request, current.reveal().token)

    def renew(self) -> bool:
        """Drop the token, which was refused."""
        self._current = None
        return True

    def _fresh(self) -> Any:
        """Return credentials with a token. Raises outside the handler, because Google's errors quote responses."""
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - takes a while

        transport, credentials, unreachable = _Transport(), None, False
        try:
            credentials = self._credentials(transport)
            credentials.refresh(transport)
        except GoogleAuthError as error:
            unreachable = credentials is not None and bool(error.retryable)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            pass  # the response holds an invalid token or expiry time
        else:
            if _is_token(credentials.token):
                return credentials
        who = "the service account" if self._account else "the credentials that this machine provides"
        failure = transport.failure
        if credentials is not None and failure is not None and not isinstance(failure.error, StorageUnavailable):
            raise failure.error
        if unreachable:
            why = f" ({failure.error})" if failure else ""
            message = f"the token server for {who} cannot be reached{why}; try again later"
            raise StorageUnavailable(message)
        if self._account is None:
            message = "the credentials are ambient, but this machine provides none that work"
        else:
            message = f"no token was issued for {who}: its key was revoked, or the clock here is wrong"
        raise AccessDenied(message)

    def _credentials(self, transport: _Transport) -> Any:
        if self._account is None:
            import google.auth  # noqa: PLC0415

            return cast("Any", google.auth).default(scopes=[SCOPE], request=transport)[0]
        from google.oauth2.service_account import Credentials  # noqa: PLC0415

        account = self._account
        members = {
            "client_email": account.client_email,
            "private_key": account.private_key.reveal(),
            "private_key_id": account.private_key_id,
            "token_uri": account.token_uri,
        }
        return cast("Any", Credentials).from_service_account_info(members, scopes=[SCOPE])


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


def _with_token(request: Request, token: str) -> Request:
    return dataclasses.replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})


def _is_token(value: object) -> bool:
    """Return whether a header can hold `value`: http.client's error would quote a value that it refuses."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable()


def signer_of(credentials: GcsCredentials) -> Signer:
    """Return the signer that a credentials document describes."""
    if credentials.service_account is not None or credentials.ambient:
        return GoogleSigner(credentials.service_account)
    return Unsigned() if credentials.token is None else TokenSigner(credentials.token)
