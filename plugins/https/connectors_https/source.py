"""Reads the object at a URL by ranges, all of them from the same version of the object."""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from connectors.errors import ObjectChanged, StorageUnavailable
from connectors_https.client import RetryPolicy, finish, known_headers
from connectors_https.error_mapping import Failure, excerpt

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from connectors_https.client import Client

__all__ = ["PresignedSource"]

_KNOWN_HEADERS = {
    "accept-encoding": "identity",
    "x-amz-checksum-mode": "ENABLED",  # the only value that S3 knows
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
}
"""Headers that a signature may cover besides the host, with the values that were presumably signed."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII | re.IGNORECASE)
_UNSATISFIED_RANGE = re.compile(r"bytes \*/([0-9]{1,18})", re.ASCII | re.IGNORECASE)
_ACTUAL_SIZE = re.compile(rb"<ActualObjectSize>([0-9]{1,18})</ActualObjectSize>")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]{1,1000}"')
_SKIP = 1 << 18
"""Bytes discarded at once on the way to the requested range in a response without ranges."""
_ANSWERS = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of an object from another.

    Attributes:
        size: the size in bytes.
        validator: the ETag, or else the Last-Modified header, or an empty string.
        etag: the ETag if it is a strong one, which If-Match takes, or None.
        modified: the Last-Modified header, or an empty string.
    """

    size: int
    validator: str
    etag: str | None
    modified: str

    @classmethod
    def of(cls, size: int, response: BaseHTTPResponse) -> Version:
        """Return the version in a response."""
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        return cls(size, etag or modified, etag if _STRONG_ETAG.fullmatch(etag) else None, modified)


@dataclass(slots=True)
class _Stream:
    """An open response.

    Attributes:
        response: the response, its body read up to `position`.
        position: the position of its next byte in the object.
        end: the position after its last byte in the object, according to its headers.
        whole: whether it is the whole object instead of the requested range; it is kept for the next range.
        owner: the process that owns its connection.
    """

    response: BaseHTTPResponse
    position: int
    end: int
    whole: bool = False
    owner: int = field(default_factory=os.getpid)


