"""The sealed bytes of an S3 object, by ranges, pinned to the version that answered first."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors.errors import NotAnObject, ObjectChanged, StorageUnavailable
from connectors.storage import MIN_PROGRESS, RangeBuffer
from connectors_s3.error_mapping import FOREIGN, attempt, code_of
from connectors_s3.location import shown
from connectors_s3.s3fs_types import sync
from connectors_s3.sessions import READ_TIMEOUT

if TYPE_CHECKING:
    from connectors_s3.client import Client

__all__ = ["S3Source"]

_BEYOND_END = ("InvalidRange", "416")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")


class _Pin(NamedTuple):
    etag: str
    size: int


class S3Source:
    """One object, as it is when its first range is read; exchanged later, it is an error.

    Args:
        client: makes the requests.
        path: ``bucket/key``.
    """

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self._bucket, self._key, _ = client.split_path(path)
        if not self._key:
            message = f"{shown(path)} is a bucket; name an object in it"
            raise NotAnObject(message)
        self._pin: _Pin | None = None
        self._lock = Lock()

    @property
    def size(self) -> int:
        """The object's size in bytes, as S3 says."""
        return self._first(RangeBuffer(0, 1)).size

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: S3 does not give them.
            ObjectChanged: another object has taken this one's place.
        """
        return self._read(RangeBuffer(start, stop))

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Put the bytes from `start` on into `buffer`; return how many: fewer only where the object ends.

        Raises:
            StorageError: as `read_range` does.
        """
        return len(self._read(RangeBuffer(start, start + len(buffer), buffer)))

    def _read(self, buffer: RangeBuffer) -> memoryview:
        if not buffer.complete:
            pin = self._first(buffer)
            buffer.room(pin.size)
            attempt(self._path, "read", lambda: self._get(buffer, pin))
        return buffer.data

    def _first(self, buffer: RangeBuffer) -> _Pin:
        """Return what the object is pinned to; a range that has to be asked for to learn that arrives by it."""
        with self._lock:
            if self._pin is None:
                self._pin = attempt(self._path, "read", lambda: self._get(buffer, None))
            return self._pin

    def _get(self, buffer: RangeBuffer, pin: _Pin | None) -> _Pin:
        """Ask for a range, and for the rest of it where an answer breaks off; return the object's pin."""
        while pin is None or not buffer.complete:
            answer = self._ask(buffer.position, buffer.stop, pin)
            if answer is None:
                pin = self._beyond_end(buffer)
                continue
            pin = self._check(answer, buffer.position, buffer.stop, pin)
            came = sync(self._client.loop, _fill, answer["Body"], buffer.room(pin.size))
            buffer.received(came, StorageUnavailable(f"S3 broke off its answer, reading {shown(self._path)}"))
        return pin

    def _ask(self, start: int, stop: int, pin: _Pin | None) -> dict[str, Any] | None:
        """Return the answer to a question for a range, its body unread; None if an unknown object ends before that."""
        condition = {"IfMatch": pin.etag} if pin else {}
        try:
            return self._client.call_s3(
                "get_object", Bucket=self._bucket, Key=self._key, Range=f"bytes={start}-{stop - 1}", **condition
            )
        except FOREIGN as error:
            if pin is not None or code_of(error) not in _BEYOND_END:
                raise
        return None

    def _beyond_end(self, buffer: RangeBuffer) -> _Pin:
        """Pin an object whose first range starts beyond its end."""
        first = RangeBuffer(0, 1)
        # An empty object has no range at all.
        pin = self._get(first, None) if buffer.position else _Pin("", 0)
        buffer.room(pin.size)
        return pin

    def _check(self, answer: dict[str, Any], start: int, stop: int, pin: _Pin | None) -> _Pin:
        """Hold an answer's headers against the question, whatever the server made of it."""
        etag = answer.get("ETag")
        length = answer.get("ContentLength")
        match = _CONTENT_RANGE.fullmatch(answer.get("ContentRange") or "")
        first, last, size = -1, -1, 0
        if match:
            first, last, size = map(int, match.groups())
        elif answer["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.OK:
            # A server that ignores ranges sends everything; that is an answer only if everything was asked for.
            first, size = 0, int(length or 0)
            last = size - 1
        found = _Pin(str(etag), size)
        if etag and pin is not None and found != pin:
            self._drop(answer)
            message = f"{shown(self._path)} was exchanged while it was being read; open it again"
            raise ObjectChanged(message)
        if not etag or first != start or last != min(stop, size) - 1 or length != last - first + 1:
            self._drop(answer)
            message = f"S3 answered with another range than was asked for, reading {shown(self._path)}"
            raise StorageUnavailable(message)
        return found

    def _drop(self, answer: dict[str, Any]) -> None:
        sync(self._client.loop, _close, answer["Body"])

    def close(self) -> None:
        """Do nothing: the connections are the filesystem's."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)}>"


async def _fill(body: Any, room: memoryview) -> int:
    """Read an answer's body into `room`, as far as it comes; return how far.

    Bytes that drip end as silence does: `MIN_PROGRESS` of them must come in the time that nothing may come.
    """
    came = mark = 0
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(READ_TIMEOUT) as limit, body:
            while came < len(room) and (piece := await body.read(len(room) - came)):
                room[came : came + len(piece)] = piece
                came += len(piece)
                if came - mark >= MIN_PROGRESS:
                    mark = came
                    limit.reschedule(loop.time() + READ_TIMEOUT)
    except FOREIGN:
        # What is broken is this one answer; the next may not be.
        piece = _rest(body)[: len(room) - came]
        room[came : came + len(piece)] = piece
        came += len(piece)
    return came


def _rest(body: Any) -> bytes:
    """Return what came of a body before it broke: aiohttp gives none of that any more, once it knows."""
    content = getattr(body, "raw_stream", body).content  # which it passed on to by itself before aiobotocore 3.8
    content.set_exception(None)
    rest: bytes = content.read_nowait(-1)
    return rest


async def _close(body: Any) -> None:
    body.close()
