"""Streams of which the credentials expire: they go on where they are, with renewed ones."""

from __future__ import annotations

import threading

import pytest
from patience import until
from sealing import COBBLESTONE, Recorded, plain_bytes, reading
from streamed import Streamed

from connectors.errors import CredentialsExpired, ObjectChanged, StorageUnavailable
from connectors.storage.renewal import renewed_source
from connectors.streams import FillsBuffers, StreamsRanges

MIB = 1 << 20
PLAIN = plain_bytes(24 * MIB)


@pytest.fixture(scope="module")
def sealed():
    return COBBLESTONE.seal(PLAIN)


def expiring(sealed, at):
    source = Streamed(sealed, piece=100_000)
    source.fails[at] = CredentialsExpired("the token has expired")
    return source


def test_capabilities_are_those_of_the_first_source():
    class Filler(Streamed):
        def read_into(self, start, buffer):
            raise NotImplementedError

    for source in (Streamed(b""), Filler(b""), Recorded(b"")):
        renewed = renewed_source(source, lambda: None)
        assert isinstance(renewed, StreamsRanges) == isinstance(source, StreamsRanges)
        assert isinstance(renewed, FillsBuffers) == isinstance(source, FillsBuffers)


def test_stream_continues_where_its_credentials_expired(sealed):
    sources = [expiring(sealed, at) for at in (5 * MIB, 9 * MIB, 15 * MIB)] + [Streamed(sealed)]
    left = iter(sources[1:])
    with reading(COBBLESTONE, renewed_source(sources[0], lambda: next(left))) as file:
        came = bytearray()
        while piece := file.read(300_000):
            came += piece
    assert came == PLAIN
    starts = [stream.start for source in sources[1:] for stream in source.streams[:1]]
    assert starts == [5 * MIB, 9 * MIB, 15 * MIB]
    assert all(source.closed for source in sources)
    for source in sources:
        until(lambda source=source: not source.unclosed, "every stream is closed")
        assert not source.wrong


def test_renewed_source_without_streams_is_read_by_ranges(sealed):
    source, renewed = expiring(sealed, 9 * MIB), Recorded(sealed)
    with reading(COBBLESTONE, renewed_source(source, lambda: renewed)) as file:
        assert file.read(MIB) + file.readall() == PLAIN
    assert renewed.ranges[0][0] == 9 * MIB


def test_another_object_is_an_error(sealed):
    other = Streamed(sealed + b"!")
    file = reading(COBBLESTONE, renewed_source(expiring(sealed, 9 * MIB), lambda: other))
    with pytest.raises(ObjectChanged, match="while its credentials were being renewed"):
        file.readall()
    assert other.closed
    file.close()


def test_expiry_is_an_error_without_renewed_credentials(sealed):
    with reading(COBBLESTONE, renewed_source(expiring(sealed, 9 * MIB), lambda: None)) as file:
        file.read(MIB)
        with pytest.raises(CredentialsExpired, match="the token has expired"):
            file.readall()


def test_cancel_reaches_the_renewed_stream(sealed):
    second = Streamed(sealed)
    second.blocks_at = MIB
    stream = renewed_source(expiring(sealed, MIB // 2), lambda: second).open_stream(0, 2 * MIB)
    outcome = []

    def read():
        try:
            while stream.read_into(memoryview(bytearray(100_000))):
                pass
        except StorageUnavailable as error:
            outcome.append(error)
        stream.close()

    thread = threading.Thread(target=read)
    thread.start()
    until(second.blocked.is_set, "the renewed stream waits")
    stream.cancel()
    thread.join()
    assert len(outcome) == 1
    assert second.unclosed == 0


def test_cancel_during_renewal_cancels_the_stream_that_follows(sealed):
    def renew():
        stream.cancel()
        return Streamed(sealed)

    stream = renewed_source(expiring(sealed, 0), renew).open_stream(0, MIB)
    with pytest.raises(StorageUnavailable, match="cancelled"):
        stream.read_into(memoryview(bytearray(10)))


def test_cancelled_stream_asks_for_no_renewal(sealed):
    stream = renewed_source(expiring(sealed, 0), lambda: pytest.fail("renewed")).open_stream(0, MIB)
    stream.cancel()
    with pytest.raises(CredentialsExpired):
        stream.read_into(memoryview(bytearray(10)))
