"""The sealed bytes of a blob, by ranges, pinned to the version that answered first."""

from __future__ import annotations

import re
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError

from connectors.errors import NotAnObject, ObjectChanged, StorageUnavailable
from connectors_azure.faults import BEYOND_END, code_of
from connectors_azure.location import shown

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from connectors_azure.filesystem import AzureFileSystem

__all__ = ["AzureSource"]

# Where nothing is left, the last byte may be said to be the one before the first.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,16})-(-1|[0-9]{1,16})/([0-9]{1,16})")


class _Pin(NamedTuple):
    etag: str
    size: int


class AzureSource:
    """One blob, as it is when its first range is read; exchanged later, it is an error.

    Args:
        fs: the filesystem.
        path: ``container/name``.

    Raises:
        NotAnObject: the path names a container.
    """

    def __init__(self, fs: AzureFileSystem, path: str) -> None:
        self._fs = fs
        self._path = path
        self._container, self._name = fs.split_path(path)
        if not self._name:
            message = f"{shown(path)} is a container; name an object in it"
            raise NotAnObject(message)
        self._pin: _Pin | None = None
        self._lock = Lock()

    @property
    def size(self) -> int:
        """The blob's size in bytes, as Azure says."""
        return self._first(0, 1)[0].size

    def read_range(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: Azure does not give them.
            ObjectChanged: another blob has taken this one's place.
        """
        pin, data = self._first(start, stop)
        stop = min(stop, pin.size)
        if data is not None or start >= stop:
            return data or b""
        return self._fs.attempt(self._path, "read", lambda: self._get(start, stop, pin)[1])

    def _first(self, start: int, stop: int) -> tuple[_Pin, bytes | None]:
        """Return what the blob is pinned to, and the range if it had to be asked for to learn that."""
        with self._lock:
            if self._pin is not None:
                return self._pin, None
            at = start if start < stop else 0
            pin, data = self._fs.attempt(self._path, "read", lambda: self._get_unpinned(at, max(stop, at + 1)))
            self._pin = pin
            return pin, data if start < stop else b""

    def _blob(self) -> BlobClient:
        return self._fs.service().get_blob_client(self._container, self._name)

    def _get_unpinned(self, start: int, stop: int) -> tuple[_Pin, bytes]:
        try:
            return self._get(start, stop, None)
        except HttpResponseError as error:
            if code_of(error) not in BEYOND_END:
                raise
        # It starts beyond the end, which in an empty blob is everywhere: only the properties tell version and size.
        found = self._blob().get_blob_properties()
        pin = _Pin(str(found.etag), int(found.size))
        stop = min(stop, pin.size)
        # Another blob may have come in between, in which the range is no longer beyond the end.
        return self._get(start, stop, pin) if start < stop else (pin, b"")

    def _get(self, start: int, stop: int, pin: _Pin | None) -> tuple[_Pin, bytes]:
        """Ask for a range. The client asks again where the answer breaks off, three times at most."""
        found = pin

        def look(answer: Any) -> None:
            # Before the body is read, of which a server that ignores the range would send all.
            nonlocal found
            response = answer.http_response
            if response.status_code in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                try:
                    found = self._check(response, start, stop, found)
                except Exception:
                    response.internal_response.close()
                    raise

        condition: dict[str, Any] = {"etag": pin.etag, "match_condition": MatchConditions.IfNotModified} if pin else {}
        stream: Any = self._blob().download_blob(
            offset=start,
            length=stop - start,
            max_concurrency=1,
            # What a blob claims to be encoded in is not for this side to undo: the bytes are read as they lie there.
            decompress=False,
            raw_response_hook=look,
            **condition,
        )
        data: bytes = stream.readall()
        if found is None or len(data) != min(stop, found.size) - start:
            message = f"Azure gave another number of bytes than it said, reading {shown(self._path)}; try again later"
            raise StorageUnavailable(message)
        return found, data

    def _check(self, response: Any, start: int, stop: int, pin: _Pin | None) -> _Pin:
        """Hold an answer's headers against the question, whatever the server made of it."""
        etag = response.headers.get("ETag")
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range") or "")
        first, last, size = map(int, match.groups()) if match else (-1, -1, 0)
        length = response.headers.get("Content-Length")
        found = _Pin(str(etag), size)
        if etag and match and pin is not None and found != pin:
            message = f"{shown(self._path)} was exchanged while it was being read; open it again"
            raise ObjectChanged(message)
        if not etag or first != start or last != min(stop, size) - 1 or length != str(last - first + 1):
            message = f"Azure answered with another range than was asked for, reading {shown(self._path)}"
            raise StorageUnavailable(message)
        return found

    def close(self) -> None:
        """Do nothing: the connections are the filesystem's."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)}>"
