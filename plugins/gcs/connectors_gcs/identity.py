"""Authorizes requests: with tokens from a service account's key, the document or the machine, or with none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit, urlunsplit

from connectors.errors import AccessDenied, StorageUnavailable
from connectors.secrets import Hidden
from connectors_gcs.transport import BROKEN, open_pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors_gcs.credentials import GcsCredentials, ServiceAccount

__all__ = ["Identity", "identity"]

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
"""The scope that tokens are requested for: it covers objects, but not their permissions."""
MAX_PAGE = 1 << 20
"""Bytes in the largest response to a request for a token."""


class Identity(Protocol):
    """Provides the Authorization header of requests. Safe in threads, and in a forked child."""

    renewable: bool
    """Whether it can get new tokens."""

    def headers(self) -> dict[str, str]:
        """Return the headers that authorize a request.

        Raises:
            AccessDenied: no token is issued for the credentials.
            StorageUnavailable: the token server does not respond.
        """

    def renew(self) -> bool:
        """Drop the token, which was refused; return whether a new one can be had."""


class _Given:
    """The token in the document, or none."""

    renewable = False

    def __init__(self, credentials: GcsCredentials) -> None:
        self._token = credentials.token

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.reveal()}"} if self._token else {}

    def renew(self) -> bool:
        return False


class _Google:
    """Gets tokens with google-auth. Without a lock, which a fork could leave held, so two threads may get one each."""

    renewable = True

    def __init__(self, account: ServiceAccount | None) -> None:
        self._account = account
        # Hidden, because google-auth keeps token and key in attributes, which a debugger shows.
        self._current: Hidden | None = None

    def headers(self) -> dict[str, str]:
        current = self._current
        if current is None or not current.reveal().valid:
            current = Hidden(self._fresh())
            self._current = current
        return {"Authorization": f"Bearer {current.reveal().token}"}

    def renew(self) -> bool:
        self._current = None
        return True

    def _fresh(self) -> Any:
        """Return credentials with a token. Raises outside the handler, because Google's errors quote responses."""
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - takes a while

        try:
            credentials = self._credentials()
            credentials.refresh(_request)
        except GoogleAuthError as error:
            unreachable = bool(error.retryable) and self._account is not None
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            # The response holds an invalid token or expiry time.
            unreachable = False
        else:
            if _is_token(credentials.token):
                return credentials
            unreachable = False
        if unreachable:
            message = "the token server for the service account cannot be reached; try again later"
            raise StorageUnavailable(message)
        if self._account is None:
            message = "the credentials are ambient, but this machine provides none that work"
        else:
            message = "no token was issued for the service account: its key was revoked, or the clock here is wrong"
        raise AccessDenied(message)

    def _credentials(self) -> Any:
        if self._account is None:
            import google.auth  # noqa: PLC0415

            return google.auth.default(scopes=[SCOPE])[0]
        from google.oauth2.service_account import Credentials  # noqa: PLC0415

        account = self._account
        members = {
            "client_email": account.client_email,
            "private_key": account.private_key.reveal(),
            "private_key_id": account.private_key_id,
            "token_uri": account.token_uri,
        }
        return cast("Any", Credentials).from_service_account_info(members, scopes=[SCOPE])


class _Page:
    """A response in the form that google-auth expects."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def _request(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: object,
) -> _Page:
    """Send a request for google-auth, whose own transports read proxy settings and netrc and log what they send."""
    from google.auth import exceptions  # noqa: PLC0415

    del timeout  # the pool has its own
    parts = urlsplit(url)
    pool = open_pool(url)
    try:
        response = pool.urlopen(
            method,
            urlunsplit(("", "", parts.path or "/", parts.query, "")),
            body=body,
            headers=dict(headers or {}),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        return _Page(response.status, response.headers, response.read(MAX_PAGE))
    except BROKEN:
        message = "no response"
    finally:
        pool.close()
    failure: Any = exceptions.TransportError
    raise failure(message, retryable=True)


def _is_token(value: object) -> bool:
    """Return whether a header can hold `value`: http.client's error would quote a value that it refuses."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable()


def identity(credentials: GcsCredentials) -> Identity:
    """Return the identity that a credentials document describes."""
    if credentials.service_account is None and not credentials.ambient:
        return _Given(credentials)
    return _Google(credentials.service_account)
