"""The format s3-encryption-client without a store: keys are wrapped here, and properties kept beside the sealed bytes."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from sealing import Recorded, boundary_sizes, plain_bytes

from connectors.errors import (
    ConfigError,
    ConnectorError,
    IntegrityError,
    KeyRefused,
    NotSupported,
    ObjectNotFound,
    TruncatedObject,
    WrongKey,
)
from connectors.formats import S3EncryptionClient, select
from connectors.formats.client_metadata import read_envelope
from connectors.secrets import SecretKey
from connectors.streams import SealedObject, SealedWriter, buffered
from connectors.streams.sinks import FileSink

CONTEXT = {"dataset": "conditions"}
LAYOUT = S3EncryptionClient.layout
MEMBERS = {f"x-amz-{one}" for one in ("3", "c", "d", "i", "m", "t", "w", "key", "key-v2", "iv", "cek-alg", "wrap-alg")}
GIB = 1 << 30


class Keys:
    """Wraps keys by AES-GCM, with the context as additional data, as AWS KMS does."""

    def __init__(self, context: dict[str, str] = CONTEXT) -> None:
        self.context = context
        self.asked = 0
        self._aead = AESGCM(bytes(range(32)))

    def open(self, wrapped: bytes, context: Mapping[str, str]) -> SecretKey:
        self.asked += 1
        try:
            return SecretKey(self._aead.decrypt(wrapped[:12], wrapped[12:], self._bound(context)))
        except (InvalidTag, ValueError):
            raise KeyRefused("wrapped otherwise") from None

    def seal(self, key: SecretKey, context: Mapping[str, str]) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._aead.encrypt(nonce, key.reveal(), self._bound(context))

    @staticmethod
    def _bound(context: Mapping[str, str]) -> bytes:
        return json.dumps(dict(context), sort_keys=True).encode()


class Kept(Recorded):
    """A source of sealed bytes with properties."""

    def __init__(self, data: bytes, properties: Mapping[str, str], **options: Any) -> None:
        super().__init__(data, **options)
        self.kept = properties

    def properties(self) -> Mapping[str, str]:
        return self.kept

    def read_beside(self, suffix: str, most: int) -> bytes:
        raise ObjectNotFound(suffix)


class Store(io.BytesIO):
    """A sink that keeps properties."""

    kept: Mapping[str, str]

    def set_properties(self, properties: Mapping[str, str]) -> None:
        self.kept = properties

    def commit(self) -> None: ...

    def discard(self) -> None: ...

    writable = None  # else it would be taken for a file


def codec(**options: Any) -> S3EncryptionClient:
    return S3EncryptionClient(Keys(), **options)


def sealed(plain: bytes) -> Kept:
    store = Store()
    with SealedWriter(store, codec()) as writer:
        writer.write(plain)
    return Kept(store.getvalue(), store.kept)


def unsealed(source: Kept, **options: Any) -> bytes:
    with buffered(source, codec(**options)) as file:
        return file.read()


def uncommitted(plain: bytes, **changes: str) -> Kept:
    """Seal as the client did before it had commitments."""
    key, nonce = SecretKey.generate(), os.urandom(12)
    context = {**CONTEXT, "aws:x-amz-cek-alg": "AES/GCM/NoPadding"}
    properties = {
        "x-amz-key-v2": base64.b64encode(Keys().seal(key, context)).decode(),
        "x-amz-iv": base64.b64encode(nonce).decode(),
        "x-amz-cek-alg": "AES/GCM/NoPadding",
        "x-amz-wrap-alg": "kms+context",
        "x-amz-matdesc": json.dumps(context),
        "x-amz-tag-len": "128",
    }
    return Kept(AESGCM(key.reveal()).encrypt(nonce, plain, None), {**properties, **changes})


class TestObjects:
    def test_what_is_sealed_is_opened_at_sizes_around_each_border(self) -> None:
        for size in boundary_sizes(LAYOUT):
            source = sealed(plain_bytes(size))
            assert len(source.data) == LAYOUT.sealed_size(size) == size + 16
            assert unsealed(source) == plain_bytes(size)

    @pytest.mark.parametrize("size", [0, 1, 5000, 300_000])
    def test_objects_without_commitment_are_opened_if_allowed(self, size: int) -> None:
        source = uncommitted(plain_bytes(size))
        assert unsealed(source, allow_uncommitted=True) == plain_bytes(size)
        with pytest.raises(NotSupported, match="allow_uncommitted"):
            unsealed(source)

    def test_every_changed_byte_is_detected(self) -> None:
        source = sealed(b"37.2")
        for at in range(len(source.data)):
            changed = bytearray(source.data)
            changed[at] ^= 0x80
            with pytest.raises(IntegrityError, match="tag does not verify"):
                unsealed(Kept(bytes(changed), source.kept))

    def test_other_bytes_on_a_second_read_are_detected(self) -> None:
        source = sealed(plain_bytes(17 << 20))

        def lie(start: int, count: int, data: bytes) -> bytes:
            return bytes([data[0] ^ 1]) + data[1:] if count > first else data

        lying, first = Kept(source.data, source.kept, change=lie), 1 << 30
        opened = SealedObject(lying, codec())
        first = len(lying.ranges)
        out = memoryview(bytearray(LAYOUT.chunk))
        with pytest.raises(IntegrityError, match="other bytes on a second read"):
            opened.read_run(3, 1, out)
        assert not any(out)

    @pytest.mark.parametrize("size", range(16))
    def test_what_is_shorter_than_an_empty_message_is_refused(self, size: int) -> None:
        with pytest.raises(TruncatedObject):
            unsealed(Kept(bytes(size), sealed(b"").kept))

    def test_object_over_64_gib_is_refused_by_its_size_alone(self) -> None:
        source = sealed(b"")
        with pytest.raises(TruncatedObject, match="more than its format allows"):
            unsealed(Kept(bytes(100_000), source.kept, size=64 * GIB - 15))

    def test_wrong_key_is_told_by_one_request(self) -> None:
        source = sealed(plain_bytes(20 << 20))
        source.kept = {**source.kept, "x-amz-d": sealed(b"").kept["x-amz-d"]}
        with pytest.raises(WrongKey, match="commitment"):
            unsealed(source)
        assert len(source.ranges) == 1

    def test_each_object_has_its_own_key(self) -> None:
        one, other = sealed(b"37.2"), sealed(b"37.2")
        assert one.data[:4] != other.data[:4]
        assert all(one.kept[name] != other.kept[name] for name in ("x-amz-3", "x-amz-d", "x-amz-i"))
        with pytest.raises(IntegrityError):
            unsealed(Kept(one.data, other.kept))

    def test_pin_is_of_one_sealing(self) -> None:
        one, other = sealed(b"37.2"), sealed(b"37.2")
        pins = [SealedObject(source, codec()).pin for source in (one, one, other)]
        assert pins[0] == pins[1] != pins[2]


class TestFormat:
    def test_it_is_not_made_with_a_key(self) -> None:
        with pytest.raises(ConfigError, match="unknown format"):
            select("s3-encryption-client", bytes(32))

    def test_it_reads_nothing_without_properties(self) -> None:
        with pytest.raises(NotSupported, match="together with its metadata"):
            codec().decryptor(b"", 16)
        with pytest.raises(NotSupported, match="for S3 only"):
            buffered(Recorded(bytes(100)), codec())

    def test_it_writes_nothing_without_properties(self) -> None:
        written = io.BytesIO()
        with pytest.raises(NotSupported, match="for S3 only"):
            SealedWriter(FileSink(written), codec())
        assert written.getvalue() == b""

    def test_it_binds_no_names(self) -> None:
        with pytest.raises(ConfigError, match='"bind": "none"'):
            codec().bound("one.csv")

    def test_its_repr_is_its_name(self) -> None:
        assert repr(codec()) == "<S3EncryptionClient s3-encryption-client>"


class TestMetadata:
    @staticmethod
    def refused(properties: Mapping[str, str], **options: Any) -> ConnectorError:
        with pytest.raises(ConnectorError) as caught:
            unsealed(Kept(bytes(100), properties), **options)
        return caught.value

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"x-amz-cek-alg": "AES/CBC/PKCS5Padding"}, "AES/CBC/PKCS5Padding .*does not detect changes"),
            ({"x-amz-wrap-alg": "kms"}, "key wrapping kms .*binds the key to no content algorithm"),
            ({"x-amz-wrap-alg": "AES/GCM"}, "key wrapping AES/GCM"),
            ({"x-amz-wrap-alg": "RSA-OAEP-SHA1"}, "key wrapping RSA-OAEP-SHA1"),
        ],
    )
    def test_what_is_not_read_is_named(self, changes: dict[str, str], named: str) -> None:
        error = self.refused({**uncommitted(b"").kept, **changes}, allow_uncommitted=True)
        assert isinstance(error, NotSupported)
        with pytest.raises(NotSupported, match=named):
            raise error

    @pytest.mark.parametrize(("wrapping", "named"), [("02", "AES/GCM"), ("22", "RSA-OAEP-SHA1")])
    def test_other_wrapping_is_named(self, wrapping: str, named: str) -> None:
        error = self.refused({**sealed(b"").kept, "x-amz-w": wrapping})
        assert isinstance(error, NotSupported)
        assert f"key wrapping {named}" in str(error)

    def test_first_version_is_named(self) -> None:
        error = self.refused({"x-amz-key": "AA==", "x-amz-iv": "AA==", "x-amz-matdesc": "{}"})
        assert isinstance(error, NotSupported)
        assert "V1" in str(error)

    @pytest.mark.parametrize("name", ["x-amz-3", "x-amz-c", "x-amz-d", "x-amz-i", "x-amz-t", "x-amz-w"])
    @pytest.mark.parametrize("value", [None, "", "x", "AAAA", "%%%%", "[]", '{"a": 1}', "[" * 100_000, "\udc80"])
    def test_invalid_members_are_refused(self, name: str, value: str | None) -> None:
        properties = {**sealed(b"").kept, name: value or ""}
        if value is None:
            del properties[name]
        assert isinstance(self.refused(properties), (IntegrityError, KeyRefused))

    @pytest.mark.parametrize("name", ["x-amz-key-v2", "x-amz-iv", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-matdesc"])
    @pytest.mark.parametrize("value", [None, "", "x", "AAAA", "{}"])
    def test_invalid_members_of_the_older_kind_are_refused(self, name: str, value: str | None) -> None:
        properties = {**uncommitted(b"").kept, name: value or ""}
        if value is None:
            del properties[name]
        assert isinstance(self.refused(properties, allow_uncommitted=True), (IntegrityError, KeyRefused))

    @pytest.mark.parametrize("size", ["0", "96", "127", "x"])
    def test_short_tags_are_refused(self, size: str) -> None:
        error = self.refused({**uncommitted(b"").kept, "x-amz-tag-len": size}, allow_uncommitted=True)
        assert isinstance(error, IntegrityError)

    @pytest.mark.parametrize("name", ["x-amz-key", "x-amz-key-v2", "x-amz-iv", "x-amz-cek-alg", "x-amz-matdesc"])
    def test_mixed_versions_are_refused(self, name: str) -> None:
        older = {"x-amz-key": "AAAA", **uncommitted(b"").kept}
        error = self.refused({**sealed(b"").kept, name: older[name]}, allow_uncommitted=True)
        assert isinstance(error, IntegrityError)
        assert "mixes versions" in str(error)

    @pytest.mark.parametrize("algorithm", ["115", "AES/GCM/NoPadding"])
    def test_key_of_another_algorithm_is_refused(self, algorithm: str) -> None:
        context = json.dumps({**CONTEXT, "aws:x-amz-cek-alg": algorithm})
        name, kept = ("x-amz-matdesc", uncommitted(b"").kept) if algorithm == "115" else ("x-amz-t", sealed(b"").kept)
        error = self.refused({**kept, name: context}, allow_uncommitted=True)
        assert "not wrapped for this content algorithm" in str(error)

    def test_other_metadata_is_ignored(self) -> None:
        source = sealed(b"37.2")
        source.kept = {**source.kept, "patient-group": "north", "x-amz-unencrypted-content-length": "4"}
        assert unsealed(source) == b"37.2"

    def test_other_context_is_refused_without_asking_for_the_key(self) -> None:
        source, keys = sealed(b"37.2"), Keys({"dataset": "other"})
        with pytest.raises(WrongKey, match="another encryption context"):
            buffered(source, S3EncryptionClient(keys))
        assert keys.asked == 0

    @given(
        changes=st.dictionaries(
            st.sampled_from(sorted(MEMBERS)),
            st.none() | st.text(max_size=40) | st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
            min_size=1,
        ),
        allowed=st.booleans(),
        older=st.booleans(),
    )
    def test_changed_metadata_never_releases_other_bytes(
        self, changes: dict[str, str | None], allowed: bool, older: bool
    ) -> None:
        source = uncommitted(b"37.2") if older else sealed(b"37.2")
        merged = {**source.kept, **changes}
        source.kept = {name: value for name, value in merged.items() if value is not None}
        with contextlib.suppress(IntegrityError, KeyRefused, NotSupported):
            assert unsealed(source, allow_uncommitted=allowed) == b"37.2"

    @given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def test_no_instruction_file_breaks_the_reader(self, data: bytes) -> None:
        with pytest.raises((IntegrityError, NotSupported)):
            read_envelope({}, lambda suffix: data)

    def test_envelope_shows_what_it_was_read_from(self) -> None:
        envelope = read_envelope(sealed(b"").kept, lambda suffix: b"")
        assert (envelope.algorithm, envelope.context) == ("115", CONTEXT)
        assert (len(envelope.unique), len(envelope.commitment)) == (28, 28)
