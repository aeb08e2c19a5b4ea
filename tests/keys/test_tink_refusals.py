"""Keysets of Tink that cannot be used, and that are shown nowhere."""

from __future__ import annotations

import base64
import contextlib
import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from keysets import (
    AEADS,
    KEY,
    Encrypted,
    as_binary,
    as_json,
    dataset,
    key_of,
    parsed_by_tink,
)
from tink import aead, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2

from connectors.errors import ConfigError, InvalidCredentials, InvalidKey, KeyRefused
from connectors.keys import key_id, reference, resolve, source_of, wrapping
from connectors.keys.keysets import parse_keyset, plain_keyset
from connectors.keys.protobuf import Malformed, message, parsed
from connectors.secrets import Hidden, SecretKey, TinkKey
from connectors.testing.tools import leaks_among

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    streaming_aead.register()
    aead.register()


def keyset(**changes: Any) -> dict[str, Any]:
    """Return a keyset in JSON, with members of its key changed."""
    made = plain_keyset(KEY, 4096)
    made["key"][0].update(changes)
    return made


def of_type(name: str, value: bytes, material: str = "SYMMETRIC") -> dict[str, Any]:
    url = f"type.googleapis.com/google.crypto.tink.{name}"
    data = {"typeUrl": url, "value": base64.b64encode(value).decode(), "keyMaterialType": material}
    return keyset(keyData=data)


def streaming(**changes: Any) -> dict[str, Any]:
    options = {"ciphertext_segment_size": 4096, "derived_key_size": 32, "hkdf_hash_type": common_pb2.SHA256, **changes}
    value, version = options.pop("value", KEY.reveal()), options.pop("version", 0)
    made = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
        version=version,
        key_value=value,
        params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(**options),
    )
    return of_type("AesGcmHkdfStreamingKey", made.SerializeToString())


BINARY = (
    "CIfuwKgDEnoKbgo9dHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbmsuQWVzR2NtSGtkZlN0cmVhbWluZ0tleRIrEgcIgCAQIBgDGi"
    "Dsnb8yaPz3+977rcW7GZr2gjWLq1GKLyPEUkdVQHwt4RgBEAEYh+7AqAMgAw=="
)
"""A keyset that tink-py 1.16.1 wrote."""


def two_keys() -> dict[str, Any]:
    one, other = plain_keyset(KEY, 4096), plain_keyset(SecretKey.generate(), 4096)
    return {**one, "key": one["key"] + other["key"]}


REFUSED = {
    "two enabled keys": (two_keys, "has 2 enabled keys.*only the one that is needed"),
    "none is enabled": (lambda: keyset(status="DISABLED"), "none of its keys is enabled"),
    "unknown status": (lambda: keyset(status="NEW"), "the status of a key is not known"),
    "another primary key": (lambda: {**keyset(), "primaryKeyId": 7}, "its primary key is not its enabled one"),
    "no keys": (lambda: {"primaryKeyId": 7}, "it has no keys"),
    "no primary key": (lambda: {"key": keyset()["key"]}, "primaryKeyId of the Tink keyset is missing"),
    "id of text": (lambda: keyset(keyId="7"), "keyId of the Tink keyset is missing, or not a number"),
    "output prefix": (lambda: keyset(outputPrefixType="TINK"), "has the output prefix TINK; streams have none: RAW"),
    "another type": (lambda: of_type("XChaCha20Poly1305Key", b""), "is of type XChaCha20Poly1305Key; datasets need"),
    "asymmetric": (lambda: of_type("AesGcmHkdfStreamingKey", b"", "REMOTE"), "datasets need AesGcmHkdfStreamingKey"),
    "AES-128": (
        lambda: streaming(derived_key_size=16),
        r"under 16 bytes \(AES-128\); tink-gcm-hkdf is AES256_GCM_HKDF",
    ),
    "another hash": (lambda: streaming(hkdf_hash_type=common_pb2.SHA512), "derives keys with SHA512"),
    "long key": (lambda: streaming(value=bytes(64)), "key has 64 bytes; 32 are needed"),
    "version": (lambda: streaming(version=1), "of version 1; only 0 is known"),
    "unknown field": (lambda: of_type("AesGcmHkdfStreamingKey", b"\x20\x01"), "a field 4 that is not known"),
    "cut off": (lambda: of_type("AesGcmHkdfStreamingKey", b"\x1a\x20abc"), "it is cut off, or no keyset"),
    "no base64": (lambda: keyset(keyData={"value": "%%"}), "is not base64: it was cut short or changed"),
    "key of text": (lambda: {**keyset(), "key": ["a"]}, "is not an object with keyData"),
    "AES-GCM-SIV": (lambda: of_type("AesGcmSivKey", b""), "is of type AesGcmSivKey"),
    "text": (lambda: "no base64!", "it is not base64 of a binary Tink keyset"),
    "JSON in text": (lambda: json.dumps(keyset()), "is an object, without quotation marks around it"),
    "other objects": (lambda: {"key": [b"a"]}, "the Tink keyset is not valid JSON"),
    "half of a pair": (lambda: {"key": "\ud800"}, "primaryKeyId of the Tink keyset is missing"),
    "number": (lambda: 7, "a Tink keyset is a JSON object, or base64 of its binary form"),
    "nothing": (lambda: "", "it has no keys"),
    "encrypted": (lambda: {"encryptedKeyset": "AAAA"}, "is encrypted; name the key that encrypts it"),
}


