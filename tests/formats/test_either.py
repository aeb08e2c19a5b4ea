"""Two formats for one dataset: which one an object is in is proven by its authentication, in every combination."""

from __future__ import annotations

import io

import pytest
from sealing import CASES, KEY, OTHER_KEY, Case, Recorded, plain_bytes

from connectors.errors import IntegrityError
from connectors.formats import Either, select
from connectors.streams import SealedReader, SealedWriter, as_sink

SIZES = [0, 5, 70_000]
WRITERS = [case for case in CASES if case.write == case.read and case.write != "auto"]


def either(new: Case, old: Case) -> Either:
    return Either(select(new.write, OTHER_KEY, **new.options), select(old.read, KEY, **old.options))


@pytest.mark.parametrize("new", WRITERS, ids=str)
@pytest.mark.parametrize("old", CASES, ids=str)
def test_each_object_is_read_and_told_apart(new, old):
    for size in SIZES:
        plain, codec = plain_bytes(size), either(new, old)
        for sealed, is_new in ((new.seal(plain, OTHER_KEY), True), (old.seal(plain, KEY), False)):
            with SealedReader(Recorded(sealed), codec) as reader:
                assert reader.read() == plain
                assert reader.size == size
                assert codec.is_new is is_new


@pytest.mark.parametrize("new", WRITERS, ids=str)
@pytest.mark.parametrize("old", WRITERS, ids=str)
def test_a_changed_object_is_in_neither(new, old):
    plain = plain_bytes(70_000)
    for sealed in (new.seal(plain, OTHER_KEY), old.seal(plain, KEY)):
        changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        with pytest.raises(IntegrityError):
            SealedReader(Recorded(changed), either(new, old))
        source = Recorded(sealed[: len(sealed) // 2])
        with pytest.raises(IntegrityError):
            SealedReader(source, either(new, old))
        assert source.closed


def test_the_error_names_both_keys():
    with pytest.raises(IntegrityError, match="neither the new key nor the old one opens this object"):
        SealedReader(Recorded(CASES[0].seal(b"37.2", b"\1" * 32)), either(CASES[0], CASES[0]))


@pytest.mark.parametrize("new", WRITERS, ids=str)
def test_what_it_writes_is_new(new):
    sealed, codec = io.BytesIO(), either(new, CASES[0])
    with SealedWriter(as_sink(sealed), codec) as writer:
        writer.write(b"37.2")
    assert new.unseal(sealed.getvalue(), OTHER_KEY) == b"37.2"


def test_names_are_bound_in_both():
    codec = either(CASES[0], CASES[0])
    sealed = io.BytesIO()
    with SealedWriter(as_sink(sealed), codec.old.bound("north.csv")) as writer:
        writer.write(b"37.2")
    bound = codec.bound("north.csv")
    with SealedReader(Recorded(sealed.getvalue()), bound) as reader:
        assert reader.read() == b"37.2"
        assert not bound.is_new
    with pytest.raises(IntegrityError):
        SealedReader(Recorded(sealed.getvalue()), codec.bound("south.csv"))
