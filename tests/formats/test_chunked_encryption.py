"""The 102 vectors of `cryptography-vectors` for C2SP's chunked encryption, of which cobblestone-256 is an instance.

They are of other instances: HKDF with SHA-256, and one of three AEADs. So they are read twice. `Instance` is our code
with the key derivation of a vector: layout, nonces, tags, the commitment and random access are those of cobblestone-256.
And the public API, which has no such instance, refuses every one of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import zlib
from typing import Any, NoReturn

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

import connectors
from connectors.errors import ConfigError, IntegrityError, InvalidKey, TruncatedObject, WrongKey
from connectors.formats.cobblestone import COMMITMENT_SIZE, LAYOUT, SALT_SIZE, Cobblestone256
from connectors.secrets import SecretKey
from connectors.streams.reader import SealedReader
from connectors.streams.sources import as_source

CIPHERS = {
    "AEAD_AES_128_GCM": (AESGCM, 16),
    "AEAD_AES_256_GCM": (AESGCM, 32),
    "AEAD_CHACHA20_POLY1305": (ChaCha20Poly1305, 32),
}


class Instance(Cobblestone256):
    """Chunked encryption with the key derivation and the AEAD of a vector.

    The library's decryptor has no such instance, so every chunk is decrypted by itself, as in random access.
    """

    def __init__(self, vector: dict[str, Any]) -> None:
        super().__init__(SecretKey(bytes(32)), vector["context"].encode())
        self._input, self._aead = bytes.fromhex(vector["key"]), vector["aead"]
        self._expected = vector.get("aead_key"), vector.get("base_nonce")

    def _derive(self, salt: bytes) -> tuple[Any, bytes, bytes]:
        cipher, size = CIPHERS[self._aead]
        info = f"c2sp.org/chunked-encryption@v1+{self._aead}\0".encode() + salt + self._context
        derived = HKDFExpand(SHA256(), size + 12 + COMMITMENT_SIZE, info).derive(self._input)
        key, nonce, commitment = derived[:size], derived[size : size + 12], derived[size + 12 :]
        if self._expected != (None, None):
            assert self._expected == (key.hex(), nonce.hex())
        return cipher(key), nonce, commitment

    def _from_start(self, header: bytes) -> Any:
        return _NoLibrary()


class _NoLibrary:
    def update_into(self, data: Any, buffer: Any) -> NoReturn:
        raise InvalidTag


def _read() -> list[dict[str, Any]]:
    with cryptography_vectors.open_vector_file("chunked-encryption/vectors.json", "r") as file:
        vectors: list[dict[str, Any]] = json.load(file)["vectors"]
    for vector in vectors:
        sealed = base64.b64decode(vector["ciphertext"] or "")
        vector["sealed"] = zlib.decompress(sealed) if vector.get("compressed") else sealed
    return vectors


VECTORS = _read()
WRONG_SIZE = ("short_key", "long_key")
KEYED = [one for one in VECTORS if not one["name"].endswith(WRONG_SIZE)]
"""All but those whose key has a wrong size: no instance takes it."""
VALID_END = ("bad_tag_second_chunk_full", "bad_tag_first_chunk", "swapped_chunks", "duplicated_chunk")
"""Ends of the names of those that are invalid, but not in their last chunk: they open, and reading them fails."""


def each(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=[one["name"] for one in vectors])


def digest(plain: bytes | bytearray) -> str:
    return hashlib.sha256(plain).hexdigest()


def opened(vector: dict[str, Any]) -> SealedReader:
    return SealedReader(as_source(io.BytesIO(vector["sealed"])), Instance(vector))


def test_all_vectors_are_there() -> None:
    assert len(VECTORS) == 102
    assert len(KEYED) == 96
    assert sum(one["expect"] == "success" for one in KEYED) == 27


@each([one for one in KEYED if one["expect"] == "success"])
def test_message_is_read_in_order_and_by_random_access(vector: dict[str, Any]) -> None:
    size = vector["payload_length"]
    with opened(vector) as file:
        plain = file.readall()
        assert file.seek(0, os.SEEK_END) == size == len(plain)
        assert digest(plain) == vector["payload_sha256"]
        starts = list(range(0, size, LAYOUT.chunk))
        random.Random(vector["name"]).shuffle(starts)
        for start in starts:
            buffer = bytearray(min(LAYOUT.chunk, size - start))
            file.seek(start)
            assert file.readinto(buffer) == len(buffer)
            assert buffer == plain[start : start + len(buffer)]


@each([one for one in KEYED if one["expect"] == "failure" and not one["name"].endswith(VALID_END)])
def test_object_without_a_valid_end_does_not_open(vector: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError) as caught:
        opened(vector)
    if vector["name"].endswith(("wrong_key", "wrong_context", "wrong_commitment", "wrong_salt")):
        assert caught.type is WrongKey
    if len(vector["sealed"]) < SALT_SIZE + COMMITMENT_SIZE + LAYOUT.tag:
        assert caught.type is TruncatedObject


@each([one for one in KEYED if one["expect"] == "failure" and one["name"].endswith(VALID_END)])
def test_nothing_beyond_the_valid_prefix_is_returned(vector: dict[str, Any]) -> None:
    left = bytearray()
    with opened(vector) as file:
        with pytest.raises(IntegrityError):
            while piece := file.read(LAYOUT.chunk):
                left += piece
    assert len(left) == vector.get("payload_length", 0)
    assert digest(left) == vector.get("payload_sha256", digest(b""))


@each(VECTORS)
@pytest.mark.parametrize("format", ["cobblestone-256", "auto"])
def test_object_of_another_instance_is_refused(vector: dict[str, Any], format: str) -> None:
    key, context = bytes.fromhex(vector["key"]), vector["context"].encode()
    refused = ConfigError if 0 in context else IntegrityError
    with pytest.raises(refused if len(key) == 32 else InvalidKey):
        connectors.open_reader(io.BytesIO(vector["sealed"]), key, context=context, format=format)
