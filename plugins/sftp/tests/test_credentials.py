from __future__ import annotations

import base64
from typing import Any

import asyncssh
import pytest

from connectors.credentials.model import validate
from connectors.errors import InvalidCredentials
from connectors_sftp import SFTPBackend, SFTPCredentials
from connectors_sftp.credentials import KEY_FAMILIES

SECRET = "hunter2-hunter2"
ED25519 = asyncssh.generate_private_key("ssh-ed25519")
PUBLIC = ED25519.export_public_key().decode().strip()
PRINT = ED25519.get_fingerprint()
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)


def document(**changes: Any) -> dict[str, Any]:
    whole = {"username": "clinic", "password": SECRET, "host_key": PUBLIC, "encryption": None, **changes}
    return {name: value for name, value in whole.items() if value != "absent"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"type": "sftp"},
        {"host_key": PRINT},
        {"host_key": f"{PRINT}="},
        {"host_key": f"  {PUBLIC} root@files\n"},
        {"host_key": [PUBLIC, PRINT]},
        {"password": None, "ambient": True},
        {"password": None, "private_key": ED25519.export_private_key().decode()},
        {"password": None, "private_key": RSA.export_private_key("pkcs8-pem").decode(), "passphrase": SECRET},
    ],
)
def test_valid_document_is_accepted(changes: dict[str, Any]) -> None:
    assert validate(SFTPCredentials, document(**changes)).username == "clinic"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"username": "absent"}, "credentials.username: required"),
        ({"username": "a\nb"}, "control characters"),
        ({"host_key": "absent"}, "credentials.host_key: required"),
        ({"host_key": []}, "which server the credentials are sent to"),
        ({"host_key": ""}, "a host key is"),
        ({"host_key": f"files.example {PUBLIC}"}, "without the host name"),
        ({"host_key": "SHA256:short"}, "a host key is"),
        ({"host_key": "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"}, "a host key is"),
        ({"host_key": f"ssh-rsa {PUBLIC.split()[1]}"}, "a host key is"),
        ({"host_key": "ssh-dss " + base64.b64encode(b"\0\0\0\7ssh-dss\0").decode()}, "a host key is"),
        ({"host_key": PUBLIC.replace("AAAA", "AA AA")}, "a host key is"),
        ({"host_key": [PUBLIC, "x"]}, "a host key is"),
        ({"password": None}, "password or private_key is missing"),
        ({"password": ""}, "empty"),
        ({"ambient": True}, "give exactly one of"),
        ({"private_key": ED25519.export_private_key().decode()}, "give exactly one of"),
        ({"passphrase": SECRET}, "passphrase is only for a private_key"),
        ({"password": None, "private_key": SECRET}, "not the complete text of a private key"),
        ({"password": None, "private_key": PUBLIC}, "this is a public key"),
        ({"ambient": "yes", "password": None}, "credentials.ambient"),
        ({"known_hosts": SECRET}, "unknown member"),
    ],
)
def test_document_that_breaks_a_rule_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidCredentials, match=problem) as caught:
        validate(SFTPCredentials, document(**changes))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("host_key", "algorithms"),
    [
        (PUBLIC, [("ssh-ed25519",)]),
        (RSA.export_public_key().decode(), [("rsa-sha2-512", "rsa-sha2-256")]),
        ([RSA.export_public_key().decode(), PUBLIC], [("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256")]),
        (PRINT, list(KEY_FAMILIES)),
    ],
    ids=["ed25519", "rsa", "both", "fingerprint"],
)
def test_algorithms_of_the_known_host_keys_are_requested(
    host_key: str | list[str], algorithms: list[tuple[str, ...]]
) -> None:
    given = validate(SFTPCredentials, document(host_key=host_key))
    assert given.host_key_algorithms == algorithms
    assert PRINT in given.fingerprints or "rsa" in str(algorithms)


@pytest.mark.parametrize(
    ("key", "passphrase", "problem"),
    [
        (ED25519.export_private_key(passphrase=SECRET).decode(), "wrong", "passphrase"),
        (ED25519.export_private_key(passphrase=SECRET).decode(), None, "passphrase"),
        (RSA.export_private_key("pkcs8-pem", passphrase=SECRET).decode(), "wrong", "passphrase"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----", None, "cannot be read"),
    ],
)
def test_unreadable_private_key_is_detected_before_connecting(key: str, passphrase: str | None, problem: str) -> None:
    given = validate(SFTPCredentials, document(password=None, private_key=key, passphrase=passphrase))
    with pytest.raises(InvalidCredentials, match=problem) as caught:
        SFTPBackend().connect("sftp://clinic/a", given)
    assert caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "path"),
    [("sftp://clinic/a", "/a"), ("sftp://clinic/a/b/", "/a/b"), ("ssh://clinic/", "")],
)
def test_connect_makes_no_connection(location: str, path: str) -> None:
    fs, found = SFTPBackend().connect(location, validate(SFTPCredentials, document()))
    assert found == path
    assert "clinic" in repr(fs)
    assert SECRET not in repr(fs)
