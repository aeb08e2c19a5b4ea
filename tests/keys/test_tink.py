"""Keysets of Tink as keys: its own library writes what we read, and reads what we write."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
import tink
from keysets import (
    AEADS,
    CONTEXTS,
    KEY,
    PLAIN,
    RAW_AEAD,
    TEMPLATES,
    TOKEN,
    Encrypted,
    as_binary,
    as_json,
    context_of,
    dataset,
    key_of,
    parsed_by_tink,
    read_by_tink,
    sealed_bytes,
    written_by_tink,
)
from tink import aead, streaming_aead

import connectors
from connectors.keys import source_of, wrapping
from connectors.keys.keysets import plain_keyset
from connectors.secrets import SecretKey
from connectors.testing import KeyService, KeySourceContract
from connectors.testing.tools import overrides_contract

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    streaming_aead.register()
    aead.register()


class TestContract(KeySourceContract):
    @pytest.fixture
    def service(self, tmp_path: Path) -> Encrypted:
        return Encrypted(tmp_path)

    @overrides_contract("its key is for tink-gcm-hkdf, which a raw key has to name")
    def test_dataset_is_written_and_read_with_a_reference(self, service: KeyService, key: SecretKey) -> None:
        made = dataset(service.hold(key))
        made.write_bytes(b"37.2")
        assert made.read_bytes() == b"37.2"
        raw = {"encryption": {"key": key, "format": "tink-gcm-hkdf"}}
        assert connectors.Dataset(made.location, raw).read_bytes() == b"37.2"


class TestExchange:
    @pytest.mark.parametrize("form", [as_json, as_binary])
    @pytest.mark.parametrize("template", ["AES256_GCM_HKDF_4KB", "AES256_GCM_HKDF_1MB"])
    @pytest.mark.parametrize("context", CONTEXTS)
    def test_both_read_what_the_other_wrote(self, form: Any, template: str, context: str) -> None:
        handle = tink.new_keyset_handle(getattr(TEMPLATES, template))
        document = {"source": "tink", "keyset": form(handle)}
        theirs = dataset(document, written_by_tink(handle, context), **context_of(context))
        assert theirs.read_bytes() == PLAIN
        ours = dataset(document, **context_of(context))
        ours.write_bytes(PLAIN)
        assert read_by_tink(handle, sealed_bytes(ours), context) == PLAIN

    @pytest.mark.parametrize("kek", [AEADS.AES256_GCM, RAW_AEAD], ids=["TINK", "RAW"])
    @pytest.mark.parametrize("binary", [False, True])
    @pytest.mark.parametrize("associated", ["", "clinic"])
    def test_keyset_that_tink_encrypted_is_read(self, tmp_path: Path, kek: Any, binary: bool, associated: str) -> None:
        handle, by = tink.new_keyset_handle(TEMPLATES.AES256_GCM_HKDF_4KB), tink.new_keyset_handle(kek)
        form = tink.proto_keyset_format if binary else tink.json_proto_keyset_format
        made = form.serialize_encrypted(handle, by.primitive(aead.Aead), associated.encode())
        (tmp_path / "keyset").write_bytes(made if binary else made.encode())
        (tmp_path / "kek").write_bytes(tink.proto_keyset_format.serialize(by, TOKEN))
        for path in tmp_path.iterdir():
            path.chmod(0o600)
        document = {"source": "tink", "by": {"source": "tink", "path": "kek"}}
        document |= {"associated_data": associated} if associated else {}
        inline = base64.b64encode(made).decode() if binary else json.loads(made)
        root = str(tmp_path)
        for key in (key_of({**document, "path": "keyset"}, root), key_of({**document, "keyset": inline}, root)):
            with connectors.open_reader(io.BytesIO(written_by_tink(handle)), key) as file:
                assert file.read() == PLAIN

    def test_tink_reads_the_keyset_that_we_encrypt(self, tmp_path: Path) -> None:
        kek = Encrypted(tmp_path)
        by = parsed_by_tink(json.loads(kek.kek.read_text())).primitive(aead.Aead)
        place = wrapping({**kek.wrapping(), "segment_size": 4096, "associated_data": "clinic"})
        made = source_of("tink").wrap(KEY, place, None).document()
        handle = tink.json_proto_keyset_format.parse_encrypted(json.dumps(made["keyset"]), by, b"clinic")
        sealed = written_by_tink(handle)
        assert dataset(made, sealed).read_bytes() == PLAIN
        assert dataset(KEY, sealed, format="tink-gcm-hkdf", segment_size=4096).read_bytes() == PLAIN

    def test_raw_key_encrypts_keysets_as_tink_s_raw_aead(self, tmp_path: Path) -> None:
        by = tink.new_keyset_handle(RAW_AEAD)
        raw = base64.b64decode(as_json(by)["key"][0]["keyData"]["value"])[2:]
        (tmp_path / "kek").touch(0o600)
        (tmp_path / "kek").write_text(raw.hex())
        handle = tink.new_keyset_handle(TEMPLATES.AES256_GCM_HKDF_4KB)
        made = tink.json_proto_keyset_format.serialize_encrypted(handle, by.primitive(aead.Aead), b"")
        key = key_of(
            {"source": "tink", "keyset": json.loads(made), "by": {"source": "file", "path": f"{tmp_path}/kek"}}
        )
        assert key == key_of({"source": "tink", "keyset": as_json(handle)})

    @pytest.mark.parametrize("size", [57, 4096, 1 << 20])
    def test_tink_reads_the_keyset_of_a_raw_key(self, size: int) -> None:
        handle = parsed_by_tink(plain_keyset(KEY, size))
        ours = dataset(KEY, format="tink-gcm-hkdf", segment_size=size)
        ours.write_bytes(PLAIN)
        assert read_by_tink(handle, sealed_bytes(ours)) == PLAIN

    def test_file_source_takes_a_plain_keyset(self, tmp_path: Path) -> None:
        handle = tink.new_keyset_handle(TEMPLATES.AES256_GCM_HKDF_4KB)
        for name, data in [("a", json.dumps(as_json(handle)).encode()), ("b", base64.b64decode(as_binary(handle)))]:
            (tmp_path / name).touch(0o600)
            (tmp_path / name).write_bytes(data)
            theirs = dataset({"source": "file", "path": f"{tmp_path}/{name}"}, written_by_tink(handle))
            assert theirs.read_bytes() == PLAIN
