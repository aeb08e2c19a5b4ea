"""The key source gcp-kms, against a fake of the service's API that really encrypts."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest
from cloud_kms import KEY_NAME, CloudKms, problem
from gcs_server import Tokens
from google_crc32c import value as crc32c_of_google
from hostile import Answer
from watching import frames_of, texts_of

from connectors.errors import ConnectorError, InvalidCredentials, KeyRefused, KeyUnavailable
from connectors.keys import forget, reference, resolve, source_of, wrapping
from connectors.secrets import Hidden, SecretKey
from connectors.testing import KeySourceContract
from connectors_gcs.crc32c import crc32c
from connectors_gcs.login import DEFAULT_TOKEN_URI

TOKEN = "ya29.token-that-was-given"
KEY = SecretKey.generate()


@pytest.fixture(params=["service_account", "token"])
def service(request: pytest.FixtureRequest, key_file: dict[str, Any], tokens: Tokens) -> Iterator[CloudKms]:
    login = {"service_account": key_file} if request.param == "service_account" else {"token": TOKEN}
    found = CloudKms(login, tokens, TOKEN)
    with found.serve():
        yield found


@pytest.fixture
def kms(key_file: dict[str, Any], tokens: Tokens) -> Iterator[CloudKms]:
    found = CloudKms({"service_account": key_file}, tokens, TOKEN)
    with found.serve():
        yield found


class TestGcpKms(KeySourceContract):
    @pytest.fixture
    def service(self, service: CloudKms) -> CloudKms:
        return service


def wrapped(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a reference to KEY."""
    place = wrapping(document)
    return source_of(place.source).wrap(KEY, place, None).document()


def unwrapped(document: dict[str, Any]) -> SecretKey:
    found = reference(document)
    forget([found])
    return resolve(found)


def refused(kms: CloudKms, document: dict[str, Any], kind: type[ConnectorError] = KeyRefused) -> str:
    """Return the text of the error of a reference."""
    with pytest.raises(kind) as caught:
        unwrapped(document)
    assert type(caught.value) is kind
    assert caught.value.__context__ is None
    texts = [*(text for _, text in frames_of(caught.value)), *texts_of(caught.value)]
    secrets = [*kms.secrets(), KEY.reveal().hex(), repr(KEY.reveal())]
    assert not [text for text in texts for secret in secrets if secret in text]
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"", 0),
    ],
)
def test_checksum_is_that_of_the_standard(data: bytes, expected: int) -> None:
    """The examples of RFC 3720, appendix B.4."""
    assert crc32c(data) == expected


def test_checksum_shows_no_key_in_a_traceback() -> None:
    with pytest.raises(TypeError) as caught:
        crc32c(Hidden([*KEY.reveal(), "not a byte"]))
    texts = [text for where, text in frames_of(caught.value) if "crc32c" in where]
    assert texts
    assert not [text for text in texts if repr(KEY.reveal()) in text or str([*KEY.reveal()])[1:-1] in text]


def test_checksum_is_that_of_google() -> None:
    for size in (1, 7, 32, 1000):
        data = os.urandom(size)
        assert crc32c(data) == crc32c_of_google(data)


# What is sent.


def test_token_is_for_cloud_kms_and_no_other_service(kms: CloudKms) -> None:
    wrapped(kms.wrapping())
    assert [one["scope"] for one in kms.tokens.assertions] == ["https://www.googleapis.com/auth/cloudkms"]


def test_key_of_a_former_version_is_still_unwrapped(kms: CloudKms) -> None:
    document = wrapped(kms.wrapping())
    kms.versions.append(os.urandom(32))
    assert unwrapped(document) == KEY
    assert unwrapped(wrapped(kms.wrapping())) == KEY


@pytest.mark.parametrize("context", [None, "dataset lab", "datensatz \u00e4rzte"])
def test_key_is_bound_to_its_context(kms: CloudKms, context: str | None) -> None:
    place = {name: value for name, value in kms.wrapping().items() if name != "context"}
    document = wrapped({**place, **({} if context is None else {"context": context})})
    assert unwrapped(document) == KEY
    for other in ({"context": "dataset other"}, {"context": "dataset la"}):
        assert "with another context" in refused(kms, {**document, **other})
    if context is not None:
        del document["context"]
        assert "with another context" in refused(kms, document)


def test_refused_token_is_renewed_once(kms: CloudKms) -> None:
    document = wrapped(kms.wrapping())
    answers = [problem(401, "UNAUTHENTICATED")]
    kms.refusing = lambda: answers.pop() if answers else None
    before = len(kms.tokens.given)
    assert unwrapped(document) == KEY
    assert len(kms.tokens.given) == before + 2


# What comes back.


