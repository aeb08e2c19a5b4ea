"""Sources whose credentials are renewed when they expire during a read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from connectors.errors import CredentialsExpired, ObjectChanged
from connectors.streams.sources import fill, fills_buffers, keeping_properties, streams_ranges
from connectors.system.locks import Flag, ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.streams.sources import ByteStream, Source

__all__ = ["renewed_source"]

T = TypeVar("T")


_RENEWALS = 3
"""Times in a row that credentials are renewed: those that another reader renewed may have expired too."""


class RenewedSource:
    """A source that continues with renewed credentials if its credentials expire during the read.

    Args:
        source: the object, with the first credentials.
        renew: returns the object with renewed credentials, or None if there are none.
    """

    def __init__(self, source: Source, renew: Callable[[], Source | None]) -> None:
        self._source = source
        self._renew = renew
        self._expired: list[Source] = []
        self._size: int | None = None
        self._lock = ForkSafeLock()

    @property
    def size(self) -> int:
        """The object's size in bytes, as the storage reports it."""
        if self._size is None:
            self._size = self._source.size
        return self._size

    def read_range(self, start: int, stop: int) -> bytes | memoryview:
        """Return the bytes from `start` to `stop`.

        Raises:
            CredentialsExpired: the credentials have expired, and there are no renewed ones.
            ObjectChanged: the renewed credentials find another object.
        """
        return self._renewing(lambda source: source.read_range(start, stop))

    def _renewing(self, read: Callable[[Source], T]) -> T:
        for _ in range(_RENEWALS):
            source = self._source
            try:
                return read(source)
            except CredentialsExpired as error:
                expired = error
            try:
                if not self.is_renewed(source):
                    raise expired
            finally:
                del expired  # else a reference cycle keeps the caller's buffer until it is collected
        return read(self._source)

    def is_renewed(self, expired: Source) -> bool:
        """Replace a source whose credentials have expired; return whether there are renewed ones.

        Raises:
            ObjectChanged: they find another object.
        """
        with self._lock.current:
            if self._source is not expired:
                return True  # by another thread
            renewed = self._renew()
            if renewed is None:
                return False
            try:
                differs = self._size is not None and renewed.size != self._size
            except BaseException:
                renewed.close()
                raise
            if differs:
                renewed.close()
                message = "the object was replaced while its credentials were being renewed; open it again"
                raise ObjectChanged(message)
            self._expired.append(expired)  # other threads may still be using it
            self._source = renewed
            return True

    @property
    def current(self) -> Source:
        """The source with the latest credentials."""
        return self._source

    @property
    def ignores_ranges(self) -> bool:
        """Whether the storage sends the whole object, whatever range is asked for."""
        return bool(getattr(self._source, "ignores_ranges", False))

    def properties(self) -> Mapping[str, str]:
        """Return what the storage keeps with the object. Raises as `KeepsProperties` and `read_range` do."""
        return self._renewing(lambda source: keeping_properties(source).properties())

    def read_beside(self, suffix: str, most: int) -> bytes:
        """Return the object beside this one. Raises as `KeepsProperties` and `read_range` do."""
        return self._renewing(lambda source: keeping_properties(source).read_beside(suffix, most))

    def close(self) -> None:
        """Close all sources."""
        for source in (*self._expired, self._source):
            source.close()


class RenewedFiller(RenewedSource):
    """A `RenewedSource` over a source that fills buffers."""

    def read_into(self, start: int, buffer: memoryview) -> int:
        """Read from `start` into `buffer`; return the number of bytes. The errors are those of `read_range`."""
        return self._renewing(lambda source: fill(source, start, buffer))


class RenewedStreamer(RenewedSource):
    """A `RenewedSource` over a source that streams ranges."""

    def open_stream(self, start: int, stop: int) -> RenewedStream:
        """Return the bytes from `start` to `stop` as a stream. The errors of reading it are those of `read_range`."""
        return RenewedStream(self, start, stop)


class RenewedStreamingFiller(RenewedStreamer, RenewedFiller):
    """A `RenewedSource` over a source that does both."""


class RenewedStream:
    """A stream that goes on where it is, with renewed credentials, if its credentials expire.

    Args:
        renewed: the source that it belongs to.
        start: the start of the range.
        stop: its end.
    """

    def __init__(self, renewed: RenewedSource, start: int, stop: int) -> None:
        self._renewed = renewed
        self._position = start
        self._stop = stop
        self._cancelled = Flag()
        self._source = renewed.current
        self._stream = self._opened()

    def _opened(self) -> ByteStream:
        # The renewed source may be of another kind.
        opens = self._source.open_stream if streams_ranges(self._source) else self._ranges
        return opens(self._position, self._stop)

    def _ranges(self, start: int, stop: int) -> ByteStream:
        return _Ranges(self._source, start, stop)

    def read_into(self, buffer: memoryview, /) -> int:
        """Read the next bytes into `buffer`; return their number.

        Raises:
            CredentialsExpired: the credentials have expired, and there are no renewed ones.
            ObjectChanged: the renewed credentials find another object.
        """
        for _ in range(_RENEWALS):
            try:
                size = self._stream.read_into(buffer)
            except CredentialsExpired as error:
                expired = error
            else:
                self._position += size
                return size
            try:
                if self._cancelled.is_set() or not self._renewed.is_renewed(self._source):
                    raise expired
            finally:
                del expired  # else a reference cycle keeps the caller's buffer until it is collected
            self._stream.close()
            self._source = self._renewed.current
            self._stream = self._opened()
            if self._cancelled.is_set():  # meanwhile: it may have been the stream before this one that was told
                self._stream.cancel()
        size = self._stream.read_into(buffer)
        self._position += size
        return size

    def cancel(self) -> None:
        """Wake a `read_into` that waits."""
        self._cancelled.set()
        self._stream.cancel()

    def close(self) -> None:
        """Release the connection."""
        self._stream.close()


class _Ranges:
    """A stream of a source that has none: each read is a request."""

    def __init__(self, source: Source, start: int, stop: int) -> None:
        self._source = source
        self._position = start
        self._stop = stop

    def read_into(self, buffer: memoryview, /) -> int:
        """Read the next bytes into `buffer`; return their number."""
        size = fill(self._source, self._position, buffer[: self._stop - self._position])
        self._position += size
        return size

    def cancel(self) -> None:
        """Do nothing: a request ends by itself."""

    def close(self) -> None:
        """Do nothing: there is no open connection."""


def renewed_source(source: Source, renew: Callable[[], Source | None]) -> RenewedSource:
    """Return a `RenewedSource` with the capabilities of `source`."""
    fills = fills_buffers(source)
    if streams_ranges(source):
        return (RenewedStreamingFiller if fills else RenewedStreamer)(source, renew)
    return (RenewedFiller if fills else RenewedSource)(source, renew)
