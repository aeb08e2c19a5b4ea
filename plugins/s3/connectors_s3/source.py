"""Reads an object's sealed bytes by ranges, all of them from the version that was read first."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors.errors import NotAnObject, ObjectChanged, StorageUnavailable
from connectors.storage import MIN_PROGRESS, RangeBuffer
from connectors_s3.error_mapping import LIBRARY_ERRORS, attempt, code_of
from connectors_s3.location import shown
from connectors_s3.s3fs_types import sync
from connectors_s3.sessions import READ_TIMEOUT

if TYPE_CHECKING:
    from connectors_s3.client import Client

__all__ = ["S3Source"]

_BEYOND_END = ("InvalidRange", "416")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")


class _Version(NamedTuple):
    etag: str
    size: int


class S3Source:
    """One object in the version of its first response; replacing it later is an error.

    Args:
        client: the account's client.
        path: ``bucket/key``.
    """

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self._bucket, self._key, _ = client.split_path(path)
        if not self._key:
            message = f"{shown(path)} is a bucket; name an object in it"
            raise NotAnObject(message)
        self._version: _Version | None = None
        self._lock = Lock()

    @property
    def size(self) -> int:
        """The object's size in bytes according to S3; sends a request before the first read."""
        return self._first(RangeBuffer(0, 1)).size

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: they cannot be read.
            ObjectChanged: the object was replaced.
        """
        return self._read(RangeBuffer(start, stop))

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Read the bytes from `start` on into `buffer`; return how many: fewer only at the object's end.

        Raises:
            StorageError: as `read_range` does.
        """
        return len(self._read(RangeBuffer(start, start + len(buffer), buffer)))

    def _read(self, buffer: RangeBuffer) -> memoryview:
        if not buffer.complete:
            version = self._first(buffer)
            buffer.room(version.size)
            attempt(self._path, "read", lambda: self._get(buffer, version))
        return buffer.data

    def _first(self, buffer: RangeBuffer) -> _Version:
        """Return the version that was read first; if there is none yet, read it into `buffer`."""
        with self._lock:
            if self._version is None:
                self._version = attempt(self._path, "read", lambda: self._get(buffer, None))
            return self._version

    def _get(self, buffer: RangeBuffer, version: _Version | None) -> _Version:
        """Request a range, and the rest of it after an incomplete response; return the object's version."""
        while version is None or not buffer.complete:
            response = self._request(buffer.position, buffer.stop, version)
            if response is None:
                version = self._beyond_end(buffer)
                continue
            version = self._check(response, buffer.position, buffer.stop, version)
            received = sync(self._client.loop, _fill, response["Body"], buffer.room(version.size))
            buffer.received(received, StorageUnavailable(f"S3 sent an incomplete response for {shown(self._path)}"))
        return version

    def _request(self, start: int, stop: int, version: _Version | None) -> dict[str, Any] | None:
        """Return the response to the request for a range, its body unread.

        None if no version is known yet, and the range starts beyond the object's end.
        """
        condition = {"IfMatch": version.etag} if version else {}
        try:
            return self._client.call_s3(
                "get_object", Bucket=self._bucket, Key=self._key, Range=f"bytes={start}-{stop - 1}", **condition
            )
        except LIBRARY_ERRORS as error:
            if version is not None or code_of(error) not in _BEYOND_END:
                raise
        return None

    def _beyond_end(self, buffer: RangeBuffer) -> _Version:
        """Return the version of an object whose first range starts beyond its end."""
        first = RangeBuffer(0, 1)
        # An empty object has no range at all.
        version = self._get(first, None) if buffer.position else _Version("", 0)
        buffer.room(version.size)
        return version

    def _check(self, response: dict[str, Any], start: int, stop: int, version: _Version | None) -> _Version:
        """Check a response's headers against the request, and return the object's version."""
        etag = response.get("ETag")
        length = response.get("ContentLength")
        match = _CONTENT_RANGE.fullmatch(response.get("ContentRange") or "")
        first, last, size = -1, -1, 0
        if match:
            first, last, size = map(int, match.groups())
        elif response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.OK:
            # A server that ignores ranges sends the whole object, which is valid only if all of it was requested.
            first, size = 0, int(length or 0)
            last = size - 1
        found = _Version(str(etag), size)
        if etag and version is not None and found != version:
            self._drop(response)
            message = f"{shown(self._path)} was replaced while it was being read; open it again"
            raise ObjectChanged(message)
        if not etag or first != start or last != min(stop, size) - 1 or length != last - first + 1:
            self._drop(response)
            message = f"S3 sent another range than was requested for {shown(self._path)}"
            raise StorageUnavailable(message)
        return found

    def _drop(self, response: dict[str, Any]) -> None:
        sync(self._client.loop, _close, response["Body"])

    def close(self) -> None:
        """Do nothing: the filesystem owns the connections."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)}>"


async def _fill(body: Any, room: memoryview) -> int:
    """Read a response's body into `room`, as much of it as arrives; return the number of bytes.

    A slow drip is treated as a stall: at least `MIN_PROGRESS` bytes must arrive within `READ_TIMEOUT`.
    """
    received = mark = 0
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(READ_TIMEOUT) as limit, body:
            while received < len(room) and (piece := await body.read(len(room) - received)):
                room[received : received + len(piece)] = piece
                received += len(piece)
                if received - mark >= MIN_PROGRESS:
                    mark = received
                    limit.reschedule(loop.time() + READ_TIMEOUT)
    except LIBRARY_ERRORS:
        # Only this response is broken; the next one may be complete.
        piece = _buffered(body)[: len(room) - received]
        room[received : received + len(piece)] = piece
        received += len(piece)
    return received


def _buffered(body: Any) -> bytes:
    """Return the bytes that a body received before it broke: aiohttp no longer returns them after the error."""
    content = getattr(body, "raw_stream", body).content  # the body itself provides it before aiobotocore 3.8
    content.set_exception(None)
    buffered: bytes = content.read_nowait(-1)
    return buffered


async def _close(body: Any) -> None:
    body.close()