@pytest.mark.parametrize(
    ("status", "code", "reason", "told"),
    [
        (403, "PERMISSION_DENIED", "", "grant them the role Cloud KMS CryptoKey Encrypter/Decrypter"),
        (403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED", "grant them the role"),
        (403, "PERMISSION_DENIED", "SERVICE_DISABLED", "enable the API cloudkms.googleapis.com"),
        (403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "https://www.googleapis.com/auth/cloudkms"),
        (404, "NOT_FOUND", "", "check key_name"),
        (400, "INVALID_ARGUMENT", "", "with another context"),
        (400, "FAILED_PRECONDITION", "", "disabled or destroyed; enable it"),
        (401, "UNAUTHENTICATED", "", "get a new one"),
        (403, "SOMETHING_NEW", "", "ask the owner of the key for the permission"),
    ],
)
def test_refusal_says_what_to_do(kms: CloudKms, status: int, code: str, reason: str, told: str) -> None:
    document = wrapped(kms.wrapping())
    kms.refusing = lambda: problem(status, code, reason)
    text = refused(kms, document)
    shown = reason if reason and not reason.startswith("IAM") else code
    assert text.startswith(f"Google Cloud KMS refuses to unwrap with {KEY_NAME} ({status} {shown}): ")
    assert told in text
    assert "reader@clinic" not in text


@pytest.mark.parametrize(("status", "code"), [(429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (503, "UNAVAILABLE")])
def test_busy_service_is_asked_again(kms: CloudKms, status: int, code: str) -> None:
    document = wrapped(kms.wrapping())
    answers = [problem(status, code)] * 2
    kms.refusing = lambda: answers.pop() if answers else None
    assert unwrapped(document) == KEY
    kms.refusing = lambda: problem(status, code)
    assert f"now ({status} {code}); try again later" in refused(kms, document, KeyUnavailable)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"error": "text"}', b'{"error": {"status": 7}}', b'{"error": {"details": [7], "code": 403}}']
)
def test_error_that_is_not_googles_is_told_by_its_status(kms: CloudKms, body: bytes) -> None:
    document = wrapped(kms.wrapping())
    kms.refusing = lambda: Answer(403, {}, body)
    assert "(403): these credentials may not do that" in refused(kms, document)


@pytest.mark.parametrize(
    "changed",
    [
        {"plaintextCrc32c": "1"},
        {"plaintextCrc32c": None},
        {"plaintextCrc32c": ""},
        {"plaintext": "AAAA"},
    ],
)
def test_plaintext_that_changed_on_the_way_is_not_taken(kms: CloudKms, changed: dict[str, Any]) -> None:
    document = wrapped(kms.wrapping())
    before = len(kms.seen)
    kms.changing = lambda result: {**result, **changed}
    assert "the checksums of 3 responses do not match" in refused(kms, document, KeyUnavailable)
    assert len(kms.seen) == before + 3
    several = [changed]
    kms.changing = lambda result: {**result, **(several.pop() if several else {})}
    assert unwrapped(document) == KEY


@pytest.mark.parametrize(
    "changed",
    [
        {"ciphertextCrc32c": "1"},
        {"ciphertext": "AAAA"},
        {"verifiedPlaintextCrc32c": False},
        {"verifiedPlaintextCrc32c": None},
        {"verifiedAdditionalAuthenticatedDataCrc32c": False},
    ],
)
def test_key_that_changed_on_the_way_is_not_wrapped(kms: CloudKms, changed: dict[str, Any]) -> None:
    kms.changing = lambda result: {**result, **changed}
    with pytest.raises(KeyUnavailable, match="the checksums of 3 responses do not match"):
        wrapped(kms.wrapping())


@pytest.mark.parametrize("lost", [b"", b"other"])
def test_service_detects_what_changed_on_the_way_to_it(kms: CloudKms, lost: bytes) -> None:
    kms.losing = lambda _: lost
    with pytest.raises(KeyRefused, match="400 INVALID_ARGUMENT"):
        wrapped(kms.wrapping())


@pytest.mark.parametrize("size", [0, (1 << 16) + 1])
def test_wrapped_key_of_a_size_that_no_document_holds_is_an_outage(kms: CloudKms, size: int) -> None:
    data = bytes(size)
    changed = {"ciphertext": base64.b64encode(data).decode(), "ciphertextCrc32c": str(crc32c_of_google(data))}
    kms.changing = lambda result: {**result, **changed}
    with pytest.raises(KeyUnavailable, match=f"sent an invalid response about {KEY_NAME}"):
        wrapped(kms.wrapping())


@pytest.mark.parametrize("name", [None, "projects/x", f"{KEY_NAME}s/cryptoKeyVersions/1", KEY_NAME])
def test_result_of_another_key_is_not_taken(kms: CloudKms, name: str | None) -> None:
    kms.changing = lambda result: {**result, "name": name}
    with pytest.raises(KeyUnavailable, match="sent an invalid response"):
        wrapped(kms.wrapping())


