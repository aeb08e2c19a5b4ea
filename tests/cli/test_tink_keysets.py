"""Tink's keysets on the command line: as key files, exported, and encrypted."""

from __future__ import annotations

import io
import json
import stat

import pytest
import tink
from command_line import KEY, PLAIN, connectors, names
from tink import aead, secret_key_access, streaming_aead

from connectors.keys import key_id
from connectors.secrets import SecretKey

TOKEN = secret_key_access.TOKEN


@pytest.fixture(scope="module", autouse=True)
def registered():
    streaming_aead.register()
    aead.register()


@pytest.fixture
def handle(home):
    """A keyset that Tink made, in both of its forms."""
    made = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_4KB)
    (home / "keyset.json").write_text(tink.json_proto_keyset_format.serialize(made, TOKEN))
    (home / "keyset.bin").write_bytes(tink.proto_keyset_format.serialize(made, TOKEN))
    return made


def opened_by_tink(handle, sealed):
    return handle.primitive(streaming_aead.StreamingAead).new_decrypting_stream(io.BytesIO(sealed), b"").read()


@pytest.mark.parametrize("key_file", ["keyset.json", "keyset.bin"])
def test_keyset_is_a_key_file(home, handle, key_file):
    assert connectors("encrypt", "-K", key_file, "-in", "plain", "-out", "new", cwd=home).code == 0
    assert opened_by_tink(handle, (home / "new").read_bytes()) == PLAIN
    assert connectors("decrypt", "-K", key_file, "-in", "new", "-out", "-", cwd=home).out == PLAIN


def test_raw_key_is_exported_for_tink(home):
    done = connectors("key", "export-tink", "key.hex", "out.json", "--segment-size", "4096", cwd=home)
    assert (done.code, done.out, done.err) == (0, b"", "")
    assert stat.S_IMODE((home / "out.json").stat().st_mode) == 0o600
    words = ["--format", "tink-gcm-hkdf", "--segment-size", "4096"]
    assert connectors("encrypt", "-K", "key.hex", *words, "-in", "plain", "-out", "new", cwd=home).code == 0
    handle = tink.json_proto_keyset_format.parse((home / "out.json").read_text(), TOKEN)
    assert opened_by_tink(handle, (home / "new").read_bytes()) == PLAIN
    assert connectors("decrypt", "-K", "out.json", "-in", "new", "-out", "-", cwd=home).out == PLAIN


def test_keyset_is_encrypted_by_another_one(home, handle):
    kek = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
    (home / "kek").write_text(tink.json_proto_keyset_format.serialize(kek, TOKEN))
    wrap = ["--wrap", "tink", "by.source=file", f"by.path={home}/kek"]
    told = connectors("keygen", "new.json", "--from", "keyset.json", *wrap, cwd=home).error()
    assert "segments of 4096 bytes, not 1048576; give segment_size=4096" in told
    assert connectors("keygen", "new.json", "--from", "keyset.json", *wrap, "segment_size=4096", cwd=home).code == 0
    keyset = json.dumps(json.loads((home / "new.json").read_text())["keyset"])
    again = tink.json_proto_keyset_format.parse_encrypted(keyset, kek.primitive(aead.Aead), b"")
    assert connectors("encrypt", "-K", "new.json", "-in", "plain", "-out", "new", cwd=home).code == 0
    for one in (handle, again):
        assert opened_by_tink(one, (home / "new").read_bytes()) == PLAIN


@pytest.mark.parametrize("name", ["keyset.json", "keyset.bin"])
def test_keys_of_keysets_are_shown_and_checked(home, handle, name):
    assert b"a Tink keyset in the document" in connectors("key", "show", name, cwd=home).out
    shown = json.loads(connectors("key", "check", name, "--json", cwd=home).out)
    assert [one["problem"] for one in shown] == [None]


def test_id_of_a_key_is_that_of_its_keyset(home):
    assert connectors("key", "export-tink", "key.hex", "out.json", cwd=home).code == 0
    shown = json.loads(connectors("key", "check", "out.json", "--json", cwd=home).out)
    assert shown[0]["id"] == key_id(SecretKey(KEY))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["key.hex", "sealed"], "'sealed' already exists and was not changed"),
        (["key.hex", "key.hex", "--force"], "OUT.json is the key file"),
        (["key.hex", "-"], "the keyset is a private file; name one"),
        (["key.hex", "new", "--segment-size", "56"], "segment_size is 57 to 67108864 bytes, not 56"),
        (["keyset.json", "new", "--segment-size", "8192"], "have 4096 bytes; leave --segment-size out"),
        (["missing", "new"], "there is no key file 'missing'"),
    ],
)
def test_export_that_would_be_wrong_is_refused(home, handle, words, told):
    before = names(home)
    assert told in connectors("key", "export-tink", *words, cwd=home).error()
    assert names(home) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["decrypt", "-K", "keyset.json", "--format", "gcm"], "for the format tink-gcm-hkdf and no other"),
        (
            ["keygen", "new", "--from", "keyset.json", "--wrap", "wrapped", "by.source=file", "by.path=/k"],
            "--wrap tink",
        ),
        (["key", "rewrap", "keyset.json", "--wrap", "passphrase"], "wrap its key into another file"),
        (["encrypt", "-K", "encrypted"], "name the key that encrypts it"),
    ],
)
def test_keyset_is_not_used_in_another_way(home, handle, words, told):
    (home / "encrypted").write_text('{"encryptedKeyset": "AAAA"}')
    ends = ["-in", "sealed", "-out", "new"] if words[0] in ("encrypt", "decrypt") else []
    assert told in connectors(*words, *ends, cwd=home).error()
    assert not (home / "new").exists()
