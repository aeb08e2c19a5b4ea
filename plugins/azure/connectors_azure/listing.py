"""Lists and describes objects and folders in a storage account.

Folders are prefixes of names. An empty blob can mark a folder, by a name that ends in a slash or by its metadata.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobPrefix

from connectors.errors import AccessDenied, NotSupported, ObjectNotFound
from connectors.storage import AbstractFileSystem, ListingGuard
from connectors_azure.location import SCHEMES, shown, split_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors_azure.client import Client

__all__ = ["ListedFileSystem"]

_FOLDER_MARKS = ("hdi_isfolder", "Hdi_isfolder")
"""Metadata that mark an empty blob as a folder; accounts with a hierarchical namespace and other tools set them."""


class ListedFileSystem(AbstractFileSystem):
    """The read-only half of the filesystem, which lists and describes. Paths are ``container/name``, names unquoted."""

    protocol = SCHEMES

    _client: Client

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Return ``container/name`` of a path with or without ``az://``."""
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        text = os.fspath(path)
        for scheme in SCHEMES:
            text = text.removeprefix(f"{scheme}://")
        return text.strip("/")

    @classmethod
    def _parent(cls, path: str) -> str:
        return str(cls._strip_protocol(path)).rpartition("/")[0]

    def split_path(self, path: str) -> tuple[str, str]:
        """Return the container and the name of a path; the name is empty for a whole container.

        Raises:
            InvalidLocation: the container or the name is invalid.
        """
        return split_path(self._strip_protocol(path))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Describe the object or the folder at a path: name, type, size, and for an object its ETag and times.

        Raises:
            ObjectNotFound: there is neither.
        """
        container, name = self.split_path(path)
        if not container:
            return _folder("")
        if name:
            try:
                return self._entry_at(path)
            except ObjectNotFound as error:
                missing = error
        if self._is_prefix(container, f"{name}/" if name else "", path):
            return _folder(f"{container}/{name}".rstrip("/"))
        raise missing

    def _entry_at(self, path: str) -> dict[str, Any]:
        """Return the fsspec entry of the blob at a path."""
        container, name = self.split_path(path)
        return self._client.attempt(
            path, "read", lambda: _entry(container, self._client.blob(container, name).get_blob_properties())
        )

    def _is_prefix(self, container: str, prefix: str, path: str) -> bool:
        """Return whether a container exists, or has a blob under a prefix; False if listing a prefix is denied."""

        def list_one() -> bool:
            found = self._client.container(container).list_blobs(name_starts_with=prefix or None, results_per_page=1)
            return next(iter(found), None) is not None or not prefix

        try:
            return self._client.attempt(path, "list", list_one)
        except AccessDenied:
            if not prefix:
                raise
            return False  # a SAS for one blob cannot list, so it shows no folders

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether an object or a folder exists: False only if Azure reports that there is none.

        Raises:
            StorageError: any other error, for which fsspec's own method would return False.
        """
        return self._kind(path) is not None

    def isdir(self, path: str) -> bool:
        """Return whether a folder exists; raises as `exists` does."""
        return self._kind(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Return whether an object exists; raises as `exists` does."""
        return self._kind(path) == "file"

    def _kind(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except ObjectNotFound:
            return None

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List the direct members of a folder, or a single object.

        Raises:
            ObjectNotFound: there is neither.
        """
        path = self._strip_protocol(path)
        container, name = self.split_path(path)
        prefix = f"{name}/" if name else ""
        entries = self._client.attempt(path, "list", lambda: list(self._listed(container, prefix)))
        if not entries and name:
            entries = [self.info(path)]
            if entries[0]["type"] == "directory":
                entries = []
        return entries if detail else [entry["name"] for entry in entries]

    def _listed(self, container: str, prefix: str) -> Iterator[dict[str, Any]]:
        if not container:
            yield from (_folder(one.name) for one in self._client.service().list_containers())
            return
        folders = set()
        found = self._client.container(container).walk_blobs(name_starts_with=prefix or None, include=["metadata"])
        for one in _paged(found, f"{container}/{prefix}"):
            _check_below(one.name, prefix)
            folder = isinstance(one, BlobPrefix)
            entry = _folder(f"{container}/{one.name[:-1]}") if folder else _entry(container, one)
            if one.name == prefix:
                continue
            # A folder may be listed twice: as a prefix of names, and as the blob that marks it.
            if entry["type"] == "directory":
                if entry["name"] in folders:
                    continue
                folders.add(entry["name"])
            yield entry

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        detail: bool = False,  # noqa: FBT001, FBT002
        **_: Any,
    ) -> Any:
        """List all objects below a folder in one listing, or a single object; finding none is not an error."""
        path = self._strip_protocol(path)
        if not self.split_path(path)[0]:
            message = "name a container to list everything in it"
            raise NotSupported(message)
        found: dict[str, dict[str, Any]] = {}
        for member in self._below(path, flat=maxdepth != 1):
            entry = member[1]
            if entry["type"] == "file" or entry["name"] not in found:  # an object may have the name of a folder
                found[entry["name"]] = entry
        if not found and self.isfile(path):
            found = {path: self.info(path)}
        entries = {name: entry for name, entry in found.items() if entry["type"] == "file"}
        if withdirs and found.keys() - {path}:
            folders = {path, *(name for name, entry in found.items() if entry["type"] == "directory")}
            for name in found:
                parent = self._parent(name)
                while len(parent) > len(path):
                    folders.add(parent)
                    parent = self._parent(parent)
            entries = {name: _folder(name) for name in folders} | entries
        if maxdepth is not None:
            deepest = path.count("/") + maxdepth
            entries = {name: entry for name, entry in entries.items() if name.count("/") <= deepest}
        return {name: entries[name] for name in sorted(entries)} if detail else sorted(entries)

    def find_all(self, path: str, *, folders: bool) -> dict[str, dict[str, Any]]:
        """Return everything below a folder, or the object itself, by name: all of it, or an error."""
        found: dict[str, dict[str, Any]] = self.find(path, withdirs=folders, detail=True)
        return found

    def _below(self, path: str, *, flat: bool = True) -> list[tuple[str, dict[str, Any]]]:
        """Return the name and entry of each blob below a folder; without `flat`, the entries of its direct members.

        Blobs that mark folders are included, as folders. Returns nothing if the container does not exist.
        """
        container, name = self.split_path(path)
        prefix = f"{name}/" if name else ""

        def listed() -> list[tuple[str, dict[str, Any]]]:
            if not flat:
                return [("", entry) for entry in self._listed(container, prefix)]
            found = self._client.container(container).list_blobs(name_starts_with=prefix or None, include=["metadata"])
            blobs = _paged(found, f"{container}/{prefix}")
            return [(_check_below(one.name, prefix), _entry(container, one)) for one in blobs]

        try:
            return self._client.attempt(path, "list", listed)
        except ObjectNotFound:
            return []

    def created(self, path: str) -> Any:
        """Return when the object was created, according to Azure."""
        return self.info(path)["created"]

    def modified(self, path: str) -> Any:
        """Return when the object was last modified, according to Azure."""
        return self.info(path)["last_modified"]