@pytest.mark.parametrize("plaintext", [7, "?", None])
def test_result_that_is_no_base64_is_not_taken(kms: CloudKms, plaintext: Any) -> None:
    document = wrapped(kms.wrapping())
    kms.changing = lambda result: {**result, "plaintext": plaintext}
    assert "sent an invalid response" in refused(kms, document, KeyUnavailable)


def test_login_that_is_refused_names_the_key(kms: CloudKms, tokens: Tokens) -> None:
    document = wrapped(kms.wrapping())
    tokens.refuse = problem(400, "invalid_grant")
    text = refused(kms, document)
    assert text.startswith(f"Google Cloud KMS cannot unwrap with {KEY_NAME}: no token was issued for the service")


# Documents.


@pytest.mark.parametrize(
    "url",
    [
        "https://kms.example",
        "https://googleapis.com.example",
        "https://examplegoogleapis.com",
        "http://cloudkms.googleapis.com",
        "https://cloudkms.googleapis.com:8443",
        "https://cloudkms.googleapis.com/v1",
        "https://user@cloudkms.googleapis.com",
        "cloudkms.googleapis.com",
    ],
)
def test_tokens_are_sent_only_to_google(url: str) -> None:
    with pytest.raises(InvalidCredentials, match=r"gcp-kms: endpoint_url: ") as caught:
        wrapping({"source": "gcp-kms", "key_name": KEY_NAME, "token": TOKEN, "endpoint_url": url})
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://cloudkms.europe-west3.rep.googleapis.com",
        "https://cloudkms-clinic.p.googleapis.com/",
        "http://127.0.0.1:8080",
        "https://localhost",
    ],
)
def test_endpoints_of_google_and_of_this_machine_are_accepted(url: str) -> None:
    document = {"source": "gcp-kms", "key_name": KEY_NAME, "token": TOKEN, "endpoint_url": url}
    assert wrapping(document).document() == document


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://localhost", "http://[::1]:1"])
def test_identity_of_the_machine_is_not_for_test_servers(url: str) -> None:
    document = {"source": "gcp-kms", "key_name": KEY_NAME, "ambient": True, "endpoint_url": url}
    with pytest.raises(
        InvalidCredentials, match="endpoint_url: a test server gets no token of this machine's identity"
    ):
        wrapping(document)
    wrapping({**document, "endpoint_url": "https://cloudkms-clinic.p.googleapis.com"})


@pytest.mark.parametrize(
    ("uri", "url", "is_valid"),
    [
        (DEFAULT_TOKEN_URI, None, True),
        ("https://tokens.example/token", None, False),
        ("https://tokens.example/token", "https://cloudkms-clinic.p.googleapis.com", False),
        ("http://127.0.0.1:8080/token", "http://127.0.0.1:8081", True),
        ("http://tokens.example/token", "http://127.0.0.1:8081", False),
    ],
)
def test_assertions_are_sent_only_to_google(
    key_file: dict[str, Any], uri: str, url: str | None, is_valid: bool
) -> None:
    account = {**key_file, "token_uri": uri}
    document = {"source": "gcp-kms", "key_name": KEY_NAME, "service_account": account, "endpoint_url": url}
    if is_valid:
        wrapping(document)
        return
    with pytest.raises(InvalidCredentials, match=r"service_account\.token_uri: "):
        wrapping(document)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "no credentials are given.*ambient"),
        ({"token": TOKEN, "ambient": True}, "give exactly one of"),
        ({"token": f"Bearer {TOKEN}"}, "leave out the word Bearer"),
        ({"token": TOKEN, "key_name": "lab"}, "not the resource name of a key"),
        ({"token": TOKEN, "key_name": f"{KEY_NAME}/cryptoKeyVersions/1"}, "not the resource name of a key"),
        ({"token": TOKEN, "key_name": f"{KEY_NAME}/../other"}, "not the resource name of a key"),
        ({"token": TOKEN, "key_name": f"{KEY_NAME}:encrypt?x="}, "not the resource name of a key"),
        ({"token": TOKEN, "context": ""}, "empty; leave it out"),
        ({"token": TOKEN, "context": "\ud800"}, "half of a surrogate pair"),
        ({"token": TOKEN, "context": "\u00e4" * 2049}, "a context has at most 4096 bytes"),
        ({"token": TOKEN, "wrapped": "?"}, "base64 text is expected"),
        ({"ambient": 1}, "ambient"),
    ],
)
def test_invalid_documents_are_told_without_secrets(given: dict[str, Any], told: str) -> None:
    document = {"source": "gcp-kms", "key_name": KEY_NAME, "wrapped": "AAAA", **given}
    with pytest.raises(InvalidCredentials, match=told) as caught:
        reference(document)
    assert TOKEN not in str(caught.value)
    assert str(caught.value).startswith("gcp-kms: ")
