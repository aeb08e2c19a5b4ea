"""Reads an object's bytes by ranges and in streams, all of them from the version that was read first."""

from __future__ import annotations

import contextlib
import re
import weakref
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING

from connectors.errors import NotSupported, ObjectChanged, StorageUnavailable
from connectors.storage.body import Body
from connectors.storage.http.client import BROKEN
from connectors.storage.http.failures import Failure
from connectors.storage.version import Version
from connectors.streams.sources import no_properties
from connectors.system.locks import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage.http.connection import Connection
    from connectors.storage.http.messages import Response
    from connectors.storage.store import ObjectStore

__all__ = ["RangedSource", "RangedStream"]

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII | re.IGNORECASE)
_PIECE = 1 << 18
"""Bytes of a response that are read from the socket at once: the most that a broken connection loses."""
_ANSWERS = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})


class RangedSource:
    """One object in the version of its first response; replacing it later is an error.

    HEAD is never used: a URL signed for GET does not allow it. A server that ignores ranges is read in order, and again
    from the start for a read backwards. Safe in threads, and in a forked child.

    Args:
        store: the object's store.
        path: the object's path.

    Attributes:
        ignores_ranges: whether the store has sent the whole object in place of a range.
    """

    def __init__(self, store: ObjectStore, path: str) -> None:
        self.store = store
        self.path = path
        self._closed = False
        self.ignores_ranges = False
        # At most one version, and one response of a server that ignores ranges. Their operations are atomic: no lock
        # that a fork could leave held.
        self._versions: dict[str, Version] = {}
        self._kept: deque[Body] = deque()
        weakref.finalize(self, _drop, self._kept)

    @property
    def size(self) -> int:
        """The object's size in bytes according to the store; sends a request before the first read."""
        return self.version().size

    def version(self) -> Version:
        """Return the object's version; sends a request before the first read.

        Raises:
            StorageError: as `read_range` does.
        """
        version = self.known()
        if version is None:
            stream = self.open_stream(0, 1)
            try:
                version = stream.begin()
                if not stream.has_whole:
                    stream.fill(memoryview(bytearray(1)))  # so that the connection can be used again
            finally:
                stream.close()
        return version

    def read_range(self, start: int, stop: int) -> memoryview:
        """Return the bytes from `start` to `stop`, or fewer if the object ends before `stop`.

        Raises:
            ObjectNotFound, AccessDenied, CredentialsExpired: the store refuses the read.
            ObjectChanged: the object was replaced since the first read.
            StorageUnavailable: the store cannot be reached, or sends invalid responses, even after retries.
        """
        stream = self.open_stream(start, stop)
        try:
            size = stream.begin().size if start < stop else 0
            out = memoryview(bytearray(max(0, min(stop, size) - start)))  # the object may end before `start`
            return out[: stream.fill(out)]
        finally:
            stream.close()

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Read the bytes from `start` on into `buffer`; return how many: fewer only at the object's end.

        Raises:
            StorageError: as `read_range` does.
        """
        stream = self.open_stream(start, start + len(buffer))
        try:
            return stream.fill(buffer)
        finally:
            stream.close()

    def properties(self) -> Mapping[str, str]:
        """Return what the store keeps with the object; see `KeepsProperties`."""
        properties = self.version().properties
        if properties is None:
            raise no_properties()
        return properties

    def read_beside(self, suffix: str, most: int) -> bytes:
        """Return the object beside this one; see `KeepsProperties`."""
        beside = RangedSource(self.store, self.path + suffix)
        try:
            data = beside.read_range(0, most + 1)
        finally:
            beside.close()
        if len(data) > most:
            message = f"{self.store.shown(beside.path)} has more than {most} bytes; it is not what it should be"
            raise NotSupported(message)
        return bytes(data)

    def open_stream(self, start: int, stop: int) -> RangedStream:
        """Return a stream of the bytes from `start` to `stop`: one request, however long it is; makes none yet."""
        if self._closed:
            message = "I/O operation on closed file"
            raise ValueError(message)
        return RangedStream(self, start, stop)

    def known(self) -> Version | None:
        """Return the version of the first response, or None before it."""
        return self._versions.get("")

    def ask(self, position: int, stop: int | None, busy: deque[Connection] | None = None) -> Body | Failure | None:
        """Request a range, or the whole object if `stop` is None.

        Returns:
            The open response; or None if there is no byte at `position`, in which case the version is known now.
        """
        if stop is not None and (kept := self._take(position)) is not None:
            return kept
        version = self.known()
        if version is not None and stop is not None:
            stop = min(stop, version.size)
        span = None if stop is None else f"bytes={position}-{stop - 1}"
        request = self.store.read_request(self.path, span, version.validator if version else None)
        response = self.store.send(request, self.path, "read", accept=_ANSWERS, busy=busy)
        if isinstance(response, Failure):
            return response
        body: Body | Failure | None = None
        try:
            body = self._body(response, position, stop)
        finally:
            if not isinstance(body, Body) or body.response is not response:
                response.close()
        return body

    def _body(self, response: Response, position: int, stop: int | None) -> Body | Failure | None:
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return self._beyond(position, stop)
        if self.store.changes_bytes(response.headers):
            return self._invalid("sends a content encoding that was not requested; store the object without one,")
        if response.status == HTTPStatus.OK:
            return self._whole(response, ranged=stop is not None)
        return self._part(response, position, stop)

    def _whole(self, response: Response, *, ranged: bool) -> Body | Failure:
        """Return the body of a 200 response: the server ignores ranges, or none was requested."""
        size = response.length
        self.ignores_ranges = self.ignores_ranges or ranged
        if size is None:
            return self._invalid("neither supports ranges nor sends the size")
        return self._pinned(response, size) or Body(response, 0, size, whole=True)

    def _part(self, response: Response, position: int, stop: int | None) -> Body | Failure | None:
        """Return the body of a 206 response, if it is the requested range or its start."""
        if response.length == 0 and stop is not None and self.known() is None:
            # A part without bytes, at the end of the object: Azurite's "bytes 0--1/0" is not a valid range.
            return self._beyond(position, stop)
        matched = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if matched is None or stop is None:
            return self._invalid("sent a part without saying which")
        first, last, size = map(int, matched.groups())
        # A shorter part is allowed if it has the start of the range: the rest is requested then.
        if first != position or not first <= last < min(stop, size) or response.length not in (None, last - first + 1):
            return self._invalid("sent another range than was requested")
        return self._pinned(response, size) or Body(response, first, last + 1, whole=False)

    def _beyond(self, position: int, stop: int | None) -> Body | Failure | None:
        """Handle status 416: there is no byte at `position`."""
        if self.known() is not None:
            message = f"{self.store.shown(self.path)} became shorter while it was being read; open it again"
            return Failure(ObjectChanged(message))
        if stop is None:
            return self._invalid("refuses a range although none was requested,")
        if position > 0:
            self.version()  # only a response with bytes in it tells the size and the version
            return None
        return self.ask(0, None)  # an empty object has no range at all

    def _pinned(self, response: Response, size: int) -> Failure | None:
        """Return a failure if a response is not about the version of the first one."""
        validator = self.store.validator(response.headers)
        if validator is None:
            return self._invalid("sent no version")
        properties = self.store.properties(response.headers)
        version = Version(size, validator, response.headers.get("Last-Modified", ""), properties)
        first = self._versions.setdefault("", version)
        if (first.size, first.validator) == (size, validator):
            return None
        message = f"{self.store.shown(self.path)} was replaced while it was being read; open it again"
        return Failure(ObjectChanged(message))

    def _invalid(self, what: str) -> Failure:
        return Failure(self.store.invalid(self.path, what))

    def _take(self, position: int) -> Body | None:
        """Return the kept response, which is then the caller's alone, if it has yet to reach `position`."""
        try:
            body = self._kept.pop()
        except IndexError:
            return None
        if body.response.owned and body.position <= position:
            return body
        body.response.close()
        return None

    def keep(self, body: Body) -> None:
        """Keep a response with the whole object for the next range."""
        _drop(self._kept)
        self._kept.append(body)
        if self._closed:
            _drop(self._kept)

    def close(self) -> None:
        """End the source; nothing can be read any more."""
        self._closed = True
        _drop(self._kept)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.store.shown(self.path)}>"


