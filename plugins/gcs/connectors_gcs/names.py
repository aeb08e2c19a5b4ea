"""Lists and describes objects and folders in Google Cloud Storage.

Folders are prefixes of names: a folder exists while it contains an object. An object whose name ends in a slash marks
the folder of that name; the Cloud console creates such objects.
"""

from __future__ import annotations

import re
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from connectors.errors import ObjectNotFound, StorageUnavailable
from connectors.storage import AbstractFileSystem, ListingGuard
from connectors_gcs.location import shown, split_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors_gcs.client import Client
    from connectors_gcs.error_mapping import Action

__all__ = ["Names"]

FIELDS = "name,size,generation,md5Hash,timeCreated,updated"
"""The fields that are requested of each object."""
PAGE = 1_000
"""Names in one response: Cloud Storage JSON API reference, "Objects: list"."""

_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)


class Names(AbstractFileSystem):
    """The half of the filesystem that lists names and describes them; nothing is cached."""

    _client: Client

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Return ``bucket/key`` of a path with or without ``gs://`` or ``gcs://``."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("gs://").removeprefix("gcs://").strip("/")

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Describe the object at a path, or a folder that is not empty.

        Raises:
            ObjectNotFound: there is neither.
        """
        path = self._strip_protocol(path)
        if split_path(path)[1]:
            target = self._client.target(path, fields=FIELDS)
            accept = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
            response = self._client.request("GET", target, path, "read", accept=accept)
            if response.status == HTTPStatus.OK:
                entry = self._entry(response.members(), path)
                if entry["name"] != path:
                    raise self._invalid(path)
                return entry
        target = self._client.target(split_path(path)[0], prefix=self._prefix(path), maxResults=1, fields="items(name)")
        if not self._json("GET", target, path, "list").get("items") and split_path(path)[1]:
            message = f"nothing is stored at {shown(path)}"
            raise ObjectNotFound(message)
        return _folder(path)

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether an object or a folder exists; raises if the storage does not say."""
        return self._type(path) is not None

    def isfile(self, path: str) -> bool:
        """Return whether an object exists."""
        return self._type(path) == "file"

    def isdir(self, path: str) -> bool:
        """Return whether a folder exists."""
        return self._type(path) == "directory"

    def _type(self, path: str) -> str | None:
        try:
            kind: str = self.info(path)["type"]
        except ObjectNotFound:
            return None
        return kind

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List the direct members of a folder, or a single object.

        Raises:
            ObjectNotFound: there is neither.
        """
        path = self._strip_protocol(path)
        entries: dict[tuple[str, str], dict[str, Any]] = {}
        for item in self._items(path, delimiter="/"):
            entry = self._entry(item, path)
            entries[entry["name"], entry["type"]] = entry  # an object may have the name of a folder
        itself = entries.pop((path, "directory"), None)
        if not entries and itself is None:
            found = self.info(path)
            if found["type"] == "file":
                entries[path, "file"] = found
        return [entries[name, kind] if detail else name for name, kind in sorted(entries)]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        detail: bool = False,  # noqa: FBT001, FBT002
        **_: Any,
    ) -> Any:
        """List all objects below a folder, 1,000 per request, or a single object; finding none is not an error."""
        path = self._strip_protocol(path)
        entries: dict[str, dict[str, Any]] = {}
        for item in self._items(path):
            entry = self._entry(item, path)
            name = entry["name"]
            while len(name) > len(path):
                if entry["type"] == "file" or name not in entries:  # an object may have the name of a folder
                    entries[name] = entry
                name = self._parent(name).rstrip("/")
                entry = _folder(name)
        if withdirs and entries:
            entries[path] = _folder(path)
        if not entries and self._type(path) == "file":
            entries[path] = self.info(path)
        deepest = None if maxdepth is None else path.count("/") + maxdepth
        found = {
            name: entry
            for name, entry in sorted(entries.items())
            if (withdirs or entry["type"] == "file") and (deepest is None or name.count("/") <= deepest)
        }
        return found if detail else list(found)

    def find_all(self, path: str, *, folders: bool) -> dict[str, dict[str, Any]]:
        """Return everything below a folder, or the object itself, by name: all of it, or an error."""
        found: dict[str, dict[str, Any]] = self.find(path, withdirs=folders, detail=True)
        return found

    def created(self, path: str) -> datetime:
        """Return when the object was created."""
        return self._time(path, "created")

    def modified(self, path: str) -> datetime:
        """Return when the object or its metadata last changed."""
        return self._time(path, "modified")

    def _time(self, path: str, which: str) -> datetime:
        try:
            return datetime.fromisoformat(self.info(path)[which])
        except (KeyError, TypeError, ValueError):
            problem = self._invalid(path)
        raise problem

    def _prefix(self, path: str) -> str | None:
        key = split_path(path)[1]
        return f"{key}/" if key else None

    def _items(self, path: str, delimiter: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the metadata of each object below a folder; with a delimiter, of its direct members and prefixes."""
        token, pages = None, ListingGuard(shown(path))
        while True:
            target = self._client.target(
                split_path(path)[0],
                prefix=self._prefix(path),
                delimiter=delimiter,
                maxResults=PAGE,
                pageToken=token,
                fields=f"items({FIELDS}),prefixes,nextPageToken",
            )
            page = self._json("GET", target, path, "list")
            items, prefixes, token = page.get("items", []), page.get("prefixes", []), page.get("nextPageToken")
            if not isinstance(items, list) or not isinstance(prefixes, list):
                raise self._invalid(path)
            names = (one["name"] for one in items if isinstance(one, dict) and isinstance(one.get("name"), str))
            pages.check_page(next(names, None) or next(map(str, prefixes), None), str(token or ""))
            yield from items
            yield from ({"name": prefix} for prefix in prefixes)
            if not token:
                return

    def _json(self, method: str, target: str, path: str, action: Action) -> dict[str, Any]:
        """Send a request and return the JSON object in the response."""
        members = self._client.request(method, target, path, action).members()
        if members is None:
            raise self._invalid(path)
        return members

    def _entry(self, item: Any, path: str) -> dict[str, Any]:
        """Return the fsspec entry for the metadata of an object at or below a path."""
        entry = _entry(split_path(path)[0], item)
        if entry is None or not f"{entry['name']}/".startswith(f"{path}/"):
            raise self._invalid(path)
        return entry

    def _invalid(self, path: str) -> StorageUnavailable:
        return StorageUnavailable(f"Google Cloud Storage sent an invalid response about {shown(path)}")


def _entry(bucket: str, item: Any) -> dict[str, Any] | None:
    """Return the fsspec entry for an object's metadata, or None if they are invalid."""
    try:
        key, size = item["name"], item.get("size", "")
        if not isinstance(key, str) or not key:
            return None
        name = f"{bucket}/{key}"
        name.encode()  # a lone surrogate has no UTF-8 form, and cannot be part of a URL
        if name.endswith("/"):
            return _folder(name.rstrip("/"))
        # Sizes come as text. A JSON number could be infinite or negative.
        if not _SIZE.fullmatch(str(size)):
            return None
        return {
            "name": name,
            "size": int(size),
            "type": "file",
            "created": item["timeCreated"],
            "modified": item["updated"],
            "generation": item["generation"],
            "md5Hash": item.get("md5Hash"),
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _folder(path: str) -> dict[str, Any]:
    return {"name": path, "size": 0, "type": "directory"}
