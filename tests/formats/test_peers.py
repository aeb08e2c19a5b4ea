"""Objects are exchanged with the other implementations of their formats, both ways."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest
import tink
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sealing import AUTO_GCM, COBBLESTONE, GCM, KEY, Case, plain_bytes
from sealing import tink as tink_case
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

import connectors
from connectors.errors import IntegrityError, WrongKey
from connectors.formats import gcm
from connectors.formats.auto import LARGEST_GCM
from connectors.formats.whole import WholeDecryptor
from connectors.secrets import SecretKey

CONTEXTS = [b"", b"input/conditions"]
LARGE = 64 << 20


def sizes(chunk: int, first: int | None = None) -> list[int]:
    first = chunk if first is None else first
    return [0, 1, first - 1, first, first + 1, first + 2 * chunk + chunk // 2, LARGE]


def ids(size: int) -> str:
    return f"{size}-bytes"


class TestCobblestoneLibrary:
    """`cryptography.cobblestone`, front to back."""

    @pytest.mark.parametrize("context", CONTEXTS)
    @pytest.mark.parametrize("size", sizes(16384), ids=ids)
    def test_it_opens_what_we_seal(self, size: int, context: bytes) -> None:
        plain = plain_bytes(size)
        sealed = io.BytesIO()
        connectors.encrypt(io.BytesIO(plain), sealed, KEY, context=context)
        decryptor = Cobblestone256Decryptor(KEY, context)
        assert decryptor.update(sealed.getvalue()) + decryptor.finalize() == plain

    @pytest.mark.parametrize("format", ["cobblestone-256", "auto"])
    @pytest.mark.parametrize("context", CONTEXTS)
    @pytest.mark.parametrize("size", sizes(16384), ids=ids)
    def test_we_open_what_it_seals(self, size: int, context: bytes, format: str) -> None:
        plain = plain_bytes(size)
        encryptor = Cobblestone256Encryptor(KEY, context)
        sealed = encryptor.update(plain) + encryptor.finalize()
        opened = io.BytesIO()
        connectors.decrypt(io.BytesIO(sealed), opened, KEY, format=format, context=context)
        assert opened.getvalue() == plain

    def test_another_context_is_refused_as_such(self) -> None:
        encryptor = Cobblestone256Encryptor(KEY, b"one")
        sealed = encryptor.update(b"plain") + encryptor.finalize()
        for format in ("cobblestone-256", "auto"):
            with pytest.raises(WrongKey, match="wrong key or context"):
                connectors.open_reader(io.BytesIO(sealed), KEY, context=b"two", format=format)


def tink_primitive(segment_size: int) -> streaming_aead.StreamingAead:
    """Tink's own streaming AEAD over a raw key that is known."""
    streaming_aead.register()
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
        version=0,
        key_value=KEY,
        params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
            ciphertext_segment_size=segment_size, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
        ),
    )
    keyset = tink_pb2.Keyset(primary_key_id=1)
    entry = keyset.key.add(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW)
    entry.key_data.type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    entry.key_data.value = key.SerializeToString()
    entry.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
    handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


class Kept(io.BytesIO):
    """Keeps its value when Tink closes it."""

    def close(self) -> None:
        pass


def tink_seal(plain: bytes, segment_size: int, context: bytes) -> bytes:
    sealed = Kept()
    with tink_primitive(segment_size).new_encrypting_stream(sealed, context) as stream:
        stream.write(plain)
    return sealed.getvalue()


def tink_open(sealed: bytes, segment_size: int, context: bytes) -> bytes:
    with tink_primitive(segment_size).new_decrypting_stream(io.BytesIO(sealed), context) as stream:
        return stream.read()


