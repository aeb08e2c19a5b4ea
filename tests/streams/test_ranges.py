"""Ranges of plain bytes: neighbours share a request, long ones are cut, and what goes wrong stays with its object."""

from __future__ import annotations

import functools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interrupts import interrupted
from patience import PATIENCE, until
from sealing import CASES, COBBLESTONE, GCM, OTHER_KEY, TINK_1M, TINK_SMALL, Recorded, plain_bytes
from streamed import Streamed

from connectors.errors import IntegrityError, StorageUnavailable, WrongKey
from connectors.streams import SealedObject, read_ranges
from connectors.streams.object import MAX_RUN
from connectors.streams.ranges import MAX_GAP

CHUNK = 16384


def wanted(case, sealed, ranges):
    """Return an object's ranges as `read_ranges` takes them, and its source, which counts."""
    source = Recorded(sealed)
    return (functools.partial(SealedObject, source, case.codec()), ranges), source


@pytest.mark.parametrize("case", CASES, ids=str)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_ranges_are_those_of_slices(case, data):
    size = data.draw(st.integers(0, 3 * case.layout.chunk if case.layout.chunk < 1 << 20 else 1 << 20))
    plain = plain_bytes(size)
    bound = st.none() | st.integers(-size - 5, size + 5)
    ranges = data.draw(st.lists(st.tuples(bound, bound), max_size=8))
    gap = data.draw(st.sampled_from([0, 100, MAX_GAP]))
    one, source = wanted(case, case.seal(plain), ranges)
    assert read_ranges([one], gap) == [[plain[start:stop] for start, stop in ranges]]
    assert source.closed


def requests(ranges, *, gap=MAX_GAP, chunks=1000):
    """Return how many requests ranges take beyond the two that every object takes: its head and its end."""
    plain = plain_bytes(chunks * CHUNK)
    one, source = wanted(COBBLESTONE, COBBLESTONE.seal(plain), ranges)
    assert read_ranges([one], gap) == [[plain[start:stop] for start, stop in ranges]]
    return source.ranges[2:]


def test_neighbours_share_a_request_and_strangers_do_not():
    near = [(500 * CHUNK, 500 * CHUNK + 10), (500 * CHUNK + 50, 501 * CHUNK + 5), (503 * CHUNK, 503 * CHUNK + 1)]
    assert len(requests(near)) == 1
    assert len(requests(near, gap=0)) == 2
    assert len(requests([*near, (700 * CHUNK, 700 * CHUNK + 1)])) == 2


def test_a_small_range_takes_one_chunk():
    [(start, stop)] = requests([(500 * CHUNK + 7, 500 * CHUNK + 4103)])
    assert stop - start == CHUNK + 16


def test_a_range_that_is_asked_for_twice_is_read_once():
    assert len(requests([(500 * CHUNK, 501 * CHUNK)] * 3)) == 1


def test_long_ranges_are_several_requests_without_a_byte_twice():
    asked = sorted(requests([(100 * CHUNK, 900 * CHUNK)]))
    assert len(asked) == -(-800 * CHUNK // MAX_RUN)
    assert sum(stop - start for start, stop in asked) == 800 * (CHUNK + 16)


def test_an_object_in_the_head_takes_no_further_request():
    plain = plain_bytes(1000)
    one, source = wanted(COBBLESTONE, COBBLESTONE.seal(plain), [(0, 10), (-10, None)])
    assert read_ranges([one]) == [[plain[:10], plain[-10:]]]
    assert len(source.ranges) == 1


@pytest.mark.parametrize("case", [COBBLESTONE, TINK_SMALL, TINK_1M, GCM], ids=str)
def test_what_goes_wrong_with_one_object_leaves_the_others(case):
    plain = plain_bytes(200_000)
    sealed = case.seal(plain)
    broken = bytearray(sealed)
    broken[len(broken) // 2] ^= 1
    good, source = wanted(case, sealed, [(5, 10)])
    bad, other = wanted(case, bytes(broken), [(0, None)])
    stranger = (functools.partial(SealedObject, Recorded(sealed), case.codec(OTHER_KEY)), [(0, 1)])
    first, second, third = read_ranges([good, bad, stranger])
    assert first == [plain[5:10]]
    assert isinstance(second, IntegrityError)
    assert isinstance(third, (IntegrityError, WrongKey))
    assert source.closed
    assert other.closed


def test_a_storage_that_fails_late_is_an_error_of_its_object():
    def fail(start, count, data):
        if count > 2:
            message = "the storage is gone"
            raise StorageUnavailable(message)
        return data

    source = Recorded(COBBLESTONE.seal(plain_bytes(100 * CHUNK)), change=fail)
    outcome = read_ranges([(functools.partial(SealedObject, source, COBBLESTONE.codec(), name="input/x"), [(0, None)])])
    assert isinstance(outcome[0], StorageUnavailable)
    assert str(outcome[0]) == "input/x: the storage is gone"
    assert source.closed


def test_ranges_that_are_none_leave_the_object_closed():
    plain = plain_bytes(100 * CHUNK)
    for count in (1, 2):
        bad = [wanted(COBBLESTONE, COBBLESTONE.seal(plain), [("0", 5)]) for _ in range(count)]
        assert [type(one) for one in read_ranges([one for one, _ in bad])] == [TypeError] * count
        assert all(source.closed for _, source in bad)


class Silent(Recorded):
    """A source of ranges, which from the third one on come only when told."""

    def __init__(self, data):
        super().__init__(data)
        self.blocked, self.go = threading.Event(), threading.Event()
        self.reading = self.closed_while_read = 0

    def read_range(self, start, stop):
        self.reading += 1
        if len(self.ranges) >= 2:
            self.blocked.set()
            assert self.go.wait(PATIENCE)
        data = super().read_range(start, stop)
        self.reading -= 1
        return data

    def close(self):
        self.closed_while_read += self.reading
        super().close()


def all_of(events):
    """Return a function that waits for all events."""
    return lambda: until(lambda: all(one.is_set() for one in events), "everything waits")


@pytest.mark.parametrize("ranges", [[(0, 10), (50 * CHUNK, -10)], [(50 * CHUNK, 50 * CHUNK + 10)]], ids=["two", "one"])
@pytest.mark.parametrize("count", [1, 3])
def test_an_interrupt_ends_streams_that_wait_and_closes_every_object(count, ranges):
    sealed = COBBLESTONE.seal(plain_bytes(100 * CHUNK))
    sources = [Streamed(sealed) for _ in range(count)]
    objects = [(functools.partial(SealedObject, source, COBBLESTONE.codec()), ranges) for source in sources]
    codec = COBBLESTONE.codec()
    start, _ = codec.decryptor(sealed[: codec.head_size], len(sealed)).sealed_span(50, 1)
    for source in sources:
        source.blocks_at = start
    with interrupted(all_of([source.blocked for source in sources])):
        read_ranges(objects)
    for source in sources:
        until(lambda source=source: source.closed, "the object is closed")
        assert not source.unclosed
        assert not source.wrong


def test_an_interrupt_waits_for_no_range_and_the_last_one_closes_its_object():
    sources = [Silent(COBBLESTONE.seal(plain_bytes(100 * CHUNK))) for _ in range(2)]
    with interrupted(all_of([source.blocked for source in sources])):
        read_ranges([(functools.partial(SealedObject, one, COBBLESTONE.codec()), [(0, -1)]) for one in sources])
    assert [source.closed for source in sources] == [False, False]
    for source in sources:
        source.go.set()
        until(lambda source=source: source.closed, "the object is closed")
        assert not source.closed_while_read
