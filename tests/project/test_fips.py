"""docs/fips.md says what OpenSSL is asked for when only FIPS implementations count, and that nothing else is used."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import connectors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fips.md").read_text()
ROWS = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", PAGE.split("## What was tried")[1], re.MULTILINE))
CONFIGURED = """
openssl_conf = init
[init]
alg_section = algorithms
providers = providers
[algorithms]
default_properties = fips=yes
[providers]
default = active
base = active
[active]
activate = 1
"""
USES = """
import json, re
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.cobblestone import Cobblestone256Encryptor
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

KEY = bytes(range(32))
uses = {
    "AES-256-GCM": lambda: AESGCM(KEY).encrypt(bytes(12), b"", None),
    "AES-256-CTR": lambda: Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).encryptor(),
    "AES-256-CBC": lambda: Cipher(algorithms.AES(KEY), modes.CBC(bytes(16))).encryptor(),
    "HKDF, SHA-256": lambda: HKDF(SHA256(), 32, bytes(32), b"").derive(KEY),
    "HKDF-Expand, SHA-512": lambda: HKDFExpand(SHA512(), 76, b"").derive(KEY),
    "random bytes from OpenSSL": lambda: Cobblestone256Encryptor(KEY, b""),
    "Ed25519": Ed25519PrivateKey.generate,
    "scrypt": lambda: Scrypt(salt=bytes(16), length=32, n=2, r=8, p=1).derive(b""),
    "X25519": X25519PrivateKey.generate,
    "ChaCha20-Poly1305": lambda: ChaCha20Poly1305(KEY),
}

def outcome(use):
    try:
        use()
    except UnsupportedAlgorithm as error:
        return "no SHA-2, so no HMAC" if "HMAC" in str(error) else "refused by `cryptography`"
    except BaseException as error:
        fetched = re.search(r"Algorithm \\((\\S+) : ", str(error))
        return f"asks for `{fetched[1]}`" if fetched else repr(error)
    return "runs"
"""
FORMATS = """
import io, json, sys
import connectors

def outcome(use):
    out = io.BytesIO()
    try:
        use(out)
    except BaseException as error:
        return [type(error).__name__, str(error), len(out.getvalue()), error.__context__ is None]
    return ["runs", "", len(out.getvalue()), True]

key, folder, outcomes = bytes(range(32)).hex(), sys.argv[1], {}
for name in ("cobblestone-256", "tink-gcm-hkdf", "gcm", "auto"):
    outcomes[name] = [
        outcome(lambda out: connectors.encrypt(io.BytesIO(b"37.2" * 100_000), out, key, format=name)),
        outcome(lambda out: connectors.decrypt(f"{folder}/{name}", out, key, format=name)),
    ]
print(json.dumps(outcomes))
"""

OBJECTS = """
import base64, json
from connectors.formats import S3EncryptionClient
from connectors.secrets import SecretKey

class Keys:
    context = {}
    def open(self, wrapped, context):
        return SecretKey(bytes(32))
    def seal(self, key, context):
        return bytes(40)

def outcome(use):
    try:
        use()
    except BaseException as error:
        return [type(error).__name__, str(error), error.__context__ is None]
    return ["runs", "", True]

def text(size):
    return base64.b64encode(bytes(size)).decode()

context = json.dumps({"aws:x-amz-cek-alg": "AES/GCM/NoPadding"})
kept = {"x-amz-key-v2": text(40), "x-amz-iv": text(12), "x-amz-wrap-alg": "kms+context", "x-amz-matdesc": context}
codec = S3EncryptionClient(Keys(), allow_uncommitted=True)
kept["x-amz-cek-alg"] = "AES/GCM/NoPadding"
print(json.dumps([outcome(codec.encryptor), outcome(lambda: codec.decryptor_of(kept, None, b"", 16))]))
"""


def report(program: str, *words: str, **environment: str):
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def configured(tmp_path):
    (tmp_path / "openssl.cnf").write_text(CONFIGURED)
    return str(tmp_path / "openssl.cnf")


def test_each_use_asks_for_what_the_page_says(configured):
    found = report(
        f"{USES}\nprint(json.dumps({{name: outcome(use) for name, use in uses.items()}}))", OPENSSL_CONF=configured
    )
    assert found == {name: ROWS[name] for name in found}
    assert len(found) == len([outcome for outcome in ROWS.values() if outcome not in ("outcome", "---")])


def test_the_rules_of_cryptography_allow_what_was_only_missing():
    """Its rules for FIPS, with every algorithm there: they refuse scrypt and X25519, and not HMAC or Ed25519."""
    found = report("""
