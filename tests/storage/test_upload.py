"""Parts on their way: in order, not too many of them, and none of them left on its way by whoever gives up."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest
from patience import PATIENCE

from connectors.errors import StorageUnavailable
from connectors.storage.upload import AT_ONCE, HELD, PartsInFlight

MIB = 1 << 20


class Road:
    """What parts travel on: it tells who is on it, and holds parts up until they may go on."""

    def __init__(self):
        self.go = threading.Event()
        self.sent = []
        self.most = self.most_bytes = 0
        self._on_it = {}
        self._changed = threading.Condition()

    def send(self, number, part):
        with self._changed:
            self.sent.append(number)
            self._on_it[number] = len(part.tobytes())
            self.most = max(self.most, len(self._on_it))
            self.most_bytes = max(self.most_bytes, self.bytes)
            self._changed.notify_all()
        assert self.go.wait(PATIENCE)
        with self._changed:
            del self._on_it[number]
        return f"answer {number}"

    @property
    def bytes(self):
        return sum(self._on_it.values())

    def wait_for(self, count):
        """Wait until so many parts have been begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.sent) >= count, PATIENCE)


@pytest.fixture
def road():
    road = Road()
    yield road
    road.go.set()


def part(size=1):
    return memoryview(bytes(size))


def threads(prefix="connectors-parts"):
    return [thread for thread in threading.enumerate() if thread.name.startswith(prefix)]


def in_thread(work, *args):
    thread = threading.Thread(target=work, args=args)
    thread.start()
    return thread


def test_answers_are_in_order_whatever_order_the_parts_arrive_in():
    arrived = [threading.Event() for _ in range(5)]
    order = []

    def send(number, data):
        if number < 4:  # each of the first waits for the one after it
            assert arrived[number + 1].wait(PATIENCE)
        order.append(number)
        arrived[number].set()
        return number, data.tobytes()

    parts = PartsInFlight(send)
    for number in range(1, 5):
        parts.put(memoryview(b"%d" % number))
    assert parts.finish() == [(number, b"%d" % number) for number in range(1, 5)]
    assert order == [4, 3, 2, 1]
    assert len(parts) == 4


def test_as_many_parts_as_allowed_travel_at_once_and_no_more(road):
    parts = PartsInFlight(road.send)
    caller = in_thread(lambda: [parts.put(part()) for _ in range(20)])
    road.wait_for(AT_ONCE)
    road.go.set()
    caller.join(PATIENCE)
    assert parts.finish() == [f"answer {number}" for number in range(1, 21)]
    assert road.most == AT_ONCE


def test_the_caller_goes_on_while_its_parts_travel(road):
    parts = PartsInFlight(road.send)
    for _ in range(AT_ONCE):
        parts.put(part())
    road.wait_for(AT_ONCE)
    road.go.set()
    parts.finish()


def test_where_there_are_no_parts_there_are_no_threads():
    before = threads()
    parts = PartsInFlight(lambda number, _: number)
    assert parts.finish() == []
    parts.abandon()
    assert threads() == before


@pytest.mark.parametrize(
    ("size", "at_once"), [(8 * MIB, 4), (16 * MIB, 4), (32 * MIB, 2), (33 * MIB, 1), (90 * MIB, 1)]
)
def test_large_parts_are_fewer_at_once_so_that_memory_is_bounded(road, size, at_once):
    road.go.set()
    parts = PartsInFlight(road.send)
    for _ in range(6):
        parts.put(part(size), following=size)
        # What has not been taken in yet may travel still, while the next one is filled.
        travelling = sum(size for _, size in parts._travelling.values())
        assert travelling + size <= max(HELD, size)
    parts.finish()
    assert road.most <= at_once
    assert road.most_bytes <= max(HELD, size)


@pytest.mark.parametrize(("size", "following"), [(11, 11), (2, 9), (10, 1)])
def test_a_part_that_leaves_no_room_has_arrived_when_the_next_is_filled(road, size, following):
    parts = PartsInFlight(road.send, held=10)
    returned = threading.Event()
    caller = in_thread(lambda: (parts.put(part(size), following), returned.set()))
    road.wait_for(1)
    assert not returned.is_set()
    road.go.set()
    caller.join(PATIENCE)
    assert returned.is_set()
    assert parts.finish() == ["answer 1"]


def failing(road, number):
    """Return a `send` that fails for one part, while the others are held up."""

    def send(which, data):
        if which == number:
            with road._changed:
                road.sent.append(which)
            raise LookupError(f"part {which}")
        return road.send(which, data)

    return send


