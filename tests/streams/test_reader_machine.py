"""Under any sequence of reads and seeks, a sealed file behaves as the plain bytes in an `io.BytesIO` do."""

from __future__ import annotations

import contextlib
import io
import math
import os
import unittest.mock
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from patience import until
from sealing import (
    AUTO,
    AUTO_GCM,
    COBBLESTONE,
    GCM,
    KEY,
    TINK_1M,
    TINK_4K,
    TINK_SMALL,
    TINK_TINY,
    Case,
    Recorded,
    boundary_sizes,
    plain_bytes,
)
from streamed import Streamed

from connectors.formats import select
from connectors.streams import SealedReader, as_source, prefetch, stored
from connectors.streams import object as object_module
from connectors.streams import reader as reader_module

OFFSETS = st.integers(-(1 << 21), 1 << 21) | st.integers(-300, 300)
COUNTS = st.integers(0, 300) | st.integers(0, 1 << 20) | st.sampled_from([16383, 16384, 16385, 1 << 22])
WHENCE = st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END])


class Reading(RuleBasedStateMachine):
    """What buffered and raw readers share. `model` is the plain truth."""

    case: ClassVar[Case]
    chunks: ClassVar[int] = 3
    held_size: ClassVar[int] = object_module.HELD_SIZE

    @initialize(data=st.data())
    def open(self, data: st.DataObject) -> None:
        plain = plain_bytes(data.draw(st.sampled_from(boundary_sizes(self.case.layout, self.chunks)), label="size"))
        self.plain = plain
        self.model = io.BytesIO(plain)
        with unittest.mock.patch.object(object_module, "HELD_SIZE", self.held_size):
            self.file: Any = self.make(self.case.seal(plain))

    def make(self, sealed: bytes) -> Any:
        raise NotImplementedError

    def teardown(self) -> None:
        if hasattr(self, "file"):
            self.file.close()

    @invariant()
    def tells_the_same_place(self) -> None:
        if hasattr(self, "file"):
            assert self.file.tell() == self.model.tell()

    @rule(offset=OFFSETS, whence=WHENCE)
    def seek(self, offset: int, whence: int) -> None:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.model.tell(), os.SEEK_END: len(self.plain)}[whence]
        if base + offset < 0:  # BytesIO would go to 0 instead
            with pytest.raises(ValueError, match="negative seek position"):
                self.file.seek(offset, whence)
        else:
            assert self.file.seek(offset, whence) == self.model.seek(offset, whence) == base + offset

    @rule(data=st.data())
    def seek_to_a_border(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(boundary_sizes(self.case.layout, self.chunks)))
        assert self.file.seek(offset) == self.model.seek(offset)

    @rule(whence=st.sampled_from([-1, 3, 17]))
    def seek_from_nowhere(self, whence: int) -> None:
        with pytest.raises(ValueError, match="whence"):
            self.file.seek(0, whence)

    @rule()
    def read_all(self) -> None:
        assert self.file.read() == self.model.read()
        assert self.file.read(1) == b""

    def some_of_the_rest(self, piece: bytes, most: int) -> None:
        """A short answer is allowed, but no empty one before the end."""
        rest = self.model.read(most)
        assert rest.startswith(piece)
        assert bool(piece) == bool(rest)
        self.model.seek(len(piece) - len(rest), os.SEEK_CUR)


