"""Prefetch: threads read on in an object while the reader decrypts and uses what has arrived.

They only read. The reader decrypts runs when it reaches them, directly into the caller's buffer. Threads that decrypted
small chunks would mostly wait for the global interpreter lock.

A source that `StreamsRanges` is read as one stream, in small runs whose buffers stay in the CPU cache. On a fast
network nothing is faster, and it is one request, however long the object is. But a connection may be limited, by its
latency or by the storage. A storage that takes long to respond is read as several streams at once from the start, and
fewer are tried if more do not help. Of any other one, if the reader has to wait, several streams over the next spans
are tried, and kept if they bring more. The last of them is as long as the next single stream would be: if they do not
bring more, it continues.

Any other source is read as several ranges, each of them a request.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from connectors.streams.depth import AT_ONCE, FAR_AT_ONCE, FAR_MOST, GAIN, MAX_AT_ONCE, Depth, Rate
from connectors.streams.lanes import RangeLane, StreamLane

if TYPE_CHECKING:
    from connectors.streams.lanes import FetchedRun, Lane, Span
    from connectors.streams.stored import StoredObject

__all__ = ["Prefetcher"]

MAX_RUN = 1 << 22
"""Bytes in the longest run of chunks that is fetched as one range, unless a chunk is longer."""
MAX_HELD = 64 << 20
"""Bytes in all prefetched runs, unless a single one is larger."""
FIRST_HELD = 1 << 24
"""Bytes that several streams may hold initially. Then they may hold twice what the reader has taken as well: one that
stops early has not had much more sent than it read."""
RUN = 1 << 20
"""Bytes of a stream that are handed over at once, unless a chunk is longer."""
RUNS = 3
"""Runs of a single stream that are read ahead: few, so that their buffers stay in the CPU cache."""
FIRST_SPAN = 8 << 20
"""Bytes in the first stream; each further one is `LONGER` times as long. A storage may charge for all of it."""
LONGER = 16
LONGEST_SPAN = 1 << 30
TRIAL = 0.025
"""Seconds of reading that tell how fast a stream is."""
TRIALS = 3
"""Number of times that several streams are tried in vain."""
TRIAL_GAIN = 1.5
"""The speedup that `AT_ONCE` streams must bring in a trial; a machine busy with other work can feign a smaller one."""
PART = 1 << 23
"""Bytes of the object between the borders at which several streams begin and end. Stores keep large objects in such
parts, and read a range quickest that lies in one of them (Amazon S3 User Guide, "Best practices design patterns:
optimizing Amazon S3 performance", on byte-range fetches)."""
NEAR = 0.005
"""Latency in seconds below which a storage is read as one stream, unless more prove to be faster."""
FAR_GAIN = 1.1
"""The speedup that twice as many streams of a far storage must bring: their memory is the same."""
FAST = 1e9
"""Bytes per second of a stream whose connection is surely not what limits it."""


class _Plan(Protocol):
    """Decides what is prefetched."""

    def fill(self, lanes: deque[Lane], first: int, stop: int, run_size: int) -> None:
        """Append lanes, so that chunks from `first` to at most `stop` are read."""

    def took(self, lane: Lane, size: int, waited: float | None) -> None:
        """Record that the reader took a run of `size` bytes, and for how long it had to wait, if it had to."""

    def dropped(self) -> None:
        """Record that the reader has moved elsewhere."""

    def close(self) -> None:
        """Stop the threads."""


class Prefetcher:
    """Prefetches runs of one object, in order, for sequential reads.

    After a fork, the child starts again: threads do not survive a fork.

    Args:
        stored: the object.
        span: where its chunks are.
        chunk: the size of a chunk in bytes.

    Attributes:
        streams: whether the object is read as streams, and the first run of a sequential read is best prefetched too.
    """

    def __init__(self, stored: StoredObject, span: Span, chunk: int) -> None:
        self.streams = stored.streams
        self._stored = stored
        self._span = span
        self._chunk = chunk
        self._lanes: deque[Lane] = deque()
        self._process = os.getpid()
        self._plan = self._new_plan()
        self._closed = False

    def _new_plan(self) -> _Plan:
        return (_Streams if self.streams else _Ranges)(self._stored, self._span, self._chunk)

    def take(self, index: int) -> FetchedRun | None:
        """Return the run at chunk `index` if it is the next prefetched one; otherwise drop all of them.

        Raises:
            StorageError: it cannot be fetched.
        """
        self._check_process()
        lane = self._lane_at(0)
        if lane is None or lane.first != index or lane.asked == index:
            self.drop()
            return None
        since = None if lane.is_ready else time.monotonic()
        try:
            run = lane.take()
        except BaseException:
            self.drop()
            raise
        self._plan.took(lane, len(run.sealed), None if since is None else time.monotonic() - since)
        if lane.first == lane.stop:
            self._remove(lane)
            if not self._lanes:
                self._stored.trim()
        return run

    def fill(self, first: int, stop: int, run_size: int) -> None:
        """Start reading the chunks from `first` to `stop`, except those already being read.

        Args:
            first: the chunk that the reader wants next.
            stop: the end of the chunks that it will want.
            run_size: the approximate size of a run in bytes, if they are read as ranges.

        Raises:
            ValueError: it is closed, maybe in another thread.
        """
        self._check_process()
        last = self._lane_at(-1)
        try:
            self._plan.fill(self._lanes, first if last is None else last.stop, stop, run_size)
            self._check_open()  # only now: what was appended after `close` has to be dropped
        except BaseException:
            self.drop()  # interrupted, a lane may have been asked for what it does not know of
            raise

    def _check_process(self) -> None:
        if self._process != os.getpid():
            self._process = os.getpid()
            self._lanes.clear()
            self._plan = self._new_plan()

    def _lane_at(self, place: int) -> Lane | None:
        try:
            return self._lanes[place]
        except IndexError:
            return None

    def _remove(self, lane: Lane) -> None:
        """Remove a lane, and no other, if another thread that drops lanes has not."""
        with contextlib.suppress(ValueError):
            self._lanes.remove(lane)

    def _check_open(self) -> None:
        if self._closed:
            message = "I/O operation on closed file"
            raise ValueError(message)

    def drop(self) -> None:
        """Drop all prefetched runs: the reader has moved elsewhere."""
        if self._lanes:
            while (lane := self._lane_at(0)) is not None:
                lane.drop()
                self._remove(lane)  # only now: an interrupt must not leave a lane that nobody drops
            self._plan.dropped()
        self._stored.trim()

    def close(self) -> None:
        """Stop, without waiting for the reads in progress; their results are dropped. Safe in any thread."""
        self._closed = True
        if self._process == os.getpid():
            self.drop()
            self._plan.close()


class _Ranges:
    """Reads an object as ranges, several at once."""

    def __init__(self, stored: StoredObject, span: Span, chunk: int) -> None:
        self._stored = stored
        self._span = span
        self._chunk = chunk
        # For a local file, more threads would only compete with decryption for the CPU.
        self._workers = 1 if stored.is_local else MAX_AT_ONCE
        self._depth = Depth(1, 1) if stored.is_local else Depth(AT_ONCE, MAX_AT_ONCE)
        self._threads: ThreadPoolExecutor | None = None

    def fill(self, lanes: deque[Lane], first: int, stop: int, run_size: int) -> None:
        """Append ranges of about `run_size` bytes."""
        at_once = min(self._depth.now, max(1, MAX_HELD // max(run_size, self._chunk)))
        while first < stop and len(lanes) < at_once:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._workers, "connectors-ahead")
            end = min(first + max(1, run_size // self._chunk), stop)
            lanes.append(RangeLane(self._stored, self._span, first, end, self._threads))
            first = end

    def took(self, lane: Lane, size: int, waited: float | None) -> None:  # noqa: ARG002 - a lane is one run
        """Adapt the depth."""
        self._depth.took(size, waited=waited is not None)

    def dropped(self) -> None:
        """Do nothing: the depth is the connection's, not the place's."""

    def close(self) -> None:
        """Stop the threads."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


class _Streams:
    """Reads an object as one stream after the other, or several at once."""

    def __init__(self, stored: StoredObject, span: Span, chunk: int) -> None:
        self._stored = stored
        self._span = span
        self._chunk = chunk
        self._run = self._chunks(RUN)
        self._ahead = self._run * min(RUNS, max(1, MAX_HELD // (self._run * chunk)))
        self._next_size = FIRST_SPAN
        self._single = Rate()
        self._trial: _Trial | None = None
        self._trials = TRIALS
        self._depth: Depth | None = None  # None: one stream at a time
        self._waited = False
        self._allowed = FIRST_HELD
        if stored.latency >= NEAR:
            self._depth = Depth(FAR_AT_ONCE, FAR_MOST, least=AT_ONCE, gain=FAR_GAIN)

    def _chunks(self, size: int) -> int:
        return max(1, size // self._chunk)

    def fill(self, lanes: deque[Lane], first: int, stop: int, run_size: int) -> None:  # noqa: ARG002 - see RUN
        """Append streams, and have as much of each read ahead as there is room for."""
        if self._stored.ignores_ranges:  # another stream would start at the object's first byte
            self._depth = self._trial = None
            if not lanes and first < stop:
                self._append(lanes, first, stop)
            _ask(lanes, self._ahead)
            return
        if self._depth is None and self._trial is None and len(lanes) == 1 and isinstance(lanes[0], StreamLane):
            first = self._try_several(lanes, lanes[0], first, stop)
        if self._depth is not None:
            self._fill_several(self._depth, lanes, first, stop)
            return
        if self._trial is not None:
            for lane in tuple(lanes):
                lane.ask(self._trial.share)
            return
        left = _ask(lanes, self._ahead)
        if left > 0 and first < stop and len(lanes) <= 1:
            # The next stream starts before the last run of this one has been taken, which hides its latency.
            self._append(lanes, first, min(stop, first + self._next_length(stop - first))).ask(left)

    def _next_length(self, rest: int) -> int:
        length = self._chunks(self._next_size)
        self._next_size = min(LONGER * self._next_size, LONGEST_SPAN)
        return rest if rest - length <= length // 2 else length

    def _to_border(self, first: int) -> int:
        """Return the number of chunks from `first` to about the next multiple of `PART` in the object."""
        start, _ = self._span(first, 1)
        return -(-(PART - start % PART) // self._chunk)

    def _append(self, lanes: deque[Lane], first: int, stop: int) -> StreamLane:
        lane = StreamLane(self._stored, self._span, first, stop, self._run)
        lanes.append(lane)
        return lane

    def _try_several(self, lanes: deque[Lane], lane: StreamLane, first: int, stop: int) -> int:
        """Try several streams, if the single one is slow and about to end.

        Returns:
            The first chunk that is not being read.
        """
        single = self._single
        if not self._trials or single.seconds < TRIAL or single.rate >= FAST or single.most_gain < GAIN:
            return first
        share = self._chunks(MAX_HELD // AT_ONCE)
        if lane.stop - lane.first > share or stop - first < (AT_ONCE - 1) * share:
            return first
        for _ in range(AT_ONCE - 2):
            self._append(lanes, first, first + share)
            first += share
        self._next_size = LONGEST_SPAN
        self._trial = _Trial(share, first + share)
        end = min(stop, first + max(share, self._next_length(stop - first)))
        self._append(lanes, first, end)
        return end

    def _fill_several(self, depth: Depth, lanes: deque[Lane], first: int, stop: int) -> None:
        allowed = self._chunks(self._allowed)
        # Of streams that run side by side, on average half has been taken already.
        left = 2 * allowed - sum(lane.stop - lane.first for lane in tuple(lanes))
        while first < stop and len(lanes) < depth.now and (left > 0 or not lanes):
            end = min(stop, first + max(1, min(self._to_border(first), left)))
            self._append(lanes, first, end)
            left -= end - first
            first = end
        for lane in tuple(lanes):
            # Little beyond what has arrived: all of them shall start, and only what has arrived takes memory.
            lane.ask(min(allowed, lane.arrived + 2 * self._run))
            allowed -= lane.asked - lane.first

    def took(self, lane: Lane, size: int, waited: float | None) -> None:
        """Adapt the number of streams."""
        self._allowed = min(self._allowed + 2 * size, MAX_HELD)
        if self._depth is not None:
            self._waited |= waited is not None
            if lane.first == lane.stop:
                self._depth.took(lane.size, waited=self._waited)
                self._waited = False
                if self._depth.now == 1:
                    self._depth, self._single, self._trials = None, Rate(), 0
        elif self._trial is not None:
            self._trial.together.took(size, waited or 0)
            if lane.first >= self._trial.stop:
                self._end_trial(lane, self._trial)
        else:
            self._single.took(size, waited or 0)
            if lane.first == lane.stop:
                self._single = Rate()

    def _end_trial(self, lane: Lane, trial: _Trial) -> None:
        if trial.together.rate >= TRIAL_GAIN * self._single.rate:
            lane.cut()
            self._depth = Depth(AT_ONCE, MAX_AT_ONCE, before=self._single.rate)
        else:
            self._trials -= 1
            self._single = Rate()
        self._trial = None

    def dropped(self) -> None:
        """Start with little again; what is known of the connection is kept."""
        self._allowed = 2 * RUN
        self._next_size = FIRST_SPAN
        self._single, self._trial, self._waited = Rate(), None, False

    def close(self) -> None:
        """Do nothing: a lane has its own thread, which ends with it."""


class _Trial:
    """A trial of several streams.

    Args:
        share: the number of chunks that each stream contributes.
        stop: the chunk at which it ends.

    Attributes:
        share, stop: as given.
        together: how fast the reader has been served meanwhile, with the time that new connections take.
    """

    def __init__(self, share: int, stop: int) -> None:
        self.share = share
        self.stop = stop
        self.together = Rate(measuring=True)


def _ask(lanes: deque[Lane], most: int) -> int:
    """Have up to `most` chunks of all lanes together read ahead, those of the first ones first; return what is left."""
    for lane in tuple(lanes):
        lane.ask(most)
        most -= lane.asked - lane.first
    return most
