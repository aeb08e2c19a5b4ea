"""Credentials documents: JSON, validated for each backend, and then used as far as possible without a request.

The inputs contain no private keys, which are long: ``@rsa@`` and similar placeholders are replaced by generated keys.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import asyncssh
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.cli.data.inspection import inspect_document
from connectors.credentials.model import Encryption, parse_document, validate
from connectors.errors import ConnectorError
from connectors.storage.registry import backends, resolve
from fuzz.checks import ACCEPTED, MARK, attempt, hold, is_hidden_value

if TYPE_CHECKING:
    from connectors.credentials.model import Credentials

__all__ = ["WORDS", "check", "private_key", "seeds"]

WORDS = (
    *(f'"{name}": '.encode() for one in backends() if one.backend for name in one.backend.Credentials.model_fields),
    *(f'"{name}": '.encode() for name in Encryption.model_fields),
    *(b'"auto"', b'"cobblestone-256"', b'"tink-gcm-hkdf"', b'"gcm"', b'"path"', b'"none"', b'"folder"', b'"object"'),
    *(b"true", b"false", b"null", b'"\\ud800"', b"1e999", b"@rsa@", b"@ssh@", b"@sealed@", b"@public@", b"SHA256:"),
    *(b'"client_email": ', b'"private_key": ', b'"token_uri": ', b'"project_id": ', b"hunter2", b"http://127.0.0.1:1"),
)
"""Words that the fuzzer inserts, besides bytes."""

_LOCATIONS = {
    "file": "file:///data/a",
    "memory": "memory://a/b",
    "https": "https://host.example/a",
    "s3": "s3://clinic/a",
    "azure": "az://clinic/a",
    "gcs": "gs://clinic/a",
    "sftp": "sftp://host.example/a",
}


@functools.cache
def private_key() -> str:
    """Return an RSA key in PEM."""
    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@functools.cache
def _keys() -> dict[bytes, bytes]:
    ssh = asyncssh.generate_private_key("ssh-ed25519")
    texts = {
        "@rsa@": private_key(),
        "@ssh@": ssh.export_private_key().decode(),
        "@sealed@": ssh.export_private_key("pkcs8-pem", passphrase=MARK).decode(),
        "@public@": ssh.export_public_key().decode().strip(),
    }
    return {name.encode(): json.dumps(text)[1:-1].encode() for name, text in texts.items()}


def check(data: bytes) -> str:
    """Parse a document, and validate it for its own backend, or else for all."""
    for name, text in _keys().items():
        data = data.replace(name, text)
    try:
        document = parse_document(data)
    except ConnectorError:
        return attempt(lambda: parse_document(data), hidden=True)
    hidden = is_hidden_value(document)
    finding = inspect_document("credentials.bin", data, None)
    if hidden:
        hold(MARK not in str(finding) + json.dumps(finding.as_json()), "a secret is shown")
    kinds = {one.name: one.backend for one in backends() if one.backend}
    named = document.get("type")
    outcomes = [
        attempt(functools.partial(_use, name, document), hidden=hidden)
        for name in ([named] if isinstance(named, str) and named in kinds else kinds)
    ]
    return ACCEPTED if ACCEPTED in outcomes else outcomes[0]


def _use(name: str, document: dict[str, Any]) -> None:
    location = _LOCATIONS[name]
    backend, credentials = resolve(location, {**document, "type": name})
    again = validate(type(credentials), credentials.document())
    hold(again == credentials, "a document does not round-trip")
    shown = f"{credentials!r} {credentials} {credentials.model_dump_json()}"
    if is_hidden_value(document, _OPEN):
        hold(MARK not in shown, "a secret is shown")
    credentials.codec()
    _look(credentials)
    if name != "s3":  # because botocore is slow to create a client
        backend.connect(location, credentials)


_OPEN = (
    *("type", "context", "username", "host_key", "endpoint_url", "account_name", "client_id", "tenant_id", "profile"),
    *("authority_url", "access_key_id", "region", "project", "client_email", "private_key_id", "token_uri", "layout"),
    *("project_id", "auth_uri", "auth_provider_x509_cert_url", "client_x509_cert_url", "kms_key_id", "pin"),
)
"""Members that are not secret: their values may appear in a repr, but not in an error."""


def _look(credentials: Credentials) -> None:
    """Read everything that the models derive from their members."""
    for name in ("query", "signature"):
        getattr(credentials, name, lambda: None)()
    hold(credentials.expires_at is None or credentials.expires_at.utcoffset() is not None, "a time without a zone")
    for name in ("logs_in", "object_options", "fingerprints", "host_key_algorithms"):
        getattr(credentials, name, None)
    getattr(credentials, "billed_project", None)
    getattr(credentials, "addressing_style", lambda _: None)(getattr(credentials, "endpoint_url", None))


def seeds() -> dict[str, bytes]:
    """Return the initial inputs."""
    sealing = {"key": "5a" * 32, "format": "tink-gcm-hkdf", "context": "ward", "segment_size": 4096, "bind": "none"}
    folder = {"key": "5a" * 32, "manifest": True, "pin": "ab" * 32}
    account = {
        "type": "service_account",
        "client_email": "reader@project.iam.gserviceaccount.com",
        "private_key": "@rsa@",
        "private_key_id": "0a",
        "project_id": "clinic-1",
    }
    documents: dict[str, Any] = {
        "file": {"encryption": sealing},
        "memory-plain": {"type": "memory", "encryption": None, "layout": "folder"},
        "folder": {"type": "file", "encryption": folder, "layout": "folder"},
        "wrong-key": {"type": "file", "encryption": {"key": MARK}},
        "https": {"query_string": "c2lnPWh1bnRlcjI=", "encryption": sealing, "allow_http": True},
        "https-wrong": {"type": "https", "query_string": f"sig={MARK}", "encryption": None},
        "s3": {
            "type": "s3",
            "access_key_id": "AKIA",
            "secret_access_key": MARK,
            "session_token": MARK,
            "region": "eu-west-1",
            "endpoint_url": "https://s3.example.org",
            "path_style": True,
            "server_side_encryption": "aws:kms",
            "kms_key_id": "k",
            "encryption": None,
        },
        "s3-anonymous": {"type": "s3", "anonymous": True, "endpoint_url": "http://127.0.0.1:1", "encryption": None},
        "s3-ambient": {"type": "s3", "ambient": True, "profile": "p", "encryption": None},
        "azure-key": {"type": "azure", "account_name": "clinic", "account_key": f"{MARK}A=", "encryption": None},
        "azure-sas": {"type": "azure", "account_name": "clinic", "sas_token": f"?sig={MARK}", "encryption": None},
        "azure-text": {
            "type": "azure",
            "connection_string": f"AccountName=clinic;AccountKey={MARK}A=;BlobEndpoint=http://127.0.0.1:1/clinic",
            "encryption": None,
        },
        "azure-principal": {
            "type": "azure",
            "account_name": "clinic",
            "tenant_id": "t",
            "client_id": "c",
            "client_secret": MARK,
            "authority_url": "https://login.example.org",
            "encryption": None,
        },
        "azure-machine": {"type": "azure", "account_name": "clinic", "managed_identity": True, "encryption": None},
        "gcs": {"type": "gcs", "service_account": account, "requester_pays": True, "encryption": None},
        "gcs-token": {
            "type": "gcs",
            "token": MARK,
            "endpoint_url": "http://localhost:4443",
            "project": "clinic-1",
            "encryption": None,
        },
        "gcs-wrong": {"type": "gcs", "service_account": {**account, "private_key": MARK, "more": 1}, "encryption": 1},
        "sftp": {
            "type": "sftp",
            "username": "u",
            "private_key": "@ssh@",
            "host_key": "@public@",
            "encryption": None,
        },
        "sftp-password": {
            "type": "sftp",
            "username": "u",
            "password": MARK,
            "host_key": ["SHA256:" + "a" * 43, "@public@"],
            "encryption": None,
        },
        "sftp-sealed-key": {
            "type": "sftp",
            "username": "u",
            "private_key": "@sealed@",
            "passphrase": MARK,
            "host_key": "@public@",
            "encryption": None,
        },
    }
    written = {name: json.dumps(document).encode() for name, document in documents.items()}
    return {
        **written,
        "mark": b"\xef\xbb\xbf" + written["file"],
        "twice": b'{"encryption": null, "encryption": 1}',
        "half": b'{"encryption": {"key": "\\ud800hunter2"}, "type": "\\udfff"}',
        "deep": b'{"encryption": ' + b"[" * 50 + b"1e999" + b"]" * 50 + b"}",
        "list": b'["hunter2"]',
        "no-text": b"\xff\xfehunter2",
    }