class BufferedReading(Reading):
    def make(self, sealed: bytes) -> io.BufferedReader:
        return self.case.open(sealed)

    @rule(count=COUNTS)
    def read(self, count: int) -> None:
        assert self.file.read(count) == self.model.read(count)

    @rule(count=COUNTS)
    def readinto(self, count: int) -> None:
        buffer, expected = bytearray(b"\xee" * count), bytearray(b"\xee" * count)
        assert self.file.readinto(buffer) == self.model.readinto(expected)
        assert buffer == expected

    @rule(count=COUNTS.filter(bool))
    def read1(self, count: int) -> None:
        self.some_of_the_rest(self.file.read1(count), count)

    @rule(count=COUNTS.filter(bool))
    def readinto1(self, count: int) -> None:
        buffer = bytearray(count)
        done = self.file.readinto1(buffer)
        assert not any(buffer[done:])
        self.some_of_the_rest(bytes(buffer[:done]), count)

    @rule(count=st.integers(0, 20000))
    def peek(self, count: int) -> None:
        rest = self.model.getvalue()[self.model.tell() :]
        piece = self.file.peek(count)
        assert rest.startswith(piece)
        assert bool(piece) == bool(rest)

    @rule(limit=st.integers(-1, 300))
    def readline(self, limit: int) -> None:
        assert self.file.readline(limit) == self.model.readline(limit)

    @rule(hint=st.integers(1, 5000))
    def readlines(self, hint: int) -> None:
        lines = self.file.readlines(hint)
        assert lines == [self.model.readline() for _ in lines]
        # Whether a hint that is met exactly wants another line, BytesIO and BufferedReader do not agree.
        assert sum(map(len, lines)) >= hint or self.model.tell() >= len(self.model.getvalue())

    @rule(count=st.integers(1, 5))
    def iterate(self, count: int) -> None:
        for _ in range(count):
            assert next(self.file, None) == next(self.model, None)


class RawReading(Reading):
    def make(self, sealed: bytes) -> SealedReader:
        codec = select(self.case.read, KEY, **self.case.options)
        self.source = Recorded(sealed)
        return SealedReader(self.source, codec)

    @rule(count=COUNTS.filter(bool))
    def read(self, count: int) -> None:
        self.some_of_the_rest(self.file.read(count), count)

    @rule(count=COUNTS.filter(bool))
    def readinto(self, count: int) -> None:
        buffer = bytearray(b"\xee" * count)
        done = self.file.readinto(buffer)
        assert buffer[done:] == b"\xee" * (count - done)
        self.some_of_the_rest(bytes(buffer[:done]), count)

    @rule()
    def read_nothing(self) -> None:
        assert self.file.read(0) == b""
        assert self.file.readinto(bytearray()) == 0

    @invariant()
    def knows_its_size_and_asks_for_nothing_outside(self) -> None:
        if not hasattr(self, "file"):
            return
        assert self.file.size == len(self.plain)
        first, *others = self.source.ranges
        assert first == (0, stored.HEAD_SIZE)
        assert all(0 <= start < stop <= len(self.source.data) for start, stop in others)


class StreamedReading(RawReading):
    """Streams of a few chunks: one after the other, or `several` at once."""

    chunks = 12
    several: ClassVar[bool]
    share: ClassVar[int] = 2

    def make(self, sealed: bytes) -> SealedReader:
        chunk = self.case.layout.chunk
        limits = {
            "RUN": chunk,
            "FIRST_SPAN": 3 * chunk,
            "MAX_RUN": self.share * chunk,
            "TRIAL": 1e-12,
            "TRIALS": self.several,
        }
        self.patches = contextlib.ExitStack()
        for name, value in {
            **limits,
            "GAIN": 0,
            "TRIAL_GAIN": 0,
            "MAX_HELD": 3 * limits["MAX_RUN"],
            "FAST": math.inf,
        }.items():
            self.patches.enter_context(unittest.mock.patch.object(prefetch, name, value))
        for module in (stored, object_module):
            self.patches.enter_context(unittest.mock.patch.object(module, "HEAD_SIZE", 100))
        self.patches.enter_context(unittest.mock.patch.object(reader_module, "AHEAD_FROM", 1))
        self.source = Streamed(sealed, piece=chunk // 2 + 11)
        return SealedReader(self.source, select(self.case.read, KEY, **self.case.options))

    @rule()
    def open_again(self) -> None:
        self.file.close()
        self.source.ranges.clear()
        self.file = SealedReader(self.source, select(self.case.read, KEY, **self.case.options))
        self.model.seek(0)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "file"):
            self.patches.close()
            until(lambda: not self.source.unclosed, "every stream is closed")
            assert not self.source.wrong


