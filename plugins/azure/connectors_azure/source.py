"""The sealed bytes of a blob, by ranges, pinned to the version that answered first."""

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
from connectors_azure.error_mapping import BEYOND_END, FOREIGN, code_of, storage_error
from connectors_azure.location import shown, split_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from azure.storage.blob import BlobClient

    from connectors_azure.client import Client

__all__ = ["AzureSource"]

PIECE = 1 << 16
"""Bytes of an answer that are taken from the socket at once: what is lost at most where a connection breaks."""
# Where nothing is left, the last byte may be said to be the one before the first.
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,16})-(-1|[0-9]{1,16})/([0-9]{1,16})")


class _Pin(NamedTuple):
    etag: str
    size: int


class AzureSource:
    """One blob, as it is when its first range is read; exchanged later, it is an error.

    Args:
        client: makes the requests.
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
        self._pin: _Pin | None = None
        self._lock = Lock()

    @property
    def size(self) -> int:
        """The blob's size in bytes, as Azure says."""
        return self._first(RangeBuffer(0, 1)).size

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: Azure does not give them.
            ObjectChanged: another blob has taken this one's place.
        """
        return self._read(RangeBuffer(start, stop))

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Put the bytes from `start` on into `buffer`; return how many: fewer only where the blob ends.

        Raises:
            StorageError: as `read_range` does.
        """
        return len(self._read(RangeBuffer(start, start + len(buffer), buffer)))

    def _read(self, buffer: RangeBuffer) -> memoryview:
        if not buffer.complete:
            pin = self._first(buffer)
            buffer.room(pin.size)
            self._client.attempt(self._path, "read", lambda: self._get(buffer, pin))
        return buffer.data

    def _first(self, buffer: RangeBuffer) -> _Pin:
        """Return what the blob is pinned to; a range that has to be asked for to learn that arrives by it."""
        with self._lock:
            if self._pin is None:
                self._pin = self._client.attempt(self._path, "read", lambda: self._get(buffer, None))
            return self._pin

    def _blob(self) -> BlobClient:
        return self._client.blob(self._container, self._name)

    def _get(self, buffer: RangeBuffer, pin: _Pin | None) -> _Pin:
        """Ask for a range, and for the rest of it where an answer breaks off; return the blob's pin."""
        while pin is None or not buffer.complete:
            came, failure = 0, None
            broken: ConnectorError = StorageUnavailable(f"Azure broke off its answer, reading {shown(self._path)}")
            try:
                pin, came = self._ask(buffer, pin)
            except ConnectorError:
                raise
            except FOREIGN as error:
                failure = error
            if failure is not None and pin is None and code_of(failure) in BEYOND_END:
                pin = self._beyond_end(buffer)
                continue
            if failure is not None:
                broken = storage_error(failure, self._path, "read")
                if not isinstance(broken, StorageUnavailable):
                    raise failure
            buffer.received(came, broken)
        return pin

    def _beyond_end(self, buffer: RangeBuffer) -> _Pin:
        """Pin a blob whose first range starts beyond its end, which in an empty one is everywhere."""
        found = self._blob().get_blob_properties()
        if type(found.size) is not int:
            message = f"Azure does not say how large {shown(self._path)} is; try again later"
            raise StorageUnavailable(message)
        pin = _Pin(str(found.etag), found.size)
        # Another blob may have come in between, in which the range is no longer beyond the end.
        buffer.room(pin.size)
        return pin

    def _ask(self, buffer: RangeBuffer, pin: _Pin | None) -> tuple[_Pin, int]:
        """Ask for what is missing of a range, once; return the blob's pin, and how many bytes came.

        The client's own repetitions are left out: it asks for all of a range again whose answer breaks off, and forgets
        the hook by which that is looked at. So the body is read here, and the client is shown none.
        """
        found, came = pin, 0

        def take(answer: Any) -> None:
            nonlocal found, came
            response = answer.http_response
            if response.status_code in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                body = response.internal_response
                try:
                    found = self._check(response, buffer.position, buffer.stop, pin)
                    room = buffer.room(found.size)
                    came = _fill(body.raw, room)
                    if came < len(room):
                        body.close()
                except BaseException:
                    body.close()
                    raise
                response.stream_download = _Emptied(response.headers)

        condition: dict[str, Any] = {"etag": pin.etag, "match_condition": MatchConditions.IfNotModified} if pin else {}
        self._blob().download_blob(
            offset=buffer.position,
            length=buffer.stop - buffer.position,
            max_concurrency=1,
            # What a blob claims to be encoded in is not for this side to undo: the bytes are read as they lie there.
            decompress=False,
            raw_response_hook=take,
            retry_total=0,
            **condition,
        )
        if found is None:
            message = f"Azure answered with nothing that tells of {shown(self._path)}; try again later"
            raise StorageUnavailable(message)
        return found, came

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


class _Emptied:
    """What the client is shown in the stead of a body that has been read already."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.response = SimpleNamespace(headers=headers)
        self.content_length = int(headers["Content-Length"])

    def __call__(self, *_: Any, **__: Any) -> Self:
        """Return itself: the client asks the answer for its body's stream."""
        return self

    def __iter__(self) -> Iterator[bytes]:
        """Give nothing."""
        return iter(())


def _fill(body: Any, room: memoryview) -> int:
    """Read an answer's body into `room`, as far as it comes; return how far."""
    came = 0
    try:
        while came < len(room) and (piece := body.read(min(PIECE, len(room) - came), decode_content=False)):
            room[came : came + len(piece)] = piece
            came += len(piece)
    except (HTTPError, *FOREIGN):
        # What is broken is this one answer; the next may not be.
        return came
    return came