def _paged(found: Any, path: str) -> Iterator[Any]:
    """Yield the entries of a listing page by page; a guard stops a listing that repeats itself."""
    guard, pages = ListingGuard(shown(path)), found.by_page()
    while True:
        try:
            page = next(pages, None)
        except AttributeError as error:  # Azure's client does not check for an empty response
            message = "the storage sent an empty response to a request for a listing"
            raise ValueError(message) from error
        if page is None:
            return
        entries = list(page)
        guard.check_page(entries[0].name if entries else None, pages.continuation_token)
        yield from entries


def _check_below(name: str, prefix: str) -> str:
    """Return a listed name if it has the prefix, so that only blobs in the folder are removed or copied with it.

    Raises:
        ValueError: it does not have the prefix.
    """
    if not isinstance(name, str) or not name.startswith(prefix):
        message = "the storage listed a name outside the requested prefix"
        raise ValueError(message)
    return name


def _folder(name: str) -> dict[str, Any]:
    return {"name": name, "type": "directory", "size": 0}


def _entry(container: str, blob: Any) -> dict[str, Any]:
    """Return the fsspec entry for a blob's properties.

    Raises:
        ValueError: they are invalid.
    """
    metadata = blob.metadata or {}
    if not isinstance(blob.name, str) or type(blob.size) is not int or blob.size < 0:
        message = "the storage described a blob without a name or a valid size"
        raise ValueError(message)
    name = f"{container}/{blob.name}"
    if name.endswith("/") or any(metadata.get(mark) == "true" for mark in _FOLDER_MARKS):
        return _folder(name.rstrip("/"))
    return {
        "name": name,
        "type": "file",
        "size": blob.size,
        "etag": blob.etag,
        "created": blob.creation_time,
        "last_modified": blob.last_modified,
    }
