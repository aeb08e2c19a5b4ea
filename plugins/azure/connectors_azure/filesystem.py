"""The fsspec filesystem of sealed objects in Azure Blob Storage, built on Microsoft's client.

It does not use adlfs, which reads missing options from AZURE_* variables, keeps secrets in its storage options, commits
files that an error left incomplete, and parses `?` and `#` in names as parts of a URL.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from fsspec.core import has_magic

from connectors.errors import ConfigError, NotSupported, ObjectNotFound, StorageError
from connectors.storage import ObjectFileSystem
from connectors_azure.client import Client
from connectors_azure.error_mapping import LIBRARY_ERRORS
from connectors_azure.listing import ListedFileSystem
from connectors_azure.location import shown
from connectors_azure.sink import BLOCK_SIZE, MAX_BLOCK_SIZE, AzureSink
from connectors_azure.source import AzureSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from azure.storage.blob import BlobClient

    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["AzureFileSystem"]

_MAX_POLL_INTERVAL = 5.0
"""The longest time in seconds between two requests for the status of a copy."""


class AzureFileSystem(ObjectFileSystem, ListedFileSystem):
    """The sealed objects in Azure Blob Storage that one account's credentials give access to.

    Paths are ``container/name``, with the name unquoted. Containers are neither created nor removed.

    Args:
        account: the account.
        credentials: the account's credentials.
        block_size: bytes in the first blocks of a large object.

    Raises:
        ConfigError: `block_size` is not allowed, or azure-identity is needed and not installed.
    """

    # Positional only: fsspec passes its configuration for these protocols, from files and FSSPEC_AZ_… variables, as
    # keywords, which are meant for another filesystem.
    def __init__(
        self, account: Account, credentials: AzureCredentials, block_size: int = BLOCK_SIZE, /, **_: Any
    ) -> None:
        if not 1 <= block_size <= MAX_BLOCK_SIZE:
            message = f"the size of a block is 1 to {MAX_BLOCK_SIZE} bytes, not {block_size}"
            raise ConfigError(message)
        super().__init__()
        self._client = Client(account, credentials)
        self._block_size = block_size

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._client.account.endpoint}>"

    __str__ = __repr__

    @property
    def fsid(self) -> str:
        """The URL of the account's blob service."""
        return self._client.account.endpoint

    def open_source(self, path: str) -> AzureSource:
        """Return a source that reads the sealed bytes at ``container/name`` by ranges; makes no request yet.

        Raises:
            NotAnObject: the path names a container.
        """
        return AzureSource(self._client, self._strip_protocol(path))

    def open_sink(self, path: str, *, exclusive: bool = False) -> AzureSink:
        """Return a sink for the sealed bytes of a new object at ``container/name``.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
            NotAnObject: the path names a container or a folder.
        """
        return AzureSink(self._client, self._strip_protocol(path), exclusive=exclusive, block_size=self._block_size)

    def rm_file(self, path: str) -> None:
        """Remove an object.

        Raises:
            ObjectNotFound: there is no such object.
            StorageError: the object has snapshots, or is leased.
        """
        path = self._strip_protocol(path)
        container, name = self.split_path(path)
        if not name:
            message = f"{shown(path)} is a container, and containers are not removed; name an object in it"
            raise NotSupported(message)
        self._remove(container, name)

    _rm = rm_file

    def _remove(self, container: str, name: str) -> None:
        self._client.attempt(f"{container}/{name}", "remove", lambda: self._client.blob(container, name).delete_blob())

    def rm(self, path: str | Iterable[str], recursive: bool = False, maxdepth: int | None = None) -> None:  # noqa: FBT001, FBT002
        """Remove objects; with `recursive`, also folders with all objects below them. A path may be a glob pattern.

        Raises:
            ObjectNotFound: nothing is stored at one of the paths.
        """
        for one in [path] if isinstance(path, str) else path:
            given = self._strip_protocol(one)
            names = [given]
            if has_magic(given) and not self.exists(given):
                names = list(self.glob(given, maxdepth=maxdepth))
                if not names:
                    message = f"nothing is stored at {shown(given)}"
                    raise ObjectNotFound(message)
            for name in names:
                self._rm_tree(name, maxdepth) if recursive else self.rm_file(name)

    def _rm_tree(self, path: str, maxdepth: int | None) -> None:
        container, name = self.split_path(path)
        if maxdepth is None:
            kinds = {below: entry["type"] for below, entry in self._below(path)}
        else:
            kinds = {self.split_path(one)[1]: "file" for one in self.find(path, maxdepth=maxdepth)}
        if name:
            with contextlib.suppress(ObjectNotFound):
                kinds[name] = self._entry_at(path)["type"]
        if not kinds and not self.exists(path):
            message = f"nothing is stored at {shown(path)}"
            raise ObjectNotFound(message)
        # Remove objects before the blobs that mark their folders, and nested folders before those that contain them.
        for one in sorted(kinds, key=lambda one: (kinds[one] != "file", -one.count("/"), one)):
            with contextlib.suppress(ObjectNotFound):  # another client removed it first
                self._remove(container, one)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy an object within the account, in Azure, and return when the copy is complete.

        Raises:
            ObjectNotFound: nothing is stored at `path1`.
            NotSupported: one of the paths names a container.
            StorageError: Azure did not finish the copy.
        """
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        (container, name), (target_container, target_name) = self.split_path(path1), self.split_path(path2)
        if not name or not target_name:
            message = f"{shown(path1 if not name else path2)} is a container; name an object in it"
            raise NotSupported(message)
        url = self._client.account.url_of(container, name)
        if self._client.account.sas is not None:
            url = f"{url}?{self._client.account.sas.reveal()}"
        blob = self._client.blob(target_container, target_name)
        self._client.attempt(path1, "copy", partial(self._copy, blob, url, path2))

    @staticmethod
    def _copy(blob: BlobClient, url: str, path: str) -> None:
        copy: Any = blob.start_copy_from_url(url)
        state, interval = copy["copy_status"], 0.1
        try:
            while state == "pending":
                time.sleep(interval)
                interval = min(interval * 2, _MAX_POLL_INTERVAL)
                state = blob.get_blob_properties().copy.status
        except BaseException:
            with contextlib.suppress(*LIBRARY_ERRORS):
                blob.abort_copy(copy["copy_id"])
            raise
        if state != "success":
            # A copy that failed leaves an empty blob.
            left = blob.get_blob_properties()
            if left.copy.id == copy["copy_id"]:
                blob.delete_blob(etag=left.etag, match_condition=MatchConditions.IfNotModified)
            message = f"Azure did not finish the copy to {shown(path)}; copy it again"
            raise StorageError(message)
