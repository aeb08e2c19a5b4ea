"""Ways to authorise a request: none, and a query that somebody signed."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Protocol

from connectors.errors import CredentialsExpired
from connectors.secrets import SecretText

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.storage.http.messages import Request

__all__ = ["SKEW", "QuerySigner", "Signer", "Unsigned", "expired", "with_query"]

SKEW = 300.0
"""Seconds by which clocks may differ: S3 allows 15 minutes, Azure less; an enclave's clock is its host's."""


class Signer(Protocol):
    """Says how a request is authorised. Safe in threads, and in a forked child."""

    def sign(self, request: Request) -> Request:
        """Return the request with what authorises it, in its headers or its query.

        Raises:
            ConnectorError: nothing can authorise it: there are no credentials, or no token is issued for them.
        """

    def renew(self) -> bool:
        """Drop a token that was refused; return whether a new one can be had."""


class Unsigned:
    """Sends requests as they are: for public objects, and for requests that are authorised by their target."""

    def sign(self, request: Request) -> Request:
        """Return the request."""
        return request

    def renew(self) -> bool:
        """Return False."""
        return False


class QuerySigner:
    """Adds a query that somebody signed, exactly as it was signed: a presigned URL's, or a shared access signature.

    Args:
        query: the query, without its question mark.
        expires_at: when it expires, or None if it does not say.
        subject: what the query is for, in the error.
    """

    def __init__(self, query: SecretText, expires_at: datetime | None, subject: str) -> None:
        self._query = query
        self._expires_at = expires_at
        self._subject = subject

    def sign(self, request: Request) -> Request:
        """Return the request with the query.

        Raises:
            CredentialsExpired: the query expired longer ago than clocks differ.
        """
        self.check_expiry()
        return with_query(request, self._query)

    def check_expiry(self) -> None:
        """Raise `CredentialsExpired` if the query expired longer ago than clocks differ."""
        if self._expires_at is not None and time.time() > self._expires_at.timestamp() + SKEW:
            raise expired(self._subject, self._expires_at)

    def renew(self) -> bool:
        """Return False."""
        return False


def with_query(request: Request, query: SecretText) -> Request:
    """Return a request with more parameters in its query."""
    target = request.target.reveal()
    joined = SecretText(f"{target}{'&' if '?' in target else '?'}{query.reveal()}")
    return dataclasses.replace(request, target=joined)


def expired(subject: str, ended: datetime | None, said: str = "") -> CredentialsExpired:
    """Return the error for a signed query that has expired.

    Args:
        subject: what the query is for.
        ended: when it expired; None if only the session ended that signed it.
        said: what the server said about that.
    """
    what = f"the session that signed the query for {subject} has expired ({said})"
    if ended is not None:
        what = f"the signed query for {subject} expired at {ended:%Y-%m-%d %H:%M:%S} UTC"
    return CredentialsExpired(f"{what}; get a newly signed URL, update the credentials, and call Dataset.refresh()")
