"""The sealed bytes of an object in Google Cloud Storage, by ranges, pinned to the generation that answered first."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from connectors.errors import NotAnObject, ObjectChanged, StorageUnavailable
from connectors.storage import RangeBuffer
from connectors_gcs.location import shown, split_path

if TYPE_CHECKING:
    from connectors_gcs.client import Answer, Client

__all__ = ["GcsSource"]

ERROR_PAGE = 1 << 16
"""Bytes that an answer may have beyond the range that was asked for: those of a page that says why there is none."""

_ANSWERS = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_LENGTH = re.compile(r"[0-9]{1,15}")
_GENERATION = re.compile(r"[0-9]{1,20}")


class _Pin(NamedTuple):
    generation: str
    size: int


class GcsSource:
    """One object, as it is when its first range is read; exchanged later, it is an error.

    Args:
        client: requests of an account.
        path: ``bucket/key``.
    """

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        if not split_path(path)[1]:
            message = f"{shown(path)} is a bucket; name an object in it"
            raise NotAnObject(message)
        # At most one pin. Its operations are atomic, so no lock is left behind by a fork.
        self._pins: dict[str, _Pin] = {}

    @property
    def size(self) -> int:
        """The object's size in bytes, as Google Cloud Storage says. Costs a request before the first read."""
        pin = self._pins.get("")
        return (pin or self._get(RangeBuffer(0, 1, retry_policy=self._client.retry_policy()), None)).size

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired, StorageUnavailable: they are not given.
            ObjectChanged: another object has taken this one's place.
        """
        buffer, pin = RangeBuffer(start, stop, retry_policy=self._client.retry_policy()), self._pins.get("")
        if pin is not None:
            buffer.room(pin.size)
        if not buffer.complete:
            self._get(buffer, pin)
        return buffer.data

    def _get(self, buffer: RangeBuffer, pin: _Pin | None) -> _Pin:
        """Ask for a range, and for the rest of it where an answer breaks off; return the object's pin."""
        while pin is None or not buffer.complete:
            answer = self._ask(buffer.position, buffer.stop, pin)
            if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                pin = self._beyond_end(buffer, pin)
                continue
            pin = self._check(answer, buffer.position, buffer.stop)
            if self._pins.setdefault("", pin) != pin:
                message = f"{shown(self._path)} was exchanged while it was being read; open it again"
                raise ObjectChanged(message)
            buffer.room(pin.size)[: len(answer.body)] = answer.body
            message = f"Google Cloud Storage broke off its answer, reading {shown(self._path)}"
            buffer.came(len(answer.body), StorageUnavailable(message))
        return pin

    def _ask(self, start: int, stop: int, pin: _Pin | None) -> Answer:
        return self._client.request(
            "GET",
            self._client.target(self._path, alt="media", ifGenerationMatch=pin.generation if pin else None),
            self._path,
            "read",
            accept=_ANSWERS,
            # An object that is stored as gzip is unpacked on the way, ranges or not, for those who do not take gzip.
            headers={"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "gzip"},
            limit=stop - start + ERROR_PAGE,
            partly=True,
        )

    def _beyond_end(self, buffer: RangeBuffer, pin: _Pin | None) -> _Pin:
        """Pin an object whose first range starts beyond its end."""
        if pin is not None:
            message = f"{shown(self._path)} became shorter while it was being read; open it again"
            raise ObjectChanged(message)
        if buffer.position == 0:
            pin = self._pins.setdefault("", _Pin("", 0))  # an empty object has no range at all
        else:
            pin = self._get(RangeBuffer(0, 1, retry_policy=self._client.retry_policy()), None)
        buffer.room(pin.size)
        return pin

    def _check(self, answer: Answer, start: int, stop: int) -> _Pin:
        """Hold an answer's headers and length against the question, whatever the server made of it."""
        headers = answer.headers
        generation = headers.get("x-goog-generation", "")
        length = headers.get("Content-Length", "") if answer.broken else str(len(answer.body))
        first, last, size = -1, -1, 0
        if match := _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "")):
            first, last, size = map(int, match.groups())
        elif answer.status == HTTPStatus.OK and _LENGTH.fullmatch(length):
            # A server that ignores ranges sends everything; that is an answer only if everything was asked for.
            first, last, size = 0, int(length) - 1, int(length)
        whole = first == start and last == min(stop, size) - 1 and length == str(last - first + 1)
        as_stored = headers.get("Content-Encoding", "identity") == headers.get(
            "x-goog-stored-content-encoding", "identity"
        )
        if not _GENERATION.fullmatch(generation) or not whole or not as_stored:
            message = (
                f"Google Cloud Storage answered with another range than was asked for, reading {shown(self._path)}"
            )
            raise StorageUnavailable(message)
        return _Pin(generation, size)

    def close(self) -> None:
        """Do nothing: the connections are the filesystem's."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)}>"
