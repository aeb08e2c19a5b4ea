"""Wycheproof's vectors for Cobblestone-256, through the public API and by random access.

Of its 35, the two messages of 4 MiB are left out: a vector of that size is in `test_chunked_encryption`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import connectors
from connectors.errors import ConfigError, IntegrityError, InvalidKey, TruncatedObject, WrongKey
from connectors.formats.cobblestone import LAYOUT, Cobblestone256
from connectors.secrets import SecretKey
from connectors.streams import as_source, buffered

FILE = Path(__file__).parent / "wycheproof.json"

VALID = [1, 2, 3, 4, 5, 6, 9, 10]
ALL = [*VALID, *range(11, 36)]
VALID_FINAL_CHUNK = [13, 15, 33, 34]
"""Invalid, but their end is in order: only a chunk before it shows what was done to them."""
REFUSED = [number for number in range(11, 36) if number not in VALID_FINAL_CHUNK]
"""Invalid at their header or end: they must not even open."""


@pytest.fixture(scope="module")
def vectors() -> dict[int, dict[str, Any]]:
    return {vector["tcId"]: vector for vector in json.loads(FILE.read_text())["vectors"]}


@pytest.fixture
def vector(request: pytest.FixtureRequest, vectors: dict[int, dict[str, Any]]) -> dict[str, Any]:
    found = dict(vectors[request.param])
    found["sealed"] = zlib.decompress(bytes.fromhex(found["ct"]))
    return found


def each(numbers: Iterable[int]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", numbers, indirect=True, ids=lambda number: f"tcId-{number}")


def test_the_lists_above_are_what_the_flags_say(vectors: dict[int, dict[str, Any]]) -> None:
    assert [number for number, one in vectors.items() if one["result"] == "valid"] == VALID
    assert [number for number, one in vectors.items() if "ValidFinalChunk" in one["flags"]] == VALID_FINAL_CHUNK
    assert sorted(vectors) == ALL


def opening(vector: dict[str, Any], **options: Any) -> partial[io.BufferedReader]:
    key, context = bytes.fromhex(vector["key"]), bytes.fromhex(vector["ctx"])
    if 0 in context:  # it is for the names of a folder's objects alone, so only the format itself takes it
        return partial(buffered, as_source(io.BytesIO(vector["sealed"])), Cobblestone256(SecretKey(key), context))
    return partial(connectors.open_reader, io.BytesIO(vector["sealed"]), key, context=context, **options)


def digest(plain: bytes) -> str:
    return hashlib.sha512(plain).hexdigest()


@each(ALL)
@pytest.mark.parametrize("format", ["cobblestone-256", "auto"])
def test_decrypt_agrees(vector: dict[str, Any], format: str, tmp_path: Path) -> None:
    target = tmp_path / "plain"
    decrypt = partial(
        connectors.decrypt, io.BytesIO(vector["sealed"]), target, bytes.fromhex(vector["key"]),
        format=format, context=bytes.fromhex(vector["ctx"]),
    )  # fmt: skip
    if 0 in bytes.fromhex(vector["ctx"]):
        with pytest.raises(ConfigError, match="zero byte"):
            decrypt()
    elif vector["result"] == "valid":
        decrypt()
        assert target.stat().st_size == vector["msgLength"]
        assert digest(target.read_bytes()) == vector["msgSha512"]
    else:
        with pytest.raises(InvalidKey if "InvalidKeySize" in vector["flags"] else IntegrityError):
            decrypt()
        assert not list(tmp_path.iterdir())


@each(VALID)
def test_random_access_gives_the_message_and_nothing_else(vector: dict[str, Any]) -> None:
    with opening(vector)() as file:
        plain = file.read()
        size = vector["msgLength"]
        assert file.seek(0, os.SEEK_END) == size == len(plain)
        assert digest(plain) == vector["msgSha512"]
        assert file.read() == b""
        pieces = [(start, min(start + LAYOUT.chunk, size)) for start in range(0, size, LAYOUT.chunk)]
        random.Random(vector["tcId"]).shuffle(pieces)
        for start, stop in pieces:
            file.seek(start - size, os.SEEK_END)
            buffer = bytearray(stop - start)
            assert file.readinto(buffer) == len(buffer)
            assert buffer == plain[start:stop]


@each(REFUSED)
def test_an_object_without_a_valid_end_does_not_open(vector: dict[str, Any]) -> None:
    flags = vector["flags"]
    with pytest.raises(InvalidKey if "InvalidKeySize" in flags else IntegrityError) as caught:
        opening(vector, format="cobblestone-256")()
    if "WrongKey" in flags or "WrongContext" in flags:
        assert caught.type is WrongKey
    if "Truncation" in flags and "HeaderFailure" in flags:
        assert caught.type is TruncatedObject


@each(VALID_FINAL_CHUNK)
def test_nothing_beyond_the_valid_prefix_leaves(vector: dict[str, Any]) -> None:
    prefix, final = vector.get("msgLength", 0), 0
    file = opening(vector, format="cobblestone-256")()
    raw = file.raw
    left = bytearray()
    with pytest.raises(IntegrityError):
        while piece := raw.read(1):
            left += piece
    assert len(left) == prefix
    assert digest(left) == vector.get("msgSha512", digest(b""))
    # Every chunk by itself: one that is not valid gives nothing, also not to a buffer, and goes on failing.
    rejected = 0
    for start in range(0, raw.size, LAYOUT.chunk):
        buffer = bytearray(b"\xee" * LAYOUT.chunk)
        for _ in range(2):
            raw.seek(start)
            try:
                final = raw.readinto(buffer)
            except IntegrityError:
                rejected += 1
                assert bytes(buffer) == b"\xee" * LAYOUT.chunk
    assert rejected >= 2
    assert final == raw.size - start


def test_a_prefix_is_read_before_the_broken_chunk_is_met(vectors: dict[int, dict[str, Any]]) -> None:
    vector = {**vectors[13], "sealed": zlib.decompress(bytes.fromhex(vectors[13]["ct"]))}
    with opening(vector)() as file:
        assert digest(file.read(vector["msgLength"])) == vector["msgSha512"]
        with pytest.raises(IntegrityError, match="chunk 1 "):
            file.read(1)
