"""Reads an object's sealed bytes by ranges, all of them from the generation that was read first."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from connectors.errors import NotAnObject, ObjectChanged, StorageUnavailable
from connectors.storage import RangeBuffer
from connectors_gcs.location import shown, split_path

if TYPE_CHECKING:
    from connectors_gcs.client import Client, Response

__all__ = ["GcsSource"]

ERROR_PAGE = 1 << 16
"""Bytes that a response may have beyond the requested range: room for an error's body."""

_ANSWERS = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_LENGTH = re.compile(r"[0-9]{1,15}")
_GENERATION = re.compile(r"[0-9]{1,20}")


class _Version(NamedTuple):
    generation: str
    size: int


class GcsSource:
    """One object in the generation of its first response; replacing it later is an error.

    Args:
        client: the account's client.
        path: ``bucket/key``.
    """

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        if not split_path(path)[1]:
            message = f"{shown(path)} is a bucket; name an object in it"
            raise NotAnObject(message)
        # At most one version. A dict's operations are atomic, so this needs no lock, which a fork could leave held.
        self._versions: dict[str, _Version] = {}

    @property
    def size(self) -> int:
        """The object's size in bytes according to Google Cloud Storage; sends a request before the first read."""
        version = self._versions.get("")
        return (version or self._get(RangeBuffer(0, 1, retry_policy=self._client.retry_policy()), None)).size

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: they cannot be read.
            ObjectChanged: the object was replaced.
        """
        buffer, version = RangeBuffer(start, stop, retry_policy=self._client.retry_policy()), self._versions.get("")
        if version is not None:
            buffer.room(version.size)
        if not buffer.complete:
            self._get(buffer, version)
        return buffer.data

    def _get(self, buffer: RangeBuffer, version: _Version | None) -> _Version:
        """Request a range, and the rest of it after an incomplete response; return the object's version."""
        while version is None or not buffer.complete:
            response = self._ask(buffer.position, buffer.stop, version)
            if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                version = self._beyond_end(buffer, version)
                continue
            version = self._check(response, buffer.position, buffer.stop)
            if self._versions.setdefault("", version) != version:
                message = f"{shown(self._path)} was replaced while it was being read; open it again"
                raise ObjectChanged(message)
            buffer.room(version.size)[: len(response.body)] = response.body
            message = f"Google Cloud Storage sent an incomplete response for {shown(self._path)}"
            buffer.received(len(response.body), StorageUnavailable(message))
        return version

    def _ask(self, start: int, stop: int, version: _Version | None) -> Response:
        return self._client.request(
            "GET",
            self._client.target(self._path, alt="media", ifGenerationMatch=version.generation if version else None),
            self._path,
            "read",
            accept=_ANSWERS,
            # Without this header, the storage decompresses objects stored as gzip, and ignores the range.
            headers={"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "gzip"},
            limit=stop - start + ERROR_PAGE,
            partial=True,
        )

    def _beyond_end(self, buffer: RangeBuffer, version: _Version | None) -> _Version:
        """Return the version of an object whose first range starts beyond its end."""
        if version is not None:
            message = f"{shown(self._path)} became shorter while it was being read; open it again"
            raise ObjectChanged(message)
        if buffer.position == 0:
            version = self._versions.setdefault("", _Version("", 0))  # an empty object has no range at all
        else:
            version = self._get(RangeBuffer(0, 1, retry_policy=self._client.retry_policy()), None)
        buffer.room(version.size)
        return version

    def _check(self, response: Response, start: int, stop: int) -> _Version:
        """Check a response's headers and length against the request, and return the object's version."""
        headers = response.headers
        generation = headers.get("x-goog-generation", "")
        length = headers.get("Content-Length", "") if response.broken else str(len(response.body))
        first, last, size = -1, -1, 0
        if match := _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "")):
            first, last, size = map(int, match.groups())
        elif response.status == HTTPStatus.OK and _LENGTH.fullmatch(length):
            # A server that ignores ranges sends the whole object, which is valid only if all of it was requested.
            first, last, size = 0, int(length) - 1, int(length)
        whole = first == start and last == min(stop, size) - 1 and length == str(last - first + 1)
        as_stored = headers.get("Content-Encoding", "identity") == headers.get(
            "x-goog-stored-content-encoding", "identity"
        )
        if not _GENERATION.fullmatch(generation) or not whole or not as_stored:
            message = f"Google Cloud Storage sent another range than was requested for {shown(self._path)}"
            raise StorageUnavailable(message)
        return _Version(generation, size)

    def close(self) -> None:
        """Do nothing: the filesystem owns the connections."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)}>"
