"""Sends requests for one object, and repeats them with renewed credentials after the current ones expire."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.errors import CredentialsExpired
from connectors_s3.error_mapping import Action, attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors_s3.client import Client

__all__ = ["ObjectRequests"]

T = TypeVar("T")


class ObjectRequests:
    """Sends the requests for one object that is being written. Safe in threads.

    Args:
        client: the account's client.
        path: ``bucket/key``.

    Attributes:
        object: the arguments of a request that name the object: its bucket and key.
    """

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        bucket, key, _ = client.split_path(path)
        self.object = {"Bucket": bucket, "Key": key}
        self._renew: Callable[[Any], Any] | None = None
        self._renewing = Lock()

    @property
    def client(self) -> Client:
        """The client with the current credentials."""
        return self._client

    def renew_by(self, renew: Callable[[Any], Any]) -> None:
        """Set the function that takes a filesystem whose credentials have expired, and returns one with new ones."""
        self._renew = renew

    def send(self, method: str, action: Action = "write", **arguments: Any) -> dict[str, Any]:
        """Send one request for the object and return the response."""

        def call(client: Client) -> dict[str, Any]:
            if "Body" in arguments:
                arguments["Body"].seek(0)  # an earlier attempt may have read from it
            return client.call_s3(method, **self.object, **arguments)

        return self.run(call, action)

    def run(self, work: Callable[[Client], T], action: Action = "write") -> T:
        """Return the result of `work` with the client; it runs again if the credentials expired and were renewed."""
        client = self._client
        try:
            return attempt(self._path, action, lambda: work(client))
        except CredentialsExpired as error:
            expired = error
        fresh = self._renewed(client)
        if fresh is client:
            raise expired
        return attempt(self._path, action, lambda: work(fresh))

    def _renewed(self, expired: Client) -> Client:
        """Return the client that replaces `expired`; if several threads need it, only one renews the credentials."""
        with self._renewing:
            if self._client is expired and self._renew is not None:
                self._client = self._renew(expired)
            return self._client
