"""Reading the object behind a URL: range by range, and the same object from the first byte to the last."""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from connectors.errors import ObjectChanged, StorageUnavailable
from connectors_https.answers import Failure, excerpt
from connectors_https.client import RetryPolicy, finish, known_headers

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from connectors_https.client import Client

__all__ = ["PresignedSource"]

_KNOWN_HEADERS = {"accept-encoding": "identity", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
"""Headers that a signature may cover besides the host, and the values that whoever signed will have meant."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII | re.IGNORECASE)
_UNSATISFIED_RANGE = re.compile(r"bytes \*/([0-9]{1,18})", re.ASCII | re.IGNORECASE)
_ACTUAL_SIZE = re.compile(rb"<ActualObjectSize>([0-9]{1,18})</ActualObjectSize>")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]{1,1000}"')
_SKIP = 1 << 18
"""Bytes thrown away at once on the way to where an unranged answer gets interesting."""
_ANSWERS = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one state of an object from another.

    Attributes:
        size: bytes in all.
        mark: its ETag, or else its Last-Modified, or nothing.
        etag: its ETag where that is a strong one, which If-Match takes, or None.
        modified: its Last-Modified header, or nothing.
    """

    size: int
    mark: str
    etag: str | None
    modified: str

    @classmethod
    def of(cls, size: int, response: BaseHTTPResponse) -> Version:
        """Return the state that an answer shows."""
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        return cls(size, etag or modified, etag if _STRONG_ETAG.fullmatch(etag) else None, modified)


@dataclass(slots=True)
class _Stream:
    """An open answer.

    Attributes:
        response: the answer, its body read up to `position`.
        position: where in the object its next byte lies.
        end: where in the object its last byte ends, as it promised.
        whole: it is all of the object, which nobody asked for: worth keeping for the next range.
        owner: the process whose connection it comes over.
    """

    response: BaseHTTPResponse
    position: int
    end: int
    whole: bool = False
    owner: int = field(default_factory=os.getpid)


class PresignedSource:
    """The bytes of one object behind a URL, by ranges.

    The first answer tells the size and the object's version; every later one has to show the same. HEAD is never
    used: a URL that was signed for GET does not answer it. A server that ignores ranges is read front to back, and
    from the front again where somebody goes backwards. Safe in threads and in a forked child.

    Args:
        client: requests for the object.

    Raises:
        NotSupported: the signature covers headers whose values only its maker knows.
        CredentialsExpired: the query's time is over.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._closed = False
        # At most one version, and one stream kept. Their operations are atomic, so no lock is left behind by a fork.
        self._versions: dict[str, Version] = {}
        self._streams: deque[_Stream] = deque()
        self._headers = known_headers(client, _KNOWN_HEADERS)
        client.check_expiry()

    @property
    def size(self) -> int:
        """The object's size in bytes, as the server says; costs a request before the first read."""
        return self.version().size

    def version(self) -> Version:
        """Return what tells this state of the object from others; costs a request before the first read.

        Raises:
            StorageError: as `read_range` does.
        """
        retry_policy = RetryPolicy(self._client.limits)
        while (version := self._known()) is None:
            answer = self._ask(0, 1)
            if isinstance(answer, Failure):
                retry_policy.wait_or_raise(answer)
            elif answer is not None and answer.whole:
                self._keep(answer)
            elif answer is not None:
                self._drain(answer, 0, memoryview(bytearray(1)))
        return version

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`; fewer only where the object ends before `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired: the server will not have it.
            ObjectChanged: the object is not the one it was at the first read.
            StorageUnavailable: the server cannot be reached, or answers nonsense, also after several tries.
        """
        size, out = self._read(start, stop, None)
        return out[:size]

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Put the bytes from `start` on into `buffer`; return how many: fewer only where the object ends.

        Raises:
            StorageError: as `read_range` does.
        """
        return self._read(start, start + len(buffer), buffer)[0]

    def _read(self, start: int, stop: int, out: memoryview | None) -> tuple[int, memoryview]:
        """Read a range into `out`, or into a buffer that is made when it is known how much there is."""
        if self._closed:
            message = "I/O operation on closed file"
            raise ValueError(message)
        position = start
        retry_policy = RetryPolicy(self._client.limits)
        while position < self._end(stop):
            stream = self._kept(position) or self._ask(position, stop)
            if isinstance(stream, Failure):
                retry_policy.wait_or_raise(stream)
            elif stream is not None:
                if out is None:
                    out = memoryview(bytearray(max(0, self._end(stop) - start)))  # it may end before
                came, failure = self._drain(stream, position, out[position - start :])
                position += came
                retry_policy.arrived(came)
                if position < self._end(stop):
                    retry_policy.wait_or_raise(failure or self._less())
        return max(0, position - start), memoryview(b"") if out is None else out

    def _known(self) -> Version | None:
        return self._versions.get("")

    def _end(self, stop: int) -> int:
        """Return `stop`, or where the object ends before it, as far as that is known."""
        version = self._known()
        return stop if version is None else min(stop, version.size)

    def _ask(self, position: int, stop: int | None) -> _Stream | Failure | None:
        """Ask for a range, or for everything where `stop` is None.

        Returns:
            The open answer; or None where there is nothing at `position`, which is known from then on.
        """
        version = self._known()
        headers = dict(self._headers)
        if stop is not None:
            headers["Range"] = f"bytes={position}-{self._end(stop) - 1}"
        if version is not None and version.etag is not None:
            headers["If-Match"] = version.etag
        response = self._client.request("GET", headers, accept=_ANSWERS)
        if isinstance(response, Failure):
            return response
        answer: _Stream | Failure | None = None
        try:
            answer = self._take(response, position, stop)
        finally:
            if not isinstance(answer, _Stream):
                finish(response)
        return answer

    def _take(self, response: BaseHTTPResponse, position: int, stop: int | None) -> _Stream | Failure | None:
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return self._beyond(response, position, stop)
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
            return self._nonsense("sends the object in a content encoding nobody asked for; store it without one")
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            if position == response.length_remaining == 0 and stop is not None and self._known() is None:
                # A part with nothing in it, of an object that may be empty: Azurite's "bytes 0--1/0" is no range.
                return self._ask(0, None)
            return self._partial(response, position, stop)
        return self._whole(response)

    def _partial(self, response: BaseHTTPResponse, position: int, stop: int | None) -> _Stream | Failure:
        """Take a 206 for what it says it is, if that is what was asked for, or the start of it."""
        matched = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if matched is None or stop is None:
            return self._nonsense("answers with a part of the object, and does not say which")
        first, last, size = (int(number) for number in matched.groups())
        length = response.length_remaining
        if first != position or not first <= last < min(stop, size) or length not in (None, last - first + 1):
            return self._nonsense("answers with another part of the object than the one asked for")
        return self._pin(Version.of(size, response)) or _Stream(response, first, last + 1)

    def _whole(self, response: BaseHTTPResponse) -> _Stream | Failure:
        """Take a 200: the server ignores ranges, or was asked for none."""
        size = response.length_remaining
        if size is None:
            return self._nonsense("neither serves ranges nor says how long the object is")
        return self._pin(Version.of(size, response)) or _Stream(response, 0, size, whole=True)

    def _beyond(self, response: BaseHTTPResponse, position: int, stop: int | None) -> _Stream | Failure | None:
        """Take a 416: nothing at `position`."""
        if self._known() is not None:
            message = f"{self._client.place.location} became shorter while it was being read; open it again"
            return Failure(ObjectChanged(message))
        if stop is None:
            return self._nonsense("refuses a range, and none was asked for")
        if position > 0:
            # How long is it then, and which version? Only an answer with bytes in it tells both.
            self.version()
            return None
        if _actual_size(response) == 0:
            return self._pin(Version(0, "", None, ""))
        return self._ask(0, None)

    def _pin(self, version: Version) -> Failure | None:
        """Hold the object to the version it showed first."""
        first = self._versions.setdefault("", version)
        if (first.size, first.mark) == (version.size, version.mark):
            return None
        return Failure(ObjectChanged(f"{self._client.place.location} was exchanged between two reads; open it again"))

    def _nonsense(self, what: str) -> Failure:
        return Failure(StorageUnavailable(f"the server of {self._client.place.location} {what}"))

    def _less(self) -> Failure:
        message = f"the server of {self._client.place.location} sent less than it promised"
        return Failure(StorageUnavailable(message), transient=True)

    def _drain(self, stream: _Stream, position: int, out: memoryview) -> tuple[int, Failure | None]:
        """Read a stream into `out` from the object's `position` on, as far as either goes.

        Returns:
            How many bytes came, and why no more did where the stream had promised more.
        """
        came, failure, in_order = 0, None, False
        try:
            while failure is None and came < len(out) and stream.position < stream.end:
                skip = position - stream.position
                wanted = min(skip or len(out) - came, stream.end - stream.position)
                target = memoryview(bytearray(min(skip, _SKIP))) if skip else out[came:]
                size = self._client.read_into(stream.response, target[:wanted])
                if isinstance(size, Failure):
                    failure = size
                elif not size:
                    failure = self._less()
                else:
                    stream.position += size
                    if not skip:
                        came += size
                        position += size
            in_order = failure is None
        finally:
            # After an interrupt nobody knows where a stream stands.
            if in_order and stream.whole and stream.position < stream.end:
                self._keep(stream)
            else:
                finish(stream.response)
        return came, failure

    def _kept(self, position: int) -> _Stream | None:
        """Return a kept stream that will come to `position`, for the caller alone."""
        stream = self._pop()
        if stream is None or (stream.owner == os.getpid() and stream.position <= position):
            return stream
        self._drop(stream)
        return None

    def _keep(self, stream: _Stream) -> None:
        while (other := self._pop()) is not None:
            self._drop(other)
        self._streams.append(stream)
        if self._closed:
            self.close()

    def _pop(self) -> _Stream | None:
        try:
            return self._streams.pop()
        except IndexError:
            return None

    @staticmethod
    def _drop(stream: _Stream) -> None:
        if stream.owner == os.getpid():
            finish(stream.response)
        else:
            stream.response.close()  # this process's copy of the socket; the pool it came from is the parent's

    def close(self) -> None:
        """Let the object go."""
        self._closed = True
        while (stream := self._pop()) is not None:
            self._drop(stream)


def _actual_size(response: BaseHTTPResponse) -> int | None:
    """Return how long an object is that has no such range, where the answer says so: S3 does in its body."""
    matched = _UNSATISFIED_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if matched is not None:
        return int(matched[1])
    found = _ACTUAL_SIZE.search(excerpt(response))
    return int(found[1]) if found else None
