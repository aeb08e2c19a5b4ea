"""The contract of sources, sinks and the expiry of credentials."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from connectors.errors import ConnectorError, CredentialsExpired, ObjectExists
from connectors.storage.adapters import open_sink, open_source
from connectors.streams import FillsBuffers, RenewableSink, StreamsRanges
from connectors.testing.tools import CHUNK, MIB, Contract, can_create, can_replace, connect, plain, resolved

if TYPE_CHECKING:
    from connectors._fsspec import AbstractFileSystem
    from connectors.streams import ByteStream, Sink
    from connectors.testing.store import Store

__all__ = ["CapabilityContract"]

SIZE = 2 * MIB + 17
RANGES = [(0, 1), (0, SIZE), (CHUNK + 3, MIB), (SIZE - 5, SIZE), (SIZE - 5, SIZE + 100), (SIZE, SIZE + 10)]


def put(sink: Sink, data: bytes) -> None:
    """Write an object, or discard it on an error."""
    try:
        sink.write(memoryview(data))
        sink.commit()
    except BaseException:
        sink.discard()
        raise


def expired_sink(store: Store, name: str) -> tuple[AbstractFileSystem, RenewableSink] | None:
    """Return a renewable sink whose credentials have expired, and its filesystem; None if there is none."""
    expired = store.expired(name, write=True)
    if expired is None:
        return None
    fs, path = connect(expired)
    try:
        sink = open_sink(fs, path, exclusive=False)
    except CredentialsExpired:  # a renewable sink sends requests later
        return None
    if isinstance(sink, RenewableSink):
        return fs, sink
    sink.discard()
    return None


def _streamed(stream: ByteStream) -> bytes:
    """Return what is left of a stream."""
    buffer, data = memoryview(bytearray(CHUNK * 3)), bytearray()
    while size := stream.read_into(buffer):
        data += buffer[:size]
    return bytes(data)


class CapabilityContract(Contract):
    """The contract of sources, sinks and the expiry of credentials.

    Optional capabilities are tested if a source or sink declares them: see `FillsBuffers`, `StreamsRanges` and
    `RenewableSink`.
    """

    def test_short_reads_only_at_the_end_of_the_object(self, store: Store, name: str) -> None:
        store.put(name, data := plain(SIZE))
        with closing(open_source(*connect(store.connection(name)))) as source:
            assert source.size == SIZE
            for start, stop in RANGES:
                assert bytes(source.read_range(start, stop)) == data[start:stop]

    def test_a_source_fills_buffers_exactly(self, store: Store, name: str) -> None:
        store.put(name, data := plain(SIZE))
        with closing(open_source(*connect(store.connection(name)))) as source:
            if not isinstance(source, FillsBuffers):
                return
            for start, stop in RANGES:
                buffer = bytearray(stop - start)
                size = source.read_into(start, memoryview(buffer))
                assert bytes(buffer[:size]) == data[start:stop]

    def test_a_source_streams_ranges_exactly(self, store: Store, name: str) -> None:
        store.put(name, data := plain(SIZE))
        with closing(open_source(*connect(store.connection(name)))) as source:
            if not isinstance(source, StreamsRanges):
                return
            for start, stop in RANGES:
                with closing(source.open_stream(start, stop)) as stream:
                    assert _streamed(stream) == data[start:stop]

    def test_streams_of_one_source_are_independent(self, store: Store, name: str) -> None:
        store.put(name, data := plain(SIZE))
        with closing(open_source(*connect(store.connection(name)))) as source:
            if not isinstance(source, StreamsRanges):
                return
            with closing(source.open_stream(0, MIB)) as one, closing(source.open_stream(CHUNK, SIZE)) as other:
                head = bytearray(10)
                size = one.read_into(memoryview(head))
                assert _streamed(other) == data[CHUNK:]
                assert bytes(head[:size]) + _streamed(one) == data[:MIB]

    def test_a_cancelled_stream_gives_no_more(self, store: Store, name: str) -> None:
        store.put(name, plain(SIZE))
        with closing(open_source(*connect(store.connection(name)))) as source:
            if not isinstance(source, StreamsRanges):
                return
            for first in (0, 10):
                with closing(source.open_stream(0, SIZE)) as stream:
                    buffer = memoryview(bytearray(CHUNK))
                    if first:
                        stream.read_into(buffer[:first])
                    stream.cancel()
                    with suppress(ConnectorError):
                        assert stream.read_into(buffer) == 0
            assert bytes(source.read_range(0, 10)) == plain(SIZE)[:10]

    def test_an_exclusive_sink_replaces_nothing(self, store: Store, name: str) -> None:
        if not can_create(store.connection(name, write=True)):
            return
        store.put(name, b"what stood there")
        fs, path = connect(store.connection(name, write=True))
        with pytest.raises(ObjectExists):
            put(open_sink(fs, path, exclusive=True), b"other")
        assert store.get(name) == b"what stood there"
        assert store.unfinished() == []
        if can_replace(store.connection(name, write=True)):
            put(open_sink(fs, path, exclusive=False), b"other")
            assert store.get(name) == b"other"

    def test_exclusive_commit_keeps_an_object_created_meanwhile(self, store: Store, name: str) -> None:
        if not can_create(store.connection(name, write=True)):
            return
        fs, path = connect(store.connection(name, write=True))
        sink = open_sink(fs, path, exclusive=True)
        sink.write(memoryview(b"late"))
        store.put(name, b"first")
        with pytest.raises(ObjectExists):
            sink.commit()
        sink.discard()
        sink.discard()
        assert store.get(name) == b"first"
        assert store.unfinished() == []

    def test_renewable_sink_continues_with_renewed_credentials(self, store: Store, name: str) -> None:
        found = expired_sink(store, name)
        if found is None:
            return
        fs, sink = found
        asked = []

        def renew(before: AbstractFileSystem) -> AbstractFileSystem:
            asked.append(before)
            return connect(store.connection(name, write=True))[0]

        sink.renew_by(renew)
        put(sink, b"renewed")
        assert asked == [fs]
        assert store.get(name) == b"renewed"

    def test_a_renewable_sink_without_renewed_credentials_fails(self, store: Store, name: str) -> None:
        found = expired_sink(store, name)
        if found is None:
            return
        found[1].renew_by(lambda before: before)
        with pytest.raises(CredentialsExpired):
            put(found[1], b"x")
        assert store.get(name) is None

    def test_credentials_tell_when_they_expire(self, store: Store, name: str) -> None:
        now, expired = datetime.now(UTC), store.expired(name)
        given = [(store.connection(name), False), (store.connection(name, write=True), False)]
        for connection, over in [*given, (expired, True)] if expired else given:
            ends = resolved(connection)[1].expires_at
            assert ends is None or ends.utcoffset() == timedelta(0)
            if connection.expires:
                assert ends is not None
                assert (ends <= now) == over