def test_first_failure_is_raised_by_the_next_call_and_stops_later_parts(road):
    parts = PartsInFlight(failing(road, 2))
    with pytest.raises(LookupError, match="^part 2$") as caught:
        for _ in range(10):
            parts.put(part())
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    begun = list(road.sent)
    assert set(begun) <= {1, 2, 3, 4, 5}
    with pytest.raises(LookupError, match="part 2"):
        parts.put(part())
    with pytest.raises(LookupError, match="part 2"):
        parts.finish()
    road.go.set()
    parts.abandon()
    assert road.sent == begun


def test_a_failure_of_the_last_part_is_raised_by_finish(road):
    road.go.set()
    parts = PartsInFlight(failing(road, 3))
    for _ in range(3):
        parts.put(part())
    with pytest.raises(LookupError, match="part 3"):
        parts.finish()
    parts.abandon()


def test_who_abandons_waits_for_what_travels_and_then_does_the_rest_once(road):
    parts = PartsInFlight(road.send)
    for _ in range(3):
        parts.put(part())
    road.wait_for(3)
    seen = []
    caller = in_thread(parts.abandon, lambda: seen.append(road.bytes))
    assert seen == []
    road.go.set()
    caller.join(PATIENCE)
    assert seen == [0]
    parts.abandon(lambda: seen.append("again"))
    assert seen == [0]
    with pytest.raises(StorageUnavailable, match="were abandoned"):
        parts.put(part())


def test_what_is_done_at_last_is_done_after_finish_as_well(road):
    road.go.set()
    seen = []
    parts = PartsInFlight(road.send)
    parts.put(part())
    parts.finish()
    parts.abandon(lambda: seen.append("done"))
    assert seen == ["done"]


def test_a_thread_that_sends_does_not_wait_for_itself(road):
    ended = threading.Event()
    seen = []

    def send(number, data):
        if number == 1:  # garbage is collected here
            parts.abandon(lambda: (seen.append(len(road._on_it)), ended.set()))
            seen.append("went on")
            return number
        return road.send(number, data)

    parts = PartsInFlight(send, at_once=2)
    road.go.set()
    parts.put(part())
    assert ended.wait(PATIENCE)
    assert seen == ["went on", 0]


def test_a_thread_that_must_not_wait_leaves_the_waiting_to_another(road):
    parts = PartsInFlight(road.send)
    parts.put(part())
    road.wait_for(1)
    ended = threading.Event()
    parts.abandon(ended.set, elsewhere=True)
    assert not ended.is_set()
    road.go.set()
    assert ended.wait(PATIENCE)


def test_an_interrupted_wait_goes_on_elsewhere(road):
    class Interrupted(BaseException):
        pass

    def interrupt(*_):
        raise Interrupted

    parts = PartsInFlight(road.send)
    parts.put(part())
    road.wait_for(1)
    ended = threading.Event()
    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with pytest.raises(Interrupted):
            timer.start()
            parts.abandon(ended.set)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not ended.is_set()
    road.go.set()
    assert ended.wait(PATIENCE)


@pytest.mark.parametrize("had", [0, 1, 3])
def test_where_no_more_threads_are_to_be_had_it_goes_without(monkeypatch, had):
    real, started = threading.Thread.start, []

    def start(thread):
        if thread.name.startswith("connectors-parts"):
            if len(started) == had:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    gathered = threading.Barrier(had + 1) if had else None
    arrived = []

    def send(number, data):
        if gathered is not None and number <= had:
            gathered.wait(PATIENCE)  # each thread has one part, so that more of them are wanted
        arrived.append(data.tobytes())
        return number

    parts = PartsInFlight(send)
    for number in range(had):
        parts.put(memoryview(b"%d" % number))
    if gathered is not None:
        opener = in_thread(gathered.wait, PATIENCE)
    for number in range(had, 8):
        parts.put(memoryview(b"%d" % number))
    if gathered is not None:
        opener.join(PATIENCE)
    assert parts.finish() == list(range(1, 9))
    assert set(arrived) == {b"%d" % number for number in range(8)}


def test_a_failure_without_threads_is_raised_and_lasts(monkeypatch, road):
    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    road.go.set()
    parts = PartsInFlight(failing(road, 2))
    parts.put(part())
    for _ in range(2):
        with pytest.raises(LookupError, match="part 2"):
            parts.put(part())
    assert road.sent == [1, 2]
    parts.abandon()


def test_the_threads_of_parts_that_somebody_forgot_end():
    parts = PartsInFlight(lambda number, _: number)
    before = set(threads())
    parts.put(part())
    (started,) = set(threads()) - before
    del parts
    gc.collect()
    started.join(PATIENCE)
    assert not started.is_alive()


def test_nothing_of_a_part_is_kept_once_it_has_arrived():
    class Part(bytearray):
        """A part that can tell that it is gone."""

        def __del__(self):
            gone.append(1)

    gone = []
    parts = PartsInFlight(lambda number, _: number)
    for _ in range(5):
        parts.put(memoryview(Part(10)))
    parts.finish()
    assert len(gone) == 5
