"""Requests for one object, which go on with renewed credentials when theirs expire."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.errors import CredentialsExpired
from connectors_s3.error_mapping import Action, attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors_s3.filesystem import S3

__all__ = ["Calls"]

T = TypeVar("T")


class Calls:
    """Makes the requests of one object in the making. Safe in threads.

    Args:
        fs: the filesystem.
        path: ``bucket/key``.

    Attributes:
        object: the object's bucket and key, as requests say it.
    """

    def __init__(self, fs: S3, path: str) -> None:
        self._fs = fs
        self._path = path
        bucket, key, _ = fs.split_path(path)
        self.object = {"Bucket": bucket, "Key": key}
        self._renew: Callable[[Any], Any] | None = None
        self._renewing = Lock()

    @property
    def fs(self) -> S3:
        """The filesystem, with the credentials of now."""
        return self._fs

    def renew_by(self, renew: Callable[[Any], Any]) -> None:
        """Have `renew` return the filesystem with renewed credentials, given the one whose own have expired."""
        self._renew = renew

    def __call__(self, method: str, action: Action = "write", **arguments: Any) -> dict[str, Any]:
        """Return the answer to one request for the object."""

        def call(fs: S3) -> dict[str, Any]:
            if "Body" in arguments:
                arguments["Body"].seek(0)  # an earlier attempt may have read from it
            return fs.call_s3(method, **self.object, **arguments)

        return self.on(call, action)

    def on(self, work: Callable[[S3], T], action: Action = "write") -> T:
        """Return what `work` does with the filesystem: a second time, if its credentials have been renewed."""
        fs = self._fs
        try:
            return attempt(self._path, action, lambda: work(fs))
        except CredentialsExpired as error:
            expired = error
        fresh = self._renewed(fs)
        if fresh is fs:
            raise expired
        return attempt(self._path, action, lambda: work(fresh))

    def _renewed(self, expired: S3) -> S3:
        """Return the filesystem that takes the place of `expired`: several threads may find out, and one asks."""
        with self._renewing:
            if self._fs is expired and self._renew is not None:
                self._fs = self._renew(expired)
            return self._fs
