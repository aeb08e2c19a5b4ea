"""Whatever storage does to the bytes of an object, nothing but what was sealed comes out of it, or an error."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sealing import (
    AUTO,
    AUTO_GCM,
    BOUND,
    CASES,
    COBBLESTONE,
    GCM,
    TINK_4K,
    TINK_SMALL,
    TINK_TINY,
    Case,
    plain_bytes,
)

from connectors.errors import IntegrityError

SMALL = [COBBLESTONE, BOUND, AUTO, GCM, AUTO_GCM, TINK_TINY, TINK_SMALL]
CHUNKED = [COBBLESTONE, TINK_TINY, TINK_SMALL, TINK_4K]


def assert_refused(case: Case, sealed: bytes, plain: bytes) -> None:
    """Nothing but a prefix of `plain` may leave, and the end must never be reported."""
    left = bytearray()
    with pytest.raises(IntegrityError), case.open(sealed).detach() as raw:
        while piece := raw.read(1 << 12):
            left += piece
    assert plain.startswith(left)


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("size", [0, 1, 100])
class TestEveryPosition:
    """Of small objects every single one."""

    def test_flipped_bit(self, case: Case, size: int) -> None:
        plain, sealed = plain_bytes(size), case.seal(plain_bytes(size))
        for position in range(len(sealed)):
            for bit in (1, 0x80) if position % 8 else (1, 2, 4, 8, 16, 32, 64, 128):
                broken = bytearray(sealed)
                broken[position] ^= bit
                assert_refused(case, bytes(broken), plain)

    def test_dropped_byte(self, case: Case, size: int) -> None:
        plain, sealed = plain_bytes(size), case.seal(plain_bytes(size))
        for position in range(len(sealed)):
            assert_refused(case, sealed[:position] + sealed[position + 1 :], plain)

    def test_added_byte(self, case: Case, size: int) -> None:
        plain, sealed = plain_bytes(size), case.seal(plain_bytes(size))
        for position in range(len(sealed) + 1):
            for byte in (b"\0", b"\xff"):
                assert_refused(case, sealed[:position] + byte + sealed[position:], plain)

    def test_cut_at_each_length(self, case: Case, size: int) -> None:
        plain, sealed = plain_bytes(size), case.seal(plain_bytes(size))
        for length in range(len(sealed)):
            assert_refused(case, sealed[:length], plain)

    def test_splice_with_another_object_under_the_key(self, case: Case, size: int) -> None:
        plain = plain_bytes(size)
        one, other = case.seal(plain), case.seal(plain_bytes(size, seed=1))
        for position in range(1, len(one)):
            spliced = one[:position] + other[position:]
            # A tail of equal bytes may by chance make it one of the two again.
            if spliced not in (one, other):
                assert_refused(case, spliced, plain)


@pytest.mark.parametrize("case", CASES, ids=str)
class TestEveryBorder:
    """Of objects of several chunks, at the borders."""

    @staticmethod
    def borders(case: Case, sealed: bytes) -> list[int]:
        layout = case.layout
        starts = [layout.sealed_start(index) for index in range(layout.chunks(layout.plain_size(len(sealed))))]
        return [*starts, len(sealed) - layout.trailer]

    def test_cut_and_extended(self, case: Case) -> None:
        plain = plain_bytes(3 * case.layout.chunk + 7)
        sealed = case.seal(plain)
        for border in self.borders(case, sealed):
            for length in range(border - 17, min(border + 18, len(sealed))):
                assert_refused(case, sealed[:length], plain)
        for extra in (1, 15, 16, 17, case.layout.chunk, case.layout.chunk + 16):
            assert_refused(case, sealed + bytes(extra), plain)
            assert_refused(case, sealed + sealed[-extra:], plain)

    def test_chunks_swapped_dropped_and_doubled(self, case: Case) -> None:
        # Also where all chunks hold the same plain bytes.
        for plain in (plain_bytes(4 * case.layout.chunk + 7), bytes(4 * case.layout.chunk + 7)):
            sealed = case.seal(plain)
            borders = self.borders(case, sealed)
            chunks = [sealed[start:stop] for start, stop in pairwise(borders)]
            head, tail = sealed[: borders[0]], sealed[borders[-1] :]
            for one in range(len(chunks)):
                dropped = chunks[:one] + chunks[one + 1 :]
                doubled = chunks[: one + 1] + chunks[one:]
                for other in range(one + 1, len(chunks)):
                    swapped = [*chunks]
                    swapped[one], swapped[other] = chunks[other], chunks[one]
                    assert_refused(case, head + b"".join(swapped) + tail, plain)
                    replaced = [*chunks]
                    replaced[one] = chunks[other]
                    assert_refused(case, head + b"".join(replaced) + tail, plain)
                assert_refused(case, head + b"".join(dropped) + tail, plain)
                assert_refused(case, head + b"".join(doubled) + tail, plain)

    def test_chunks_of_another_object(self, case: Case) -> None:
        plain = plain_bytes(3 * case.layout.chunk + 7)
        one, other = case.seal(plain), case.seal(plain)
        borders = self.borders(case, one)
        for start, stop in pairwise(borders):
            assert_refused(case, one[:start] + other[start:stop] + one[stop:], plain)
        assert_refused(case, one[: borders[0]] + other[borders[0] :], plain)


SEALED = {case: case.seal(plain_bytes(3 * case.layout.chunk + 99)) for case in (*CHUNKED, GCM, AUTO_GCM)}


@pytest.mark.parametrize("case", SEALED, ids=str)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_change_to_a_range_of_bytes_is_refused(case: Case, data: st.DataObject) -> None:
    sealed = SEALED[case]
    start, stop, to = sorted(data.draw(st.lists(st.integers(0, len(sealed)), min_size=3, max_size=3)))
    piece, between = sealed[start:stop], sealed[stop:to]
    changed = data.draw(
        st.sampled_from(
            [
                sealed[:start] + sealed[stop:],  # dropped
                sealed[:stop] + sealed[start:],  # doubled
                sealed[:start] + between + piece + sealed[to:],  # moved
                sealed[:start] + bytes(len(piece)) + sealed[stop:],  # zeroed
                sealed[:start] + piece[::-1] + sealed[stop:],
                sealed[start:],
                sealed[:to],
            ]
        )
    )
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(changed)), st.integers(1, 255)), max_size=2)
    ):
        with contextlib.suppress(IndexError):
            changed = bytearray(changed)
            changed[position] ^= value
    changed = bytes(changed)
    assume(changed != sealed)
    assert_refused(case, changed, plain_bytes(3 * case.layout.chunk + 99))


def test_the_check_above_would_notice_an_object_that_opens() -> None:
    with pytest.raises(pytest.fail.Exception):
        assert_refused(COBBLESTONE, COBBLESTONE.seal(b"plain"), b"plain")
