"""The fsspec filesystem of sealed objects in Google Cloud Storage, which keeps secrets out of its storage options.

It does not use gcsfs: importing gcsfs unpickles ``~/.gcs_tokens``, before any option can prevent it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.errors import ConfigError, NotAnObject, ObjectNotFound
from connectors.storage import ObjectFileSystem, map_errors
from connectors_gcs.client import Client
from connectors_gcs.location import shown, split_path
from connectors_gcs.names import Names
from connectors_gcs.sink import CHUNK_SIZE, CHUNK_UNIT, GcsSink
from connectors_gcs.source import GcsSource

if TYPE_CHECKING:
    from connectors_gcs.credentials import GcsCredentials

__all__ = ["Gcs"]

REMOVERS = 8
"""Objects of a folder that are removed in parallel."""


class Gcs(ObjectFileSystem, Names):
    """The sealed objects in Google Cloud Storage that one account can see.

    The client holds the secrets. The storage options, which fsspec hashes, compares, prints, pickles and writes as
    JSON, are empty. An instance equals only itself. Listings are not cached. Making a folder does nothing.

    Args:
        credentials: the account's.
        chunk_size: bytes in a chunk of a large object, a multiple of 256 KiB.

    Raises:
        ConfigError: `chunk_size` is not allowed.
    """

    # fsspec fills in the constructor's arguments from FSSPEC_GS_* variables and ~/.config/fsspec according to the
    # protocol of the class. So the class has none, and each instance has the real one.
    protocol: ClassVar[tuple[str, ...]] = ()

    def __init__(self, credentials: GcsCredentials, *, chunk_size: int = CHUNK_SIZE) -> None:
        if chunk_size < CHUNK_UNIT or chunk_size % CHUNK_UNIT:
            message = f"the size of a chunk is a multiple of {CHUNK_UNIT} bytes, not {chunk_size}"
            raise ConfigError(message)
        self.protocol = ("gs", "gcs")  # type: ignore[misc]  # fsspec lets an instance have its own
        self._chunk_size = chunk_size
        self._client = Client(credentials)
        super().__init__()

    def open_source(self, path: str) -> GcsSource:
        """Return a source that reads the sealed bytes at ``bucket/key`` by ranges; makes no request yet."""
        return GcsSource(self._client, self._strip_protocol(path))

    def open_sink(self, path: str, *, exclusive: bool = False) -> GcsSink:
        """Return a sink for the sealed bytes of a new object at ``bucket/key``.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
            NotAnObject: the path names a bucket or a folder.
        """
        return GcsSink(self._client, path, exclusive=exclusive, chunk_size=self._chunk_size)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy an object within Google Cloud Storage.

        Raises:
            ObjectNotFound: there is no such object.
            NotAnObject: one of the paths names a bucket.
        """
        source, copy = self._strip_protocol(path1), self._strip_protocol(path2)
        self._check_object(source, copy)
        destination = self._client.target(copy).removeprefix("/storage/v1").partition("?")[0]
        token = None
        while True:
            target = self._client.target(source, at=f"/rewriteTo{destination}", rewriteToken=token)
            progress = self._json("POST", target, source, "read")
            if progress.get("done") is True:
                return
            token = progress.get("rewriteToken")
            if not isinstance(token, str) or not token:
                raise self._invalid(source)

    def rm_file(self, path: str) -> None:
        """Remove an object.

        Raises:
            ObjectNotFound: there is no such object.
            NotAnObject: the path names a bucket, and buckets are never removed.
        """
        path = self._strip_protocol(path)
        self._check_object(path)
        self._remove(path)

    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:  # type: ignore[override]  # noqa: FBT001, FBT002
        """Remove objects; with `recursive`, also folders with all objects below them.

        Raises:
            ObjectNotFound: there is no such object.
        """
        names: dict[str, None] = {}
        for one in self._expanded(path):
            if recursive and (below := self._names_below(one, maxdepth)):
                names.update(dict.fromkeys(below))
                if not self.isfile(one):
                    continue
            self._check_object(one)
            names[one] = None
        with ThreadPoolExecutor(REMOVERS) as pool:
            list(pool.map(self._remove, names))

    def _names_below(self, path: str, maxdepth: int | None) -> list[str]:
        """Return the names of all objects below a folder, including those that mark folders."""
        deepest = None if maxdepth is None else path.count("/") + maxdepth
        found = []
        for item in self._items(path):
            entry = self._entry(item, path)  # also checks that it is below the folder
            if deepest is None or entry["name"].count("/") <= deepest:
                found.append(f"{split_path(path)[0]}/{item['name']}")
        return found

    def _remove(self, path: str) -> None:
        accept = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
        response = self._client.request("DELETE", self._client.target(path), path, "read", accept=accept)
        # After a retry, the object was removed by a request whose response was lost.
        if response.status == HTTPStatus.NOT_FOUND and not response.retries:
            message = f"nothing is stored at {shown(path)}"
            raise ObjectNotFound(message)

    @staticmethod
    def _check_object(*paths: str) -> None:
        for path in paths:
            if not split_path(path)[1]:
                message = f"{shown(path)} is a bucket; name an object in it"
                raise NotAnObject(message)

    def _expanded(self, path: str | list[str]) -> list[str]:
        """Return the paths that match a path, a pattern or a list of them."""
        given: Any = self  # connectors._fsspec does not declare expand_path
        paths: list[str] = map_errors(str(path), lambda: given.expand_path(path))
        return paths

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._client.endpoint}>"