class PresignedSource:
    """The bytes of one object at a URL, by ranges.

    The first response gives the object's size and version, and every later one must have the same. HEAD is never
    used, because a URL that was signed for GET does not allow it. A server that ignores ranges is read sequentially,
    and again from the start for a read backwards. Safe in threads and in a forked child.

    Args:
        client: the object's client.

    Raises:
        NotSupported: the signature covers headers whose values are not known here.
        CredentialsExpired: the query has expired.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._closed = False
        # At most one version and one stream. Their operations are atomic, so no lock is needed that a fork could
        # leave held.
        self._versions: dict[str, Version] = {}
        self._streams: deque[_Stream] = deque()
        self._headers = known_headers(client, _KNOWN_HEADERS)
        client.check_expiry()

    @property
    def size(self) -> int:
        """The object's size in bytes according to the server; sends a request before the first read."""
        return self.version().size

    def version(self) -> Version:
        """Return the object's version; sends a request before the first read.

        Raises:
            StorageError: as `read_range` does.
        """
        retry_policy = RetryPolicy(self._client.limits)
        while (version := self._known()) is None:
            stream = self._ask(0, 1)
            if isinstance(stream, Failure):
                retry_policy.wait_or_raise(stream)
            elif stream is not None and stream.whole:
                self._keep(stream)
            elif stream is not None:
                self._drain(stream, 0, memoryview(bytearray(1)))
        return version

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`, or fewer if the object ends before `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired: the server refuses the read.
            ObjectChanged: the object was replaced since the first read.
            StorageUnavailable: the server cannot be reached, or sends invalid responses, even after retries.
        """
        size, out = self._read(start, stop, None)
        return out[:size]

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Read the bytes from `start` on into `buffer`; return how many: fewer only at the object's end.

        Raises:
            StorageError: as `read_range` does.
        """
        return self._read(start, start + len(buffer), buffer)[0]

    def _read(self, start: int, stop: int, out: memoryview | None) -> tuple[int, memoryview]:
        """Read a range into `out`, or into a new buffer as soon as the range's size is known."""
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
                    out = memoryview(bytearray(max(0, self._end(stop) - start)))  # the object may end before `start`
                came, failure = self._drain(stream, position, out[position - start :])
                position += came
                retry_policy.received(came)
                if position < self._end(stop):
                    retry_policy.wait_or_raise(failure or self._incomplete())
        return max(0, position - start), memoryview(b"") if out is None else out

    def _known(self) -> Version | None:
        return self._versions.get("")

    def _end(self, stop: int) -> int:
        """Return `stop`, or the object's end if that is known to be before it."""
        version = self._known()
        return stop if version is None else min(stop, version.size)

    def _ask(self, position: int, stop: int | None) -> _Stream | Failure | None:
        """Request a range, or the whole object if `stop` is None.

        Returns:
            The open response; or None if there is no byte at `position`, in which case the version is known now.
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
        stream: _Stream | Failure | None = None
        try:
            stream = self._take(response, position, stop)
        finally:
            if not isinstance(stream, _Stream):
                finish(response)
        return stream

    def _take(self, response: BaseHTTPResponse, position: int, stop: int | None) -> _Stream | Failure | None:
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return self._beyond(response, position, stop)
        # A query can have the storage send any Content-Encoding, which does not change the bytes.
        renamed = self._client.signature.renames_encoding
        if not renamed and response.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
            return self._invalid("sends the object in a content encoding that was not requested; store it without one")
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            if position == response.length_remaining == 0 and stop is not None and self._known() is None:
                # A part without bytes, perhaps of an empty object: Azurite's "bytes 0--1/0" is not a valid range.
                return self._ask(0, None)
            return self._partial(response, position, stop)
        return self._whole(response)

    def _partial(self, response: BaseHTTPResponse, position: int, stop: int | None) -> _Stream | Failure:
        """Return the stream of a 206 response if it is the requested range or its start."""
        matched = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if matched is None or stop is None:
            return self._invalid("sends a part of the object without saying which")
        first, last, size = (int(number) for number in matched.groups())
        length = response.length_remaining
        if first != position or not first <= last < min(stop, size) or length not in (None, last - first + 1):
            return self._invalid("sends another part of the object than was requested")
        return self._check_version(Version.of(size, response)) or _Stream(response, first, last + 1)

    def _whole(self, response: BaseHTTPResponse) -> _Stream | Failure:
        """Return the stream of a 200 response: the server ignores ranges, or none was requested."""
        size = response.length_remaining
        if size is None:
            return self._invalid("neither supports ranges nor sends the object's size")
        return self._check_version(Version.of(size, response)) or _Stream(response, 0, size, whole=True)

    def _beyond(self, response: BaseHTTPResponse, position: int, stop: int | None) -> _Stream | Failure | None:
        """Handle a 416 response: there is no byte at `position`."""
        if self._known() is not None:
            message = f"{self._client.place.location} became shorter while it was being read; open it again"
            return Failure(ObjectChanged(message))
        if stop is None:
            return self._invalid("refuses a range although none was requested")
        if position > 0:
            # Only a response with bytes in it tells the size and the version.
            self.version()
            return None
        if _actual_size(response) == 0:
            return self._check_version(Version(0, "", None, ""))
        return self._ask(0, None)

    def _check_version(self, version: Version) -> Failure | None:
        """Return a failure if this is not the version of the first response."""
        first = self._versions.setdefault("", version)
        if (first.size, first.validator) == (version.size, version.validator):
            return None
        message = f"{self._client.place.location} was replaced while it was being read; open it again"
        return Failure(ObjectChanged(message))

    def _invalid(self, what: str) -> Failure:
        return Failure(StorageUnavailable(f"the server of {self._client.place.location} {what}"))

    def _incomplete(self) -> Failure:
        message = f"the server of {self._client.place.location} sent an incomplete response"
        return Failure(StorageUnavailable(message), transient=True)

    def _drain(self, stream: _Stream, position: int, out: memoryview) -> tuple[int, Failure | None]:
        """Read a stream into `out` from the object's `position` on, until either ends.

        Returns:
            How many bytes came, and the failure if the stream ended early.
        """
        came, failure, intact = 0, None, False
        try:
            while failure is None and came < len(out) and stream.position < stream.end:
                skip = position - stream.position
                wanted = min(skip or len(out) - came, stream.end - stream.position)
                target = memoryview(bytearray(min(skip, _SKIP))) if skip else out[came:]
                size = self._client.read_into(stream.response, target[:wanted])
                if isinstance(size, Failure):
                    failure = size
                elif not size:
                    failure = self._incomplete()
                else:
                    stream.position += size
                    if not skip:
                        came += size
                        position += size
            intact = failure is None
        finally:
            # After an interrupt, the stream's position is unknown.
            if intact and stream.whole and stream.position < stream.end:
                self._keep(stream)
            else:
                finish(stream.response)
        return came, failure

    def _kept(self, position: int) -> _Stream | None:
        """Return the kept stream, which is then the caller's alone, if it has yet to reach `position`."""
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
            stream.response.close()  # this process's copy of the socket; the pool belongs to the parent

    def close(self) -> None:
        """Close the kept stream; nothing can be read any more."""
        self._closed = True
        while (stream := self._pop()) is not None:
            self._drop(stream)


def _actual_size(response: BaseHTTPResponse) -> int | None:
    """Return the object's size if a 416 response gives it; S3 does so in the body."""
    matched = _UNSATISFIED_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if matched is not None:
        return int(matched[1])
    found = _ACTUAL_SIZE.search(excerpt(response))
    return int(found[1]) if found else None