import json
from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.hashes import SHA256, SHA512

backend._fips_enabled = True
hmac = [backend.hmac_supported(SHA256()), backend.hmac_supported(SHA512())]
print(json.dumps([*hmac, backend.ed25519_supported(), backend.scrypt_supported(), backend.x25519_supported()]))
""")
    assert found == [True, True, True, False, False]


REFUSED = {
    "cobblestone-256": ("CTR-DRBG", "HMAC with SHA-512"),
    "tink-gcm-hkdf": ("HMAC with SHA-256", "HMAC with SHA-256"),
    "gcm": ("id-aes256-GCM", "CTR-DRBG"),
    "auto": ("CTR-DRBG", "HMAC with SHA-512"),
}
"""What OpenSSL refuses first to a format that writes, and to one that reads."""


def test_no_format_falls_back_to_another_implementation(configured, tmp_path):
    for name in REFUSED:
        with open(tmp_path / name, "wb") as sealed:
            connectors.encrypt(io.BytesIO(b"37.2" * 100_000), sealed, bytes(range(32)).hex(), format=name)
    found = report(FORMATS, str(tmp_path), OPENSSL_CONF=configured)
    for name, missing in REFUSED.items():
        shown = "cobblestone-256" if name == "auto" else name
        for (kind, message, written, bare), algorithm in zip(found[name], missing, strict=True):
            assert (kind, written, bare) == ("NotSupported", 0, True)
            assert message.startswith(f"the format {shown} cannot be used")
            assert f"has no {algorithm}; if it is in FIPS mode (fips=yes)" in message
    usual = report(FORMATS, str(tmp_path))
    assert {outcome for both in usual.values() for outcome, *_ in both} == {"runs"}


def test_format_of_amazon_s_client_falls_back_to_nothing(configured):
    for (kind, message, bare), algorithm in zip(
        report(OBJECTS, OPENSSL_CONF=configured), ("HMAC with SHA-512", "CTR-DRBG"), strict=True
    ):
        assert (kind, bare) == ("NotSupported", True)
        assert message.startswith("the format s3-encryption-client cannot be used")
        assert f"has no {algorithm}; if it is in FIPS mode (fips=yes)" in message
    assert {outcome for outcome, *_ in report(OBJECTS)} == {"runs"}


def test_a_command_names_what_is_refused_and_has_the_exit_code_of_its_kind(configured, tmp_path):
    (tmp_path / "key").write_text(bytes(range(32)).hex())
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "plain").write_bytes(b"37.2")
    words = ["encrypt", "-K", str(tmp_path / "key"), str(tmp_path / "plain"), str(tmp_path / "sealed")]
    done = subprocess.run(
        [sys.executable, "-m", "connectors", *words],
        env={**os.environ, "OPENSSL_CONF": configured},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "the format cobblestone-256 cannot be used" in done.stderr
    assert not (tmp_path / "sealed").exists()


def test_the_formats_use_no_other_primitives():
    used = set()
    for path in (ROOT / "connectors").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cryptography"):
                area = path.relative_to(ROOT / "connectors").parts[0]
                used |= {f"{area}: {name.name}" for name in node.names}
    assert {one.removeprefix("formats: ") for one in used if one.startswith("formats: ")} == {
        *("AESGCM", "Cipher", "Cobblestone256Decryptor", "Cobblestone256Encryptor", "HKDF", "HKDFExpand"),
        *("InternalError", "InvalidTag", "SHA256", "SHA512", "UnsupportedAlgorithm", "algorithms", "modes"),
        "CipherContext",
    }
    modes = set(re.findall(r"modes\.(\w+)", "".join(path.read_text() for path in (ROOT / "connectors").rglob("*.py"))))
    assert modes == {"GCM", "CTR", "CBC"}
