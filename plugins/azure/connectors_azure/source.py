"""Reads a blob's sealed bytes by ranges, all of them from the version that was read first."""

from __future__ import annotations

import re
from http import HTTPStatus
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from azure.core import MatchConditions
from urllib3.exceptions import HTTPError

from connectors.errors import ConnectorError, NotAnObject, ObjectChanged, StorageUnavailable
from connectors.storage import RangeBuffer
from connectors_azure.error_mapping import BEYOND_END, LIBRARY_ERRORS, code_of, storage_error
from connectors_azure.location import shown, split_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.storage.blob import BlobClient

    from connectors_azure.client import Client

__all__ = ["AzureSource"]

PIECE = 1 << 16
"""Bytes of a response that are read from the socket at once: the most that a broken connection loses."""
# A range without bytes may end one byte before it starts, even at -1.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,16})-(-1|[0-9]{1,16})/([0-9]{1,16})")


class _Version(NamedTuple):
    etag: str
    size: int


class AzureSource:
    """One blob in the version of its first response; replacing it later is an error.

    Args:
        client: the account's client.
        path: ``container/name``.

    Raises:
        NotAnObject: the path names a container.
    """

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self._container, self._name = split_path(path)
        if not self._name:
            message = f"{shown(path)} is a container; name an object in it"
            raise NotAnObject(message)
        self._known_version: _Version | None = None
        self._lock = Lock()

    @property
    def size(self) -> int:
        """The blob's size in bytes according to Azure; sends a request before the first read."""
        return self._version(RangeBuffer(0, 1)).size

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: they cannot be read.
            ObjectChanged: the blob was replaced.
        """
        return self._read(RangeBuffer(start, stop))

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Read the bytes from `start` on into `buffer`; return how many: fewer only at the blob's end.

        Raises:
            StorageError: as `read_range` does.
        """
        return len(self._read(RangeBuffer(start, start + len(buffer), buffer)))

    def _read(self, buffer: RangeBuffer) -> memoryview:
        if not buffer.complete:
            version = self._version(buffer)
            buffer.room(version.size)
            self._client.attempt(self._path, "read", lambda: self._get(buffer, version))
        return buffer.data

    def _version(self, buffer: RangeBuffer) -> _Version:
        """Return the blob's version; if it is not yet known, read it together with the range of `buffer`."""
        with self._lock:
            if self._known_version is None:
                self._known_version = self._client.attempt(self._path, "read", lambda: self._get(buffer, None))
            return self._known_version

    def _blob(self) -> BlobClient:
        return self._client.blob(self._container, self._name)

    def _get(self, buffer: RangeBuffer, version: _Version | None) -> _Version:
        """Request a range, and the rest of it after an incomplete response; return the blob's version."""
        while version is None or not buffer.complete:
            received, failure = 0, None
            broken: ConnectorError = StorageUnavailable(f"Azure sent an incomplete response for {shown(self._path)}")
            try:
                version, received = self._request(buffer, version)
            except ConnectorError:
                raise
            except LIBRARY_ERRORS as error:
                failure = error
            if failure is not None and version is None and code_of(failure) in BEYOND_END:
                version = self._beyond_end(buffer)
                continue
            if failure is not None:
                broken = storage_error(failure, self._path, "read")
                if not isinstance(broken, StorageUnavailable):
                    raise failure
            buffer.received(received, broken)
        return version

    def _beyond_end(self, buffer: RangeBuffer) -> _Version:
        """Return the version of a blob whose first range starts beyond its end; in an empty blob, every range does."""
        found = self._blob().get_blob_properties()
        if type(found.size) is not int:
            message = f"Azure sent no size for {shown(self._path)}; try again later"
            raise StorageUnavailable(message)
        version = _Version(str(found.etag), found.size)
        # The blob may have been replaced since by a larger one, in which the range is no longer beyond the end.
        buffer.room(version.size)
        return version

    def _request(self, buffer: RangeBuffer, version: _Version | None) -> tuple[_Version, int]:
        """Send one request for the missing part of a range; return the blob's version and how many bytes arrived.

        Azure's client does not retry here: after an incomplete response it would request the whole range again, without
        the hook that checks the response. So the hook reads the body, and the client gets an empty one.
        """
        found, received = version, 0

        def take(result: Any) -> None:
            nonlocal found, received
            response = result.http_response
            if response.status_code in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                body = response.internal_response
                try:
                    found = self._check(response, buffer.position, buffer.stop, version)
                    room = buffer.room(found.size)
                    received = _read_into(body.raw, room)
                    if received < len(room):
                        body.close()
                except BaseException:
                    body.close()
                    raise
                response.stream_download = _EmptyBody(response.headers)

        condition: dict[str, Any] = (
            {"etag": version.etag, "match_condition": MatchConditions.IfNotModified} if version else {}
        )
        self._blob().download_blob(
            offset=buffer.position,
            length=buffer.stop - buffer.position,
            max_concurrency=1,
            # The bytes are read as they are stored, whatever content encoding the blob claims to have.
            decompress=False,
            raw_response_hook=take,
            retry_total=0,
            **condition,
        )
        if found is None:
            message = f"Azure sent an invalid response for {shown(self._path)}; try again later"
            raise StorageUnavailable(message)
        return found, received

    def _check(self, response: Any, start: int, stop: int, version: _Version | None) -> _Version:
        """Check a response's headers against the request, and return the blob's version."""
        etag = response.headers.get("ETag")
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range") or "")
        first, last, size = map(int, match.groups()) if match else (-1, -1, 0)
        length = response.headers.get("Content-Length")
        found = _Version(str(etag), size)
        if etag and match and version is not None and found != version:
            message = f"{shown(self._path)} was replaced while it was being read; open it again"
            raise ObjectChanged(message)
        if not etag or first != start or last != min(stop, size) - 1 or length != str(last - first + 1):
            message = f"Azure sent another range than was requested for {shown(self._path)}"
            raise StorageUnavailable(message)
        return found

    def close(self) -> None:
        """Do nothing: the filesystem owns the connections."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)}>"


class _EmptyBody:
    """The body that the client gets in place of one that was already read."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.response = SimpleNamespace(headers=headers)
        self.content_length = int(headers["Content-Length"])

    def __call__(self, *_: Any, **__: Any) -> Self:
        """Return itself: the client calls this to get the stream of the body."""
        return self

    def __iter__(self) -> Iterator[bytes]:
        """Yield nothing."""
        return iter(())


def _read_into(body: Any, room: memoryview) -> int:
    """Read a response's body into `room`; return how many bytes arrived before the body or the connection ended."""
    received = 0
    try:
        while received < len(room) and (piece := body.read(min(PIECE, len(room) - received), decode_content=False)):
            room[received : received + len(piece)] = piece
            received += len(piece)
    except (HTTPError, *LIBRARY_ERRORS):
        # Only this response is broken; the next request may succeed.
        return received
    return received
