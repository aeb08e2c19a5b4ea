"""The arithmetic of sizes, against a plain-minded construction of it, chunk by chunk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sealing import KEY

from connectors.errors import NotSupported, TruncatedObject
from connectors.formats import Layout, Plain, TinkGcmHkdf, select
from connectors.secrets import SecretKey

SMALL = [
    Layout(header=0, chunk=8, tag=0),
    Layout(header=3, chunk=8, tag=0, trailer=4),
    Layout(header=5, chunk=8, tag=4, short_end=True),
    Layout(header=5, chunk=8, tag=4),
    Layout(header=5, chunk=8, tag=4, lead=7),
    Layout(header=5, chunk=8, tag=4, lead=5),
    Layout(header=5, chunk=1, tag=2),
    Layout(header=5, chunk=1, tag=2, short_end=True),
]

REAL = [
    select("cobblestone-256", KEY).layout,
    select("gcm", KEY).layout,
    Plain().layout,
    *(TinkGcmHkdf(SecretKey(KEY), segment_size=size).layout for size in (57, 58, 96, 4096, 1 << 20, 1 << 26)),
]


def cut(layout: Layout, plain_size: int) -> list[int]:
    """The plain bytes in each chunk of a message, taken off it one chunk at a time."""
    pieces = [min(plain_size, layout.chunk - layout.lead)]
    left = plain_size - pieces[0]
    full = layout.chunk - layout.lead
    while left or (layout.short_end and pieces[-1] == full):
        pieces.append(min(left, layout.chunk))
        left -= pieces[-1]
        full = layout.chunk
    return pieces


@pytest.mark.parametrize("layout", SMALL, ids=repr)
def test_sizes_agree_with_cutting_a_message_up(layout: Layout) -> None:
    possible = {}
    for plain_size in range(100):
        pieces = cut(layout, plain_size)
        sealed_size = layout.header + sum(pieces) + layout.tag * len(pieces) + layout.trailer
        assert layout.chunks(plain_size) == len(pieces)
        assert layout.sealed_size(plain_size) == sealed_size
        assert sealed_size not in possible, "two messages of different sizes would have objects of one size"
        possible[sealed_size] = plain_size
        for index, piece in enumerate(pieces):
            assert layout.plain_start(index) == sum(pieces[:index])
            assert layout.sealed_start(index) == layout.header + sum(pieces[:index]) + layout.tag * index
            for offset in range(sum(pieces[:index]), sum(pieces[:index]) + piece):
                assert layout.index(offset) == index
    for sealed_size in range(-5, layout.sealed_size(99) + 1):
        if sealed_size in possible:
            assert layout.plain_size(sealed_size) == possible[sealed_size]
        else:
            with pytest.raises(TruncatedObject):
                layout.plain_size(sealed_size)


@pytest.mark.parametrize("layout", REAL, ids=repr)
@given(data=st.data())
def test_plain_and_sealed_sizes_are_inverse_at_every_size(layout: Layout, data: st.DataObject) -> None:
    stride = layout.chunk + layout.tag
    near = st.builds(
        lambda count, step: max(0, min(layout.max_plain, count * layout.chunk - layout.lead + step)),
        st.integers(0, 1 << 24),
        st.integers(-3, 3),
    )
    plain_size = data.draw(near | st.integers(0, layout.max_plain))
    sealed_size = layout.sealed_size(plain_size)
    assert layout.plain_size(sealed_size) == plain_size
    # An object of any size is one message's or none's.
    other = data.draw(st.integers(max(0, sealed_size - 2 * stride), sealed_size + 2 * stride))
    try:
        back = layout.plain_size(other)
    except TruncatedObject:
        return
    assert layout.sealed_size(back) == other


@pytest.mark.parametrize("layout", REAL, ids=repr)
def test_a_message_of_the_largest_size_is_allowed_and_one_byte_more_is_not(layout: Layout) -> None:
    sealed_size = layout.sealed_size(layout.max_plain)
    assert layout.plain_size(sealed_size) == layout.max_plain
    with pytest.raises(NotSupported, match=str(layout.max_plain)):
        layout.sealed_size(layout.max_plain + 1)
    with pytest.raises(TruncatedObject):
        layout.plain_size(sealed_size + layout.tag + 1)


def test_the_formats_have_the_sizes_that_their_specifications_give() -> None:
    cobblestone, gcm = select("cobblestone-256", KEY).layout, select("gcm", KEY).layout
    assert [cobblestone.sealed_size(size) for size in (0, 1, 16383, 16384)] == [72, 73, 16455, 16472]
    assert [gcm.sealed_size(size) for size in (0, 1, 1 << 30)] == [28, 29, (1 << 30) + 28]
    assert gcm.max_plain == (2**39 - 256) // 8
    tink = TinkGcmHkdf(SecretKey(KEY), segment_size=4096).layout
    assert [tink.sealed_size(size) for size in (0, 4040, 4041, 4040 + 4080)] == [56, 4096, 4113, 8192]
    assert tink.chunks(tink.max_plain) == 1 << 32
