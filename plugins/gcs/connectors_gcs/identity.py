"""Who asks: tokens from a service account's key, from the document, from the machine, or none."""

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
"""What tokens are asked for: objects, and nobody's permissions."""
MAX_PAGE = 1 << 20
"""Bytes in the largest answer that a token can come in."""


class Identity(Protocol):
    """Gives requests their Authorization header. Safe in threads, and in a forked child."""

    renewable: bool
    """Whether it gets tokens by itself."""

    def headers(self) -> dict[str, str]:
        """Return the headers that a request is sent with.

        Raises:
            AccessDenied: nobody gives a token for the credentials.
            StorageUnavailable: nobody answers who could.
        """

    def renew(self) -> bool:
        """Drop the token, which was refused; tell whether there can be another one."""


class _Given:
    """The token of the document, or none at all."""

    renewable = False

    def __init__(self, credentials: GcsCredentials) -> None:
        self._token = credentials.token

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.reveal()}"} if self._token else {}

    def renew(self) -> bool:
        return False


class _Google:
    """Tokens that google-auth gets. Two threads may get one each; no lock is left behind by a fork."""

    renewable = True

    def __init__(self, account: ServiceAccount | None) -> None:
        self._account = account
        # Hidden: google-auth keeps token and key in attributes, where a debugger shows them.
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
        """Return credentials with a token; raised outside the handler, as Google's errors quote the answers."""
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 - takes a while

        try:
            credentials = self._credentials()
            credentials.refresh(_request)
        except GoogleAuthError as error:
            unreachable = bool(error.retryable) and self._account is not None
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            # What is no token, or no time that it ends at, in an answer.
            unreachable = False
        else:
            if _is_token(credentials.token):
                return credentials
            unreachable = False
        if unreachable:
            message = "the server of tokens for the service account cannot be reached; try again later"
            raise StorageUnavailable(message)
        if self._account is None:
            message = "the credentials are ambient, and this machine offers none that work"
        else:
            message = "no token is given for the service account: its key was withdrawn, or the clock here is wrong"
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
    """An answer, as google-auth wants it."""

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
    """Make a request of google-auth's: its own transports look for proxies and netrc, and log what they send."""
    from google.auth import exceptions  # noqa: PLC0415

    del timeout  # the pool has its own
    parts = urlsplit(url)
    pool = open_pool(url)
    try:
        answer = pool.urlopen(
            method,
            urlunsplit(("", "", parts.path or "/", parts.query, "")),
            body=body,
            headers=dict(headers or {}),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        return _Page(answer.status, answer.headers, answer.read(MAX_PAGE))
    except BROKEN:
        message = "no answer"
    finally:
        pool.close()
    failure: Any = exceptions.TransportError
    raise failure(message, retryable=True)


def _is_token(value: object) -> bool:
    """Tell whether a header can hold a value: http.client quotes one that it refuses."""
    return isinstance(value, str) and bool(value) and value.isascii() and value.isprintable()


def identity(credentials: GcsCredentials) -> Identity:
    """Return who a document says is asking."""
    if credentials.service_account is None and not credentials.ambient:
        return _Given(credentials)
    return _Google(credentials.service_account)