class TestRefusals:
    @pytest.mark.parametrize("case", REFUSED)
    def test_keyset_that_cannot_be_used_is_refused(self, case: str) -> None:
        make, told = REFUSED[case]
        with pytest.raises(InvalidCredentials, match=told) as caught:
            reference({"source": "tink", "keyset": make()})
        raw = KEY.reveal()
        assert leaks_among([raw.hex(), base64.b64encode(raw).decode(), repr(raw)[2:-1]], caught.value) == []

    def test_every_cut_of_a_binary_keyset_is_refused(self) -> None:
        whole = base64.b64decode(as_binary(parsed_by_tink(keyset())))
        for size in range(len(whole)):
            with pytest.raises(InvalidCredentials):
                reference({"source": "tink", "keyset": base64.b64encode(whole[:size]).decode()})

    @given(st.data())
    @settings(max_examples=300, deadline=None)
    def test_changed_keysets_are_refused_or_valid(self, data: st.DataObject) -> None:
        whole = bytearray(base64.b64decode(BINARY))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(whole) - 1))
            whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
            with contextlib.suppress(InvalidKey):
                parse_keyset(Hidden(bytes(whole)))
        junk = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=5)
        made = keyset()
        inside = data.draw(st.sampled_from([made, made["key"][0], made["key"][0]["keyData"]]))
        inside[data.draw(st.sampled_from(sorted(inside)))] = data.draw(junk)
        with contextlib.suppress(InvalidKey):
            parse_keyset(Hidden(made))

    def test_disabled_and_destroyed_keys_are_ignored(self) -> None:
        made = two_keys()
        made["key"][1]["status"] = "DISABLED"
        made["key"].append({"status": "DESTROYED", "keyId": 9, "outputPrefixType": "RAW"})
        assert key_of({"source": "tink", "keyset": made}) == KEY
        assert key_of({"source": "tink", "keyset": as_binary(parsed_by_tink(made))}) == KEY

    @pytest.mark.parametrize(
        ("members", "told"),
        [
            ({}, "give the keyset in one way: keyset or path"),
            ({"keyset": keyset(), "path": "a"}, "give the keyset in one way: keyset or path"),
            ({"keyset": keyset(), "by": {"source": "file", "path": "a"}}, "is not encrypted, and needs no key in `by`"),
            ({"keyset": keyset(), "associated_data": "a"}, "only an encrypted keyset has it"),
        ],
    )
    def test_members_that_do_not_go_together_are_refused(self, members: dict[str, Any], told: str) -> None:
        with pytest.raises(InvalidCredentials, match=told):
            reference({"source": "tink", **members})

    def test_changed_encrypted_keyset_is_refused(self, tmp_path: Path) -> None:
        document = Encrypted(tmp_path).hold(KEY)
        sealed = base64.b64decode(document["keyset"]["encryptedKeyset"])
        for at in range(0, len(sealed), 7):
            changed = bytearray(sealed)
            changed[at] ^= 1
            text = base64.b64encode(changed).decode()
            with pytest.raises(KeyRefused, match="is not encrypted by the key file .*kek"):
                key_of({**document, "keyset": {"encryptedKeyset": text}})
        with pytest.raises(KeyRefused, match="with other associated data"):
            key_of({**document, "associated_data": "other"})

    def test_streaming_key_encrypts_no_keyset(self, tmp_path: Path) -> None:
        service = Encrypted(tmp_path)
        document = service.hold(KEY)
        service.kek.write_text(json.dumps(keyset()))
        with pytest.raises(InvalidKey, match="has a key for streams; it needs one of the type AesGcmKey"):
            key_of(document)

    def test_aead_key_encrypts_no_dataset(self) -> None:
        made = dataset({"source": "tink", "keyset": as_json(tink.new_keyset_handle(AEADS.AES256_GCM))})
        with pytest.raises(ConfigError, match="encrypts keysets; datasets need AES256_GCM_HKDF"):
            made.write_bytes(b"")

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"format": "cobblestone-256"}, "for the format tink-gcm-hkdf and no other; cobblestone-256 needs"),
            ({"format": "gcm"}, "for the format tink-gcm-hkdf and no other; gcm needs"),
            ({"segment_size": 8192}, "segment_size is 8192, and that of the Tink keyset 4096; leave"),
            ({"former_keys": ["00" * 32]}, "former keys need the format cobblestone-256"),
        ],
    )
    def test_options_that_contradict_the_keyset_are_refused(self, options: dict[str, Any], told: str) -> None:
        with pytest.raises(ConfigError, match=told):
            dataset({"source": "tink", "keyset": keyset()}, **options).write_bytes(b"")

    def test_keyset_wraps_no_other_key(self) -> None:
        place = wrapping({"source": "wrapped", "by": {"source": "tink", "keyset": keyset()}})
        with pytest.raises(ConfigError, match="by: a Tink keyset encrypts keysets, and wraps no other keys"):
            source_of("wrapped").wrap(KEY, place, None)

    def test_keyset_is_no_former_key(self) -> None:
        with pytest.raises(InvalidCredentials, match="former_keys: a Tink keyset is for tink-gcm-hkdf"):
            dataset("00" * 32, former_keys=[{"source": "tink", "keyset": keyset()}])

    @pytest.mark.parametrize("size", [56, 1 << 27])
    def test_segments_that_no_object_has_are_refused(self, size: int) -> None:
        made = dataset({"source": "tink", "keyset": streaming(ciphertext_segment_size=size)})
        with pytest.raises(ConfigError, match=f"segment_size is 57 to 67108864 bytes, not {size}"):
            made.write_bytes(b"")


