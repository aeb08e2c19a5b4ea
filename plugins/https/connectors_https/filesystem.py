"""One object behind a URL, as an fsspec filesystem that holds nothing else."""

from __future__ import annotations

import email.utils
import os
from typing import TYPE_CHECKING, Any, NoReturn

from connectors.errors import NotSupported, ObjectExists, ObjectNotFound, StorageError
from connectors.secrets import SecretText, redact_url
from connectors.storage import ObjectFileSystem
from connectors_https.client import Client, Limits
from connectors_https.sink import PresignedSink
from connectors_https.source import PresignedSource

if TYPE_CHECKING:
    from datetime import datetime

    from connectors_https.location import Place

__all__ = ["PresignedFileSystem"]


class PresignedFileSystem(ObjectFileSystem):
    """One object behind a URL; its path is the URL without the query.

    It never follows redirects, never asks for anything but its object, and keeps its query to itself: it is not in
    fsspec's instance cache, storage options, JSON or pickles.

    Args:
        place: where the object lies.
        query: the signed query, or None. `SecretText`, so that no repr shows it.
        limits: times and counts, or None for the usual ones.
    """

    protocol = ("https", "http")

    # All by position: fsspec's configuration for https, from files and FSSPEC_HTTPS_… variables, is meant for another
    # filesystem, arrives as keywords, and is not to change this one.
    def __init__(
        self,
        place: Place,
        query: SecretText | None = None,
        limits: Limits | None = None,
        /,
        **_: Any,
    ) -> None:
        super().__init__()
        self.path = place.location
        self._client = Client(place, query, limits or Limits())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    __str__ = __repr__

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return [cls._strip_protocol(one) for one in path] if isinstance(path, list) else os.fspath(path)

    @classmethod
    def _parent(cls, path: str) -> str:
        return path.rpartition("/")[0]

    @property
    def fsid(self) -> str:
        """The object's location."""
        return f"https-{self.path}"

    @property
    def expires_at(self) -> datetime | None:
        """When the signed query expires, in UTC, or None if it does not say."""
        return self._client.signature.expires_at

    def close(self) -> None:
        """Close the connections that nobody is using; the next request opens new ones."""
        self._client.close()

    def open_source(self, path: str) -> PresignedSource:
        """Return the object's bytes, by ranges.

        Raises:
            ObjectNotFound: another path than the object's.
            NotSupported, CredentialsExpired: the query cannot be used.
        """
        self._check_path(path)
        return PresignedSource(self._client)

    def open_sink(self, path: str, *, exclusive: bool = False) -> PresignedSink:
        """Return the object in the making; a PUT on commit, nothing before.

        Args:
            path: the object's.
            exclusive: create the object, and fail where one stands.

        Raises:
            ObjectNotFound: another path than the object's.
            ObjectExists: exclusive, and there is one: known here for an open URL, on commit for a signed one.
            NotSupported, CredentialsExpired: the query cannot be used.
        """
        self._check_path(path)
        if exclusive and self._client.signature.flavour == "plain" and self._is_seen():
            message = f"something is stored at {self.path} already, and it was to be created"
            raise ObjectExists(message)
        return PresignedSink(self._client, exclusive=exclusive)

    def _is_seen(self) -> bool:
        """Say whether something stands there, as far as we may look: not every server knows If-None-Match."""
        try:
            return self.exists(self.path)
        except StorageError:
            return False

    def _check_path(self, path: str) -> None:
        if path != self.path:
            message = f"{redact_url(path)} is not here: this filesystem holds {self.path} and nothing else"
            raise ObjectNotFound(message)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the object's name, type and size, and what else the server says; costs a GET of one byte.

        Raises:
            StorageError: the server will not say.
        """
        source = self.open_source(path)
        try:
            version = source.version()
        finally:
            source.close()
        return {
            "name": self.path,
            "type": "file",
            "size": version.size,
            "ETag": version.etag,
            "LastModified": version.modified or None,
        }

    def exists(self, path: str, **_: Any) -> bool:
        """Say whether the object exists: False only where the server says that nothing is there.

        Raises:
            StorageError: the server says something else; fsspec's own method would call that False, too.
        """
        try:
            self.info(path)
        except ObjectNotFound:
            return False
        return True

    def modified(self, path: str) -> datetime:
        """Return when the object was last written, as the server says.

        Raises:
            NotSupported: it does not say.
        """
        text = self.info(path)["LastModified"]
        try:
            return email.utils.parsedate_to_datetime(text or "")
        except (ValueError, OverflowError):
            message = f"the server of {self.path} does not say when it was last written"
        raise NotSupported(message)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002
        """List the object itself; there is nothing else.

        Raises:
            ObjectNotFound: another path.
        """
        info = self.info(path)
        return [info] if detail else [info["name"]]

    def _refuse(self, what: str) -> NoReturn:
        message = f"a signed URL reads or writes {self.path} and cannot {what}"
        raise NotSupported(message)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> NoReturn:  # noqa: ARG002, FBT001, FBT002
        """Refuse."""
        self._refuse("delete")

    def rm_file(self, path: str) -> NoReturn:  # noqa: ARG002
        """Refuse."""
        self._refuse("delete")

    def _rm(self, path: str) -> NoReturn:  # noqa: ARG002
        self._refuse("delete")

    def cp_file(self, path1: str, path2: str, **_: Any) -> NoReturn:  # noqa: ARG002
        """Refuse."""
        self._refuse("copy")

    def created(self, path: str) -> NoReturn:  # noqa: ARG002
        """Refuse."""
        self._refuse("say when it was created")
