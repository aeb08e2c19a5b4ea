"""Checked encryption: a run that does not decrypt to its plain bytes is an error, and is never published."""

from __future__ import annotations

import io

import pytest
from sealing import CASES, KEY, Case, boundary_sizes, plain_bytes

from connectors.errors import MachineFailed, WrongKey
from connectors.formats import Checked, Decryptor, Encryptor, Format, select
from connectors.streams import SealedReader, SealedWriter, as_sink, as_source

WRITERS = [case for case in CASES if case.write == case.read]
"""Each format once."""


def codec_of(case: Case) -> Format:
    return select(case.write, KEY, **case.options)


class Faulty(Format):
    """A format on a machine whose memory flips one bit of what is encrypted."""

    name = "faulty"

    def __init__(self, codec: Format, at: int) -> None:
        self._codec = codec
        self.at = at
        self.layout = codec.layout
        self.head_size = codec.head_size

    def encryptor(self) -> Encryptor:
        encryptor, faulty = self._codec.encryptor(), self

        class Flipping(type(encryptor)):  # type: ignore[misc]
            """The encryptor, with the fault."""

            def encrypt(self, plain: memoryview, out: memoryview, *, final: bool = False) -> int:
                done = super().encrypt(plain, out, final=final)
                if 0 <= faulty.at < done:
                    out[faulty.at] ^= 1
                faulty.at -= done
                return done

        encryptor.__class__ = Flipping
        return encryptor

    def decryptor(self, head: bytes, sealed_size: int) -> Decryptor:
        return self._codec.decryptor(head, sealed_size)

    def checker(self, header: bytes, sealed_size: int) -> Decryptor:
        return self._codec.checker(header, sealed_size)

    def bound(self, name: str) -> Format:
        return Faulty(self._codec.bound(name), self.at)


def seal(codec: Format, plain: bytes, piece: int = 1 << 20) -> bytes:
    sealed = io.BytesIO()
    with SealedWriter(as_sink(sealed), codec) as writer:
        for start in range(0, len(plain), piece):
            writer.write(plain[start : start + piece])
    return sealed.getvalue()


@pytest.mark.parametrize("case", WRITERS, ids=str)
@pytest.mark.parametrize("piece", [7_000, 1 << 20])
def test_what_is_checked_is_an_ordinary_object(case, piece):
    sizes = [0, 1, 300_000, 2_500_000] if piece > 7_000 else boundary_sizes(case.layout)[:12]
    for size in sizes:
        plain = plain_bytes(size)
        assert case.unseal(seal(Checked(codec_of(case), size), plain, piece)) == plain


@pytest.mark.parametrize("case", WRITERS, ids=str)
def test_a_flipped_bit_is_the_machines_fault_wherever_it_is(case):
    plain = plain_bytes(2_500_000)
    end = case.layout.sealed_size(len(plain)) - case.layout.header - 1
    for at in (0, 17, 1_200_000, end - 16, end):
        with pytest.raises(MachineFailed, match="does not decrypt to the same bytes"):
            seal(Checked(Faulty(codec_of(case), at), len(plain)), plain)


@pytest.mark.parametrize("case", WRITERS, ids=str)
def test_an_empty_object_is_checked(case):
    with pytest.raises(MachineFailed):
        seal(Checked(Faulty(codec_of(case), 0), 0), b"")


def test_a_faulty_object_does_not_replace_a_file(tmp_path):
    (tmp_path / "sealed").write_bytes(b"the old one")
    codec = Checked(Faulty(codec_of(WRITERS[0]), 3), 4)
    with pytest.raises(MachineFailed), SealedWriter(as_sink(tmp_path / "sealed"), codec) as writer:
        writer.write(b"37.2")
    assert (tmp_path / "sealed").read_bytes() == b"the old one"
    assert [one.name for one in tmp_path.iterdir()] == ["sealed"]


@pytest.mark.parametrize("case", [one for one in WRITERS if one.write != "gcm"], ids=str)
def test_the_pin_is_known_before_the_object_is_encrypted(case):
    plain = plain_bytes(70_000)
    codec = Checked(codec_of(case), len(plain))
    pin = codec.pin_ahead
    sealed = seal(codec, plain)
    with case.open(sealed) as file:
        assert file.raw.pin == pin


@pytest.mark.parametrize("size", [0, 3, 5, 1 << 20])
def test_an_object_of_another_size_is_refused(size):
    with pytest.raises(ValueError, match="was announced with"):
        seal(Checked(codec_of(WRITERS[0]), size), b"37.2")


def test_it_encrypts_one_object():
    codec = Checked(codec_of(WRITERS[0]), 4)
    codec.encryptor()
    with pytest.raises(ValueError, match="writes one object"):
        codec.encryptor()
    with pytest.raises(ValueError, match="it knows the pin"):
        _ = codec.pin_ahead


def test_another_name_is_another_object():
    codec = Checked(codec_of(WRITERS[0]), 4)
    sealed = seal(codec.bound("north.csv"), b"37.2")
    with SealedReader(as_source(io.BytesIO(sealed)), codec_of(WRITERS[0]).bound("north.csv")) as reader:
        assert reader.read() == b"37.2"
    with pytest.raises(WrongKey):
        SealedReader(as_source(io.BytesIO(sealed)), codec)
