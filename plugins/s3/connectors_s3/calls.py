"""Requests for one object, which go on with renewed credentials when theirs expire."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.errors import CredentialsExpired
from connectors_s3.error_mapping import Action, attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors_s3.client import Client

__all__ = ["Calls"]

T = TypeVar("T")


class Calls:
    """Makes the requests of one object in the making. Safe in threads.

    Args:
        client: makes the requests.
        path: ``bucket/key``.

    Attributes:
        object: the object's bucket and key, as requests say it.
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
        """What makes the requests, with the credentials of now."""
        return self._client

    def renew_by(self, renew: Callable[[Any], Any]) -> None:
        """Have `renew` return the filesystem with renewed credentials, given the one whose own have expired."""
        self._renew = renew

    def __call__(self, method: str, action: Action = "write", **arguments: Any) -> dict[str, Any]:
        """Return the answer to one request for the object."""

        def call(client: Client) -> dict[str, Any]:
            if "Body" in arguments:
                arguments["Body"].seek(0)  # an earlier attempt may have read from it
            return client.call_s3(method, **self.object, **arguments)

        return self.on(call, action)

    def on(self, work: Callable[[Client], T], action: Action = "write") -> T:
        """Return what `work` does with the client: a second time, if its credentials have been renewed."""
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
        """Return the client that takes the place of `expired`: several threads may find out, and one asks."""
        with self._renewing:
            if self._client is expired and self._renew is not None:
                self._client = self._renew(expired)
            return self._client