class TestTink:
    """Tink's AES256_GCM_HKDF_1MB and _4KB, in the implementation for Python."""

    @pytest.mark.parametrize("context", CONTEXTS)
    @pytest.mark.parametrize(
        ("size", "segment_size"),
        [(size, segment) for segment in (4096, 1 << 20) for size in sizes(segment - 16, segment - 56)],
    )
    def test_we_exchange_objects_both_ways(self, size: int, segment_size: int, context: bytes) -> None:
        plain = plain_bytes(size)
        case = tink_case(segment_size, context=context)
        assert tink_open(case.seal(plain), segment_size, context) == plain
        assert case.unseal(tink_seal(plain, segment_size, context)) == plain

    def test_a_full_last_segment_has_no_trailer(self) -> None:
        plain = plain_bytes(4096 - 56 + 4096 - 16)
        assert len(tink_case(4096).seal(plain)) == len(tink_seal(plain, 4096, b"")) == 8192

    @pytest.mark.parametrize("appended", [b"\0", b"\0" * 16, b"\0" * 17, b"x" * 4096])
    def test_bytes_after_a_full_last_segment_are_refused(self, appended: bytes) -> None:
        plain = plain_bytes(4096 - 56 + 4096 - 16)
        sealed = tink_seal(plain, 4096, b"")
        with pytest.raises(IntegrityError):
            tink_case(4096).open(sealed + appended)

    def test_wrong_context_or_segment_size_is_refused_and_mentioned(self) -> None:
        sealed = tink_seal(plain_bytes(10_000), 4096, b"one")
        for case in (tink_case(4096, context=b"two"), tink_case(4096), tink_case(8192, context=b"one")):
            with pytest.raises(IntegrityError, match="wrong key, context or segment size"):
                case.open(sealed)


def article_encrypt(key: bytes, plain: bytes) -> bytes:
    """The one-shot format from its description: nonce, ciphertext, tag."""
    nonce = os.urandom(12)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    ciphertext = encryptor.update(plain) + encryptor.finalize()
    return nonce + ciphertext + encryptor.tag


def article_decrypt(key: bytes, sealed: bytes) -> bytes:
    nonce, ciphertext, tag = sealed[:12], sealed[12:-16], sealed[-16:]
    decryptor = Cipher(algorithms.AES(key), modes.GCM(nonce, tag)).decryptor()
    return decryptor.update(ciphertext) + decryptor.finalize()


class TestOneShot:
    """The functions of the CCM article."""

    @pytest.mark.parametrize("size", [*sizes(1 << 18), 15, 16, 17, (1 << 16) - 28, (1 << 16) - 27, 17 << 20], ids=ids)
    def test_we_exchange_objects_both_ways(self, size: int) -> None:
        plain = plain_bytes(size)
        assert article_decrypt(KEY, GCM.seal(plain)) == plain
        sealed = article_encrypt(KEY, plain)
        assert GCM.unseal(sealed) == plain
        if len(sealed) <= LARGEST_GCM:
            assert AUTO_GCM.unseal(sealed) == plain
            return
        with pytest.raises(WrongKey, match='"format": "gcm"'):
            AUTO_GCM.unseal(sealed)

    def test_random_access_far_into_an_object_counts_blocks_rightly(self) -> None:
        plain = plain_bytes(17 << 20)
        with GCM.open(article_encrypt(KEY, plain)) as file:
            for offset in (16 << 20, 1, (1 << 18) - 1, 3 << 18, (17 << 20) - 5):
                file.seek(offset)
                assert file.read(40) == plain[offset : offset + 40]


@pytest.mark.parametrize("case", [COBBLESTONE, GCM, tink_case(4096)], ids=str)
def test_two_sealings_of_one_message_share_nothing(case: Case) -> None:
    one, other = case.seal(bytes(5000)), case.seal(bytes(5000))
    skip: Any = 1 if case.name.startswith("tink") else 0
    assert one[skip : skip + 12] != other[skip : skip + 12]
    assert one[-100:] != other[-100:]


@pytest.mark.parametrize("associated", [b"", b"\0\x73", bytes(16), b"ward 7, bed 3, week 9"])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4096, 262_144, 262_145, 1_000_003])
def test_a_tag_verified_without_decrypting_is_the_librarys(size: int, associated: bytes) -> None:
    aead, nonce, plain = AESGCM(KEY), os.urandom(12), os.urandom(size)
    sealed = aead.encrypt(nonce, plain, associated)
    decryptor = WholeDecryptor(
        "gcm", gcm.LAYOUT, SecretKey(KEY), nonce, 12 + len(sealed), start=b"", associated=associated
    )
    hashing = Cipher(algorithms.AES(KEY), modes.GCM(nonce)).encryptor()
    hashing.authenticate_additional_data(decryptor._padded() + sealed[:-16])
    hashing.finalize()
    tag = sealed[-16:]
    assert decryptor._is_tag(tag, hashing.tag)
    others = [(int.from_bytes(tag) ^ 1 << bit).to_bytes(16) for bit in range(128)]
    others += [bytes(16), tag[:15], tag + b"\0", os.urandom(16), *([hashing.tag] if size else [])]
    assert not any(decryptor._is_tag(other, hashing.tag) for other in others)
