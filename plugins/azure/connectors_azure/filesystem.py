"""The sealed objects of a storage account, as an fsspec filesystem over Microsoft's own client.

adlfs is not beneath it: that fills what it is not given from AZURE_* variables, keeps secrets in its storage options,
commits what an error cut short, and takes `?` and `#` in names for a URL's.
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
from connectors_azure.error_mapping import FOREIGN
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

_LONGEST_PAUSE = 5.0
"""Seconds between two looks at a copy that takes its time."""


class AzureFileSystem(ObjectFileSystem, ListedFileSystem):
    """The sealed objects of a storage account, as one owner of credentials sees them.

    Paths are ``container/name``, with the name as it is. Containers are neither made nor removed.

    Args:
        account: whose objects they are.
        credentials: the way in.
        block_size: bytes in the first blocks of a large object.

    Raises:
        ConfigError: blocks of this size are not allowed, or azure-identity is missing.
    """

    # By position: fsspec's configuration for these protocols, from files and FSSPEC_AZ_… variables, arrives as keywords
    # and is meant for another filesystem.
    def __init__(
        self, account: Account, credentials: AzureCredentials, block_size: int = BLOCK_SIZE, /, **_: Any
    ) -> None:
        if not 1 <= block_size <= MAX_BLOCK_SIZE:
            message = f"blocks have 1 to {MAX_BLOCK_SIZE} bytes, not {block_size}"
            raise ConfigError(message)
        super().__init__()
        self._client = Client(account, credentials)
        self._block_size = block_size

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._client.account.endpoint}>"

    __str__ = __repr__

    @property
    def fsid(self) -> str:
        """The account's URL."""
        return self._client.account.endpoint

    def open_source(self, path: str) -> AzureSource:
        """Return the sealed bytes at ``container/name``, to be read by ranges; no request is made yet.

        Raises:
            NotAnObject: the path names a container.
        """
        return AzureSource(self._client, self._strip_protocol(path))

    def open_sink(self, path: str, *, exclusive: bool = False) -> AzureSink:
        """Return a place for the sealed bytes of a new object at ``container/name``.

        Raises:
            ObjectExists: exclusive, and there is one.
            NotAnObject: the path names a container or a folder.
        """
        return AzureSink(self._client, self._strip_protocol(path), exclusive=exclusive, block_size=self._block_size)

    def rm_file(self, path: str) -> None:
        """Remove an object.

        Raises:
            ObjectNotFound: there is none.
            StorageError: it has snapshots, or is leased.
        """
        path = self._strip_protocol(path)
        container, name = self.split_path(path)
        if not name:
            message = f"{shown(path)} is a container, and containers are not removed from here"
            raise NotSupported(message)
        self._remove(container, name)

    _rm = rm_file

    def _remove(self, container: str, name: str) -> None:
        self._client.attempt(f"{container}/{name}", "remove", lambda: self._client.blob(container, name).delete_blob())

    def rm(self, path: str | Iterable[str], recursive: bool = False, maxdepth: int | None = None) -> None:  # noqa: FBT001, FBT002
        """Remove objects, and where `recursive` all that lies below a folder. A name with ``*`` in it may be a pattern.

        Raises:
            ObjectNotFound: there is nothing at one of the paths.
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
        # Objects before the blobs that mark their folders, and those from below.
        for one in sorted(kinds, key=lambda one: (kinds[one] != "file", -one.count("/"), one)):
            with contextlib.suppress(ObjectNotFound):  # somebody else was first
                self._remove(container, one)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy an object inside the account, by Azure itself, and return when all of it is there.

        Raises:
            ObjectNotFound: there is none at `path1`.
            StorageError: Azure broke the copy off.
        """
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        (container, name), (other, target) = self.split_path(path1), self.split_path(path2)
        if not name or not target:
            message = f"{shown(path1 if not name else path2)} is a container; name an object in it"
            raise NotSupported(message)
        url = self._client.account.url_of(container, name)
        if self._client.account.sas is not None:
            url = f"{url}?{self._client.account.sas.reveal()}"
        blob = self._client.blob(other, target)
        self._client.attempt(path1, "copy", partial(self._copy, blob, url, path2))

    @staticmethod
    def _copy(blob: BlobClient, url: str, path: str) -> None:
        answer: Any = blob.start_copy_from_url(url)
        state, pause = answer["copy_status"], 0.1
        try:
            while state == "pending":
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                state = blob.get_blob_properties().copy.status
        except BaseException:
            with contextlib.suppress(*FOREIGN):
                blob.abort_copy(answer["copy_id"])
            raise
        if state != "success":
            # What Azure leaves is an empty blob.
            left = blob.get_blob_properties()
            if left.copy.id == answer["copy_id"]:
                blob.delete_blob(etag=left.etag, match_condition=MatchConditions.IfNotModified)
            message = f"Azure broke the copy to {shown(path)} off; copy it again"
            raise StorageError(message)
