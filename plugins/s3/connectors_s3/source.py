"""The sealed bytes of an S3 object, by ranges, pinned to the version that answered first."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from connectors.errors import NotAnObject, ObjectChanged, StorageUnavailable
from connectors_s3.faults import FOREIGN, attempt, code_of
from connectors_s3.location import shown
from connectors_s3.s3fs_types import sync

if TYPE_CHECKING:
    from connectors_s3.filesystem import S3

__all__ = ["S3Source"]

BODY_ATTEMPTS = 4
"""How often a range is asked for whose answer breaks off: botocore repeats only requests that were never answered."""
FIRST_PAUSE = 0.1
"""Seconds before the second attempt; doubled before each further one."""

_BEYOND_END = ("InvalidRange", "416")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")


class _Pin(NamedTuple):
    etag: str
    size: int


class S3Source:
    """One object, as it is when its first range is read; exchanged later, it is an error.

    Args:
        fs: the filesystem.
        path: ``bucket/key``.
    """

    def __init__(self, fs: S3, path: str) -> None:
        self._fs = fs
        self._path = path
        self._bucket, self._key, _ = fs.split_path(path)
        if not self._key:
            message = f"{shown(path)} is a bucket; name an object in it"
            raise NotAnObject(message)
        self._pin: _Pin | None = None
        self._lock = Lock()

    @property
    def size(self) -> int:
        """The object's size in bytes, as S3 says."""
        return self._first(0, 1)[0].size

    def read_range(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: S3 does not give them.
            ObjectChanged: another object has taken this one's place.
        """
        pin, data = self._first(start, stop)
        stop = min(stop, pin.size)
        if data is not None or start >= stop:
            return data or b""
        return attempt(self._path, "read", lambda: self._get(start, stop, pin)[1])

    def _first(self, start: int, stop: int) -> tuple[_Pin, bytes | None]:
        """Return what the object is pinned to, and the range if it had to be asked for to learn that."""
        with self._lock:
            if self._pin is not None:
                return self._pin, None
            at = start if start < stop else 0
            pin, data = attempt(self._path, "read", lambda: self._get(at, max(stop, at + 1), None))
            self._pin = pin
            return pin, data if start < stop else b""

    def _get(self, start: int, stop: int, pin: _Pin | None) -> tuple[_Pin, bytes]:
        """Ask for a range until its answer arrives whole."""
        for again in range(BODY_ATTEMPTS):
            if again:
                time.sleep(FIRST_PAUSE * 2 ** (again - 1))
            try:
                answer = self._ask(start, stop, pin)
            except FOREIGN as error:
                if pin is not None or code_of(error) not in _BEYOND_END:
                    raise
                answer = None
            if answer is None:
                return self._beyond_end(start, stop)
            found = self._check(answer, start, stop, pin)
            try:
                return found, self._body(answer, min(stop, found.size) - start)
            except FOREIGN:
                # What is broken is this one answer; the next may not be. After the last the loop ends below.
                continue
        message = f"S3 broke off its answer {BODY_ATTEMPTS} times, reading {shown(self._path)}; try again later"
        raise StorageUnavailable(message)

    def _ask(self, start: int, stop: int, pin: _Pin | None) -> dict[str, Any]:
        condition = {"IfMatch": pin.etag} if pin else {}
        return self._fs.call_s3(
            "get_object", Bucket=self._bucket, Key=self._key, Range=f"bytes={start}-{stop - 1}", **condition
        )

    def _beyond_end(self, start: int, stop: int) -> tuple[_Pin, bytes]:
        """Pin an object whose first range starts beyond its end."""
        if start == 0:
            return _Pin("", 0), b""  # an empty object has no range at all
        pin, _ = self._get(0, 1, None)
        return pin, b"" if start >= pin.size else self._get(start, min(stop, pin.size), pin)[1]

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

    def _body(self, answer: dict[str, Any], size: int) -> bytes:
        data = sync(self._fs.loop, _read, answer["Body"])
        if len(data) != size:
            message = "the answer broke off"
            raise ConnectionError(message)
        return data

    def _drop(self, answer: dict[str, Any]) -> None:
        sync(self._fs.loop, _close, answer["Body"])

    def close(self) -> None:
        """Do nothing: the connections are the filesystem's."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)}>"


async def _read(body: Any) -> bytes:
    async with body as stream:
        data: bytes = await stream.read()
        return data


async def _close(body: Any) -> None:
    body.close()