class TestSecrets:
    def test_plain_keyset_is_shown_nowhere(self) -> None:
        made = keyset()
        value = made["key"][0]["keyData"]["value"]
        found = reference({"source": "tink", "keyset": made})
        opened = dataset({"source": "tink", "keyset": made})
        shown = [found, str(found), found.model_dump(), found.model_dump_json(), vars(found), opened.credentials]
        shown += [source_of("tink").holder(found), resolve(found), vars(opened)]
        assert leaks_among([value, KEY.reveal().hex()], *shown) == []
        assert found.document() == {"source": "tink", "keyset": made}
        assert reference(found.document()) == found

    @pytest.mark.parametrize(
        "case", ["none is enabled", "another hash", "long key", "unknown field", "two enabled keys"]
    )
    def test_traceback_with_locals_shows_no_key(self, case: str) -> None:
        hidden = Hidden({"source": "tink", "keyset": REFUSED[case][0]()})
        secrets = [one["keyData"]["value"] for one in hidden.reveal()["keyset"]["key"]]
        secrets += [KEY.reveal().hex(), repr(KEY.reveal())[2:-1]]
        with pytest.raises(InvalidCredentials) as caught:
            reference(hidden)
        error = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # without the frame of this test
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert leaks_among(secrets, "".join(trace.format())) == []

    def test_wrapping_keys_are_wrapped_once_at_most(self) -> None:
        document: dict[str, Any] = {"source": "file", "path": "a"}
        for _ in range(300):
            document = {"source": "tink", "keyset": {"encryptedKeyset": "AAAA"}, "by": document}
        with pytest.raises(InvalidCredentials, match="a key that wraps a wrapping key is not wrapped itself"):
            reference(document)

    def test_key_is_the_same_in_every_form(self) -> None:
        found = key_of({"source": "tink", "keyset": keyset()})
        assert isinstance(found, TinkKey)
        assert (found.segment_size, found, key_id(found)) == (4096, KEY, key_id(KEY))
        with pytest.raises(InvalidCredentials, match="names a Tink key by its keyset"):
            dataset(found)


class TestProtobuf:
    def test_fields_are_read_as_they_were_written(self) -> None:
        data = message([(1, 300), (2, b"a"), (2, b""), (3, b"bc"), (4, 0), (5, (1 << 32) - 1)])
        found, listed = parsed(data, {1: int, 3: bytes, 4: int, 5: int}, repeated=2)
        assert (found, listed) == ({1: 300, 3: b"bc", 4: 0, 5: (1 << 32) - 1}, [b"a"])

    @pytest.mark.parametrize(
        "data",
        [
            b"\x08", b"\x08\x80", b"\x08\x80\x00", b"\x08\xff\xff\xff\xff\x1f", b"\x08\x01\x08\x01", b"\x0a\x01a",
            b"\x12\x02a", b"\x10\x01", b"\x00\x01", b"\x02\x00", b"\x0d\0\0\0\0", b"\x09" + bytes(8), b"\x88\x00\x01",
        ],
    )  # fmt: skip
    def test_other_bytes_are_refused(self, data: bytes) -> None:
        with pytest.raises(Malformed):
            parsed(data, {1: int, 2: bytes})
