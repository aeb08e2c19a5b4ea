"""The fsspec filesystem of one object at a URL."""

from __future__ import annotations

import email.utils
import os
from typing import TYPE_CHECKING, Any, NoReturn

from connectors.errors import NotSupported, ObjectNotFound
from connectors.secrets import SecretText, redact_url
from connectors.storage import ObjectFileSystem, RangedSource
from connectors_https.sink import PresignedSink
from connectors_https.store import PresignedStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from connectors.storage import Limits
    from connectors_https.location import Place

__all__ = ["PresignedFileSystem"]


def _refusing(what: str) -> Callable[..., NoReturn]:
    """Return a method that refuses what no signed URL can do."""

    def refuse(self: PresignedFileSystem, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        message = f"a URL can read or write {self.path}; it cannot {what}"
        raise NotSupported(message)

    return refuse


class PresignedFileSystem(ObjectFileSystem):
    """One object at a URL; its path is the URL without the query.

    It never follows redirects, requests nothing but its object, and keeps the query out of fsspec's instance cache,
    storage options, JSON and pickles.

    Args:
        place: the object's location.
        query: the signed query, or None. `SecretText`, so that no repr shows it.
        limits: timeouts, or None for the defaults.
    """

    protocol = ("https", "http")

    # Positional-only: fsspec's configuration for https, from files and FSSPEC_HTTPS_… variables, arrives as keywords.
    # It is meant for another filesystem and must not change this one.
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
        self.store = PresignedStore(place, query, limits)

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
        """When the signed query expires in UTC, or None if it does not say."""
        return self.store.signature.expires_at

    @property
    def exclusive_create(self) -> bool:
        """Whether the server is known to respect the condition of a PUT.

        Any server may ignore If-None-Match, and only its response, 201 or another status, may then show that an object
        was replaced: too late.
        """
        return self.store.signature.flavour != "plain"

    def close(self) -> None:
        """Close the idle connections; the next request opens new ones."""
        self.store.client.close()

    def open_source(self, path: str) -> RangedSource:
        """Return a source that reads the object's bytes by ranges.

        Raises:
            ObjectNotFound: this is not the object's path.
            NotSupported, CredentialsExpired: the query cannot be used.
        """
        self._check_path(path)
        self.store.known_headers()
        self.store.check_expiry()
        return RangedSource(self.store, self.path)

    def open_sink(self, path: str, *, exclusive: bool = False) -> PresignedSink:
        """Return a sink for the object, which sends one PUT on commit and nothing before.

        Args:
            path: the object's.
            exclusive: do not replace an object.

        Raises:
            ObjectNotFound: this is not the object's path.
            NotSupported: the query cannot be used; or `exclusive`, and the URL is not signed by a known storage.
            CredentialsExpired: the query has expired.
        """
        self._check_path(path)
        if exclusive and not self.exclusive_create:
            message = (
                f"mode 'xb' is not supported for {self.path}: the URL is not signed by S3, Azure or Google, so its "
                "server may ignore If-None-Match and replace an object; give each writer a URL of its own, and write "
                "with 'wb'"
            )
            raise NotSupported(message)
        return PresignedSink(self.store, exclusive=exclusive)

    def _check_path(self, path: str) -> None:
        if path != self.path:
            message = f"{redact_url(path)} is not in this filesystem, which holds {self.path} and nothing else"
            raise ObjectNotFound(message)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the object's name, type, size and version; sends a GET of one byte.

        Raises:
            StorageError: the object cannot be read.
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
            "ETag": version.validator if version.validator.startswith('"') else None,
            "LastModified": version.modified or None,
        }

    def modified(self, path: str) -> datetime:
        """Return when the object was last written according to the server.

        Raises:
            NotSupported: the server does not say.
        """
        text = self.info(path)["LastModified"]
        try:
            return email.utils.parsedate_to_datetime(text or "")
        except (ValueError, OverflowError):
            message = f"the server does not say when {self.path} was last written"
        raise NotSupported(message)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002
        """List the object itself.

        Raises:
            ObjectNotFound: this is not the object's path.
        """
        info = self.info(path)
        return [info] if detail else [info["name"]]

    rm = rm_file = _rm = _refusing("delete")
    cp_file = _refusing("copy")
    created = _refusing("say when it was created")