def _drop(kept: deque[Body]) -> None:
    """End the kept responses."""
    with contextlib.suppress(IndexError):  # another thread may take one
        while kept:
            kept.pop().response.close()


class RangedStream:
    """A range of an object, read in pieces. A response that breaks off is resumed where it stopped.

    Args:
        source: the object.
        start: the start of the range.
        stop: its end, unless the object ends before.

    Attributes:
        position: the offset of the next byte.
    """

    def __init__(self, source: RangedSource, start: int, stop: int) -> None:
        self._source = source
        self.position = start
        self._stop = stop
        self._body: Body | None = None
        self._policy = source.store.retry_policy()
        self._cancelled = Flag()
        self._busy: deque[Connection] = deque()
        self._ended: Failure | None = None

    @property
    def has_whole(self) -> bool:
        """Whether the open response is the whole object, because the server ignores ranges."""
        return self._body is not None and self._body.whole

    def begin(self) -> Version:
        """Wait for the response, unless there is one or there is no byte in the range; return the object's version.

        Raises:
            StorageError: as `RangedSource.read_range` does.
        """
        while True:
            version = self._source.known()
            if version is not None and (self._body is not None or self.position >= min(self._stop, version.size)):
                return version
            self._check_cancelled()
            if self._ended is not None:
                ended, self._ended = self._ended, None
                self._wait(ended)
            body = self._source.ask(self.position, self._stop, self._busy)
            if isinstance(body, Failure):
                self._wait(body)
            elif body is not None:
                self._body = body
                self._check_cancelled()  # `cancel` may have come before there was anything to cancel

    def read_into(self, buffer: memoryview) -> int:
        """Read the next bytes into `buffer` and return how many: 0 only at the end of the range or the object.

        Raises:
            StorageError: as `RangedSource.read_range` does; StorageUnavailable also after `cancel`.
        """
        while True:
            size = self.begin().size
            wanted = min(self._stop, size) - self.position
            if wanted <= 0 or not len(buffer):
                return 0
            received = self._receive(buffer[: min(wanted, _PIECE)])
            self.position += received
            self._policy.received(received)
            if received:
                return received

    def fill(self, buffer: memoryview) -> int:
        """Read until `buffer` is full or the range ends; return the number of bytes. Raises as `read_into` does."""
        received = 0
        while received < len(buffer) and (size := self.read_into(buffer[received:])):
            received += size
        return received

    def _receive(self, buffer: memoryview) -> int:
        """Read once from the open response, and return how many bytes came; the response is ended with its last."""
        body = self._body
        if body is None:
            return 0
        received = 0
        try:
            while body.position < self.position:  # on the way to the range in a response with the whole object
                skipped = body.response.readinto(memoryview(bytearray(min(_PIECE, self.position - body.position))))
                if not skipped:
                    break
                body.position += skipped
            if body.position == self.position:
                received = body.response.readinto(buffer[: body.end - body.position])
        except BROKEN as error:
            store = self._source.store
            self._ended = store.located(store.client.broken(error, body.response.origin), self._source.path)
            self._end()
            return 0
        except BaseException:
            self._end()  # the position in the response is unknown
            raise
        self._check_cancelled()  # what arrives after the end of the connection may be anything
        body.position += received
        if not received or body.position == body.end:
            self._ended = Failure(
                self._source.store.invalid(self._source.path, "sent an incomplete response"), transient=True
            )
            self._end()
        return received

    def _end(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.response.close()

    def _wait(self, failure: Failure) -> None:
        """Wait before the next request, unless the stream is cancelled meanwhile.

        Raises:
            ConnectorError: the failure is final, or the attempts are used up.
        """
        if not failure.transient:
            raise failure.error
        self._policy.wait(failure.error, failure.pause, self._cancelled.wait)
        self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            message = f"the read of {self._source.store.shown(self._source.path)} was cancelled"
            raise StorageUnavailable(message)

    def cancel(self) -> None:
        """End the stream from any thread: a `read_into` that waits fails at once."""
        self._cancelled.set()
        with contextlib.suppress(IndexError):  # no request is waiting
            self._busy.pop().interrupt()
        body = self._body
        if body is not None:
            body.response.cancel()

    def close(self) -> None:
        """End the stream; call it in the thread that reads, or when none does."""
        body = self._body
        if body is not None and body.whole and body.position < body.end and not self._cancelled.is_set():
            self._body = None
            self._source.keep(body)
        self._end()