SETTINGS = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def machine(base: type[Reading], case: Case, **attributes: Any) -> Any:
    made = type(f"{base.__name__}-{case}", (base,), {"case": case, **attributes}).TestCase
    made.settings = SETTINGS
    return made


TestBufferedCobblestone = machine(BufferedReading, COBBLESTONE)
TestBufferedAuto = machine(BufferedReading, AUTO)
TestBufferedTinkTiny = machine(BufferedReading, TINK_TINY)
TestBufferedTinkSmall = machine(BufferedReading, TINK_SMALL)
TestBufferedTink4K = machine(BufferedReading, TINK_4K)
TestBufferedTink1M = machine(BufferedReading, TINK_1M)
TestBufferedGcm = machine(BufferedReading, GCM)
TestBufferedGcmNotHeld = machine(BufferedReading, AUTO_GCM, held_size=0)
TestRawCobblestone = machine(RawReading, COBBLESTONE)
TestRawTinkTiny = machine(RawReading, TINK_TINY)
TestRawTinkSmall = machine(RawReading, TINK_SMALL)
TestRawTink1M = machine(RawReading, TINK_1M)
TestRawGcm = machine(RawReading, GCM)
TestRawGcmNotHeld = machine(RawReading, AUTO_GCM, held_size=0)
TestStreamedCobblestone = machine(StreamedReading, COBBLESTONE, several=False)
TestStreamedTinkSmall = machine(StreamedReading, TINK_SMALL, several=False)
TestStreamedGcmNotHeld = machine(StreamedReading, GCM, several=False, held_size=0)
TestSeveralStreamsCobblestone = machine(StreamedReading, COBBLESTONE, several=True)
TestSeveralStreamsTinkTiny = machine(StreamedReading, TINK_TINY, several=True, share=1)

WORDS = st.text(st.sampled_from("aé€😀 \n\r"), max_size=200)


@pytest.mark.parametrize("case", [TINK_TINY, TINK_SMALL, COBBLESTONE, GCM], ids=str)
@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(WORDS, max_size=8).map("".join),
    newline=st.sampled_from([None, "", "\n", "\r", "\r\n"]),
    steps=st.lists(
        st.tuples(st.sampled_from(["read", "readline", "mark", "back", "rest"]), st.integers(0, 60)), max_size=20
    ),
)
def test_text_over_it_reads_as_text_over_plain_bytes(case: Case, text: str, newline: str, steps: list[Any]) -> None:
    plain = text.encode()
    ours = io.TextIOWrapper(case.open(case.seal(plain)), "utf-8", newline=newline)
    theirs = io.TextIOWrapper(io.BufferedReader(io.BytesIO(plain)), "utf-8", newline=newline)
    marks: list[tuple[Any, Any]] = [(0, 0)]
    for step, count in steps:
        match step:
            case "read":
                assert ours.read(count) == theirs.read(count)
            case "readline":
                assert ours.readline() == theirs.readline()
            case "mark":
                marks.append((ours.tell(), theirs.tell()))
            case "back":
                mine, its = marks[count % len(marks)]
                ours.seek(mine)
                theirs.seek(its)
            case _:
                assert ours.read() == theirs.read()
    assert list(ours) == list(theirs)


@settings(max_examples=20, deadline=None)
@given(segment_size=st.integers(57, 200), size=st.integers(0, 2000))
def test_any_segment_size_reads_back(segment_size: int, size: int) -> None:
    case = Case("tink", "tink-gcm-hkdf", "tink-gcm-hkdf", {"segment_size": segment_size})
    plain = plain_bytes(size)
    sealed = case.seal(plain)
    assert case.unseal(sealed) == plain
    with SealedReader(as_source(io.BytesIO(sealed)), case.codec()) as raw:
        for offset in range(0, size, 13):
            raw.seek(offset)
            assert raw.read(1) == plain[offset : offset + 1]
