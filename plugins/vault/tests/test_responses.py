"""What servers say: each refusal is told in our words, with what to do; no text of a server's is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from canaries import Canaries
from hostile import Answer, Request
from watching import everything_logged, frames_of, texts_of

from connectors.errors import ConnectorError, InvalidCredentials, InvalidKey, KeyRefused, KeyUnavailable
from connectors.keys import reference, source_of, wrapping
from connectors.secrets import SecretKey

KEY = SecretKey("a5" * 32)
SAID = f"the server said hunter{1 + 1}-hunter{1 + 1}"
"""Not in any line of this file, which tracebacks show."""


def unwrapped(document: dict[str, Any]) -> SecretKey:
    return source_of("vault").unwrap(reference(document), None)


def error_of(document: dict[str, Any]) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        unwrapped(document)
    return caught.value


@pytest.fixture
def wide(clinic: Any) -> str:
    """A token with which everything in transit may be used."""
    clinic.bao.ask("POST", "sys/policies/acl/wide", {"policy": 'path "*" {capabilities = ["create", "update"]}'})
    return clinic.new_token(policies=["wide"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"key": "unknown"}, "there is no such key; check its name, its mount and the namespace"),
        ({"mount": "unknown"}, "nothing is mounted at that path; check the mount and the namespace"),
        (
            {"wrapped": "vault:v7:AAAA"},
            "wrapped by another key or with another context or other associated_data, or was changed",
        ),
        (
            {"wrapped": "vault:v1:AAAA"},
            "wrapped by another key or with another context or other associated_data, or was changed",
        ),
        ({"token": "hvs.a-stranger"}, "the token is invalid or has expired, or its policy does not allow update"),
    ],
)
def test_refusal_says_what_to_do(clinic: Any, wide: str, changes: dict[str, Any], told: str) -> None:
    document = {**clinic.hold(KEY), "token": wide, **changes}
    error = error_of(document)
    assert isinstance(error, KeyRefused)
    assert told in str(error)


def test_another_context_is_refused(derived: Any) -> None:
    derived.login["context"] = "dataset=conditions"
    document = derived.hold(KEY)
    assert json.loads(derived.seen[-1].body)["context"] == base64.b64encode(b"dataset=conditions").decode()
    assert unwrapped(document) == KEY
    assert "with another context" in str(error_of({**document, "context": "dataset=deaths"}))


def test_other_associated_data_is_refused(clinic: Any) -> None:
    place = wrapping({**clinic.wrapping(), "associated_data": "dataset=Süd"})
    document = source_of("vault").wrap(KEY, place, None).document()
    assert json.loads(clinic.seen[-1].body)["associated_data"] == base64.b64encode("dataset=Süd".encode()).decode()
    assert unwrapped(document) == KEY
    for other in ("dataset=deaths", None):
        assert "or other associated_data" in str(error_of({**document, "associated_data": other}))


def test_key_that_takes_no_associated_data_is_told(clinic: Any, wide: str) -> None:
    clinic.bao.ask("POST", "transit/keys/rsa", {"type": "rsa-2048"})
    place = {**clinic.wrapping(), "token": wide, "key": "rsa", "associated_data": "dataset=conditions"}
    with pytest.raises(KeyRefused, match="the key's type takes no associated_data; leave it out"):
        source_of("vault").wrap(KEY, wrapping(place), None)


def test_missing_context_is_told(derived: Any) -> None:
    with pytest.raises(KeyRefused, match="refuses to wrap a key by .*the key is a derived one; give the context"):
        derived.hold(KEY)


def test_key_that_signs_is_told(clinic: Any, wide: str) -> None:
    clinic.bao.ask("POST", "transit/keys/signing", {"type": "ed25519"})
    place = {**clinic.wrapping(), "token": wide, "key": "signing"}
    with pytest.raises(KeyRefused, match="the key's type does not do that; use aes256-gcm96"):
        source_of("vault").wrap(KEY, wrapping(place), None)


def test_misspelt_key_is_not_made(clinic: Any) -> None:
    place = {**clinic.wrapping(), "key": f"{clinic.key}-misspelt"}
    with pytest.raises(KeyRefused, match="its policy does not allow update"):
        source_of("vault").wrap(KEY, wrapping(place), None)


def test_rotated_key_unwraps_until_its_version_is_withdrawn(clinic: Any) -> None:
    document = clinic.hold(KEY)
    clinic.bao.ask("POST", f"transit/keys/{clinic.key}/rotate", {})
    assert clinic.hold(KEY)["wrapped"].startswith("vault:v2:")
    assert unwrapped(document) == KEY
    clinic.bao.ask("POST", f"transit/keys/{clinic.key}/config", {"min_decryption_version": 2})
    assert "min_decryption_version is higher" in str(error_of(document))


def answering(status: int, body: object, headers: dict[str, str] | None = None) -> Callable[[Request], Answer]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: Answer(status, headers or {}, data)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, {"errors": ["Vault is sealed", SAID]}, KeyUnavailable),
        (500, {"errors": [SAID]}, KeyUnavailable),
        (429, {"errors": [SAID]}, KeyUnavailable),
        (307, b"", KeyUnavailable),
        (400, {"errors": [SAID]}, KeyRefused),
        (403, SAID.encode(), KeyRefused),
        (404, {"errors": {"a": SAID}}, KeyRefused),
        (418, {"errors": [[SAID]]}, KeyRefused),
        (200, SAID.encode(), KeyUnavailable),
        (200, [SAID], KeyUnavailable),
        (200, {"data": SAID}, KeyUnavailable),
        (200, {"data": {"plaintext": SAID}}, KeyUnavailable),
        (200, {"data": {"plaintext": None}}, KeyUnavailable),
        (200, {"data": {"plaintext": base64.b64encode(SAID.encode()).decode()}}, InvalidKey),
        (200, b"[" * 100_000, KeyUnavailable),
        (200, b"{" + b" " * (1 << 19) + b"}", KeyUnavailable),
    ],
)
def test_no_text_of_a_server_is_shown(clinic: Any, status: int, body: object, kind: type[ConnectorError]) -> None:
    document = clinic.hold(KEY)
    clinic.answering = answering(status, body)
    error = error_of(document)
    assert type(error) is kind
    marks = Canaries({"text": SAID, "token": document["token"]})
    marks.check("texts and frames", [*texts_of(error), *(text for _, text in frames_of(error))])


def test_sealed_server_is_asked_again(clinic: Any) -> None:
    document, answers = clinic.hold(KEY), [answering(503, {"errors": ["Vault is sealed"]})] * 2
    clinic.answering = lambda request: answers.pop()(request) if answers else None
    assert unwrapped(document) == KEY


def test_redirect_is_not_followed(clinic: Any) -> None:
    document = clinic.hold(KEY)
    before = len(clinic.seen)
    clinic.answering = answering(307, b"", {"Location": f"{clinic.bao.url}/v1/transit/decrypt/{clinic.key}"})
    error = error_of(document)
    assert isinstance(error, KeyUnavailable)
    assert "it redirects (307), and redirects are not followed; give the address that it leads to" in str(error)
    assert len(clinic.seen) == before + 1


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"auth": None},
        {"auth": {"client_token": "two words", "lease_duration": 60}},
        {"auth": {"client_token": "hvs.one\r\nX-Injected: yes", "lease_duration": 60}},
        {"auth": {"client_token": "hvs.one", "lease_duration": "soon"}},
        {"auth": {"client_token": "hvs.one"}},
    ],
)
def test_invalid_login_is_an_outage(clinic: Any, members: dict[str, Any]) -> None:
    document = clinic.hold(KEY)
    del document["token"]
    clinic.answering = answering(200, members)
    role = {"role_id": "one", "secret_id": "s3cr3t-of-the-role"}
    with pytest.raises(KeyUnavailable, match="sent an invalid response about auth/approle at"):
        unwrapped({**document, "approle": role})


@pytest.mark.parametrize("text", [None, 7, "", "vault:v1:\x1b[31m", SAID])
def test_invalid_ciphertext_is_an_outage(clinic: Any, text: object) -> None:
    clinic.answering = answering(200, {"data": {"ciphertext": text}})
    with pytest.raises(KeyUnavailable, match="sent an invalid response") as caught:
        clinic.hold(KEY)
    assert SAID not in str(caught.value)


@pytest.mark.parametrize("way", ["token", "approle"])
@pytest.mark.parametrize("failing", ["login", "decrypt", "encrypt"])
def test_no_secret_is_shown_whatever_fails(clinic: Any, way: str, failing: str) -> None:
    if way == "approle":
        clinic.login = {"approle": clinic.log_in_by_role(token_ttl="1h")}
    document, errors = clinic.hold(KEY), []
    clinic.login = {"approle": clinic.log_in_by_role()} if way == "approle" else clinic.login
    document, place = {**document, **clinic.login}, wrapping(clinic.wrapping())
    clinic.answering = lambda request: echo(request) if failing in request.target else None
    with everything_logged() as logged:
        for work in (lambda: unwrapped(document), lambda: source_of("vault").wrap(KEY, place, None)):
            try:
                work()
            except ConnectorError as error:
                errors.append(error)
    assert errors or failing == "login"
    marks = Canaries({"key": KEY.reveal(), **{f"secret {number}": one for number, one in enumerate(clinic.issued)}})
    marks.check("logs", logged)
    for error in errors:
        marks.check("texts and frames", [*texts_of(error), *(text for _, text in frames_of(error))])


def echo(request: Request) -> Answer:
    """Refuse a request with a text that repeats all of it."""
    return Answer(400, {}, json.dumps({"errors": [str(request.headers), request.body.decode()]}).encode())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"address": "http://vault.example:8200"}, "address: http:// is not encrypted; use https://"),
        ({"address": "vault.example"}, "address: an endpoint is a URL such as https://vault.example:8200"),
        ({"address": "https://u:p@vault.example"}, "address: an endpoint has no user information"),
        ({"key": "../sys/seal"}, "key: not the name of a transit key"),
        ({"key": "a/b"}, "key: not the name of a transit key"),
        ({"mount": "/transit"}, "mount: not a path"),
        ({"mount": "a/../sys"}, "mount: not a path"),
        ({"mount": "auth/approle/role"}, "mount: no transit secrets engine can be there: auth, sys, identity"),
        ({"mount": "clinics/north/sys"}, "mount: no transit secrets engine can be there"),
        ({"mount": "identity/entity"}, "mount: no transit secrets engine can be there"),
        ({"mount": "cubbyhole"}, "mount: no transit secrets engine can be there"),
        ({"mount": "secret/data/clinic"}, "and data and metadata are in key-value stores"),
        ({"mount": "secret/data"}, "mount: no transit secrets engine can be there"),
        ({"mount": "secret/metadata/clinic"}, "mount: no transit secrets engine can be there"),
        ({"context": "\ud800"}, "context: it contains half of a surrogate pair"),
        ({"associated_data": "\ud800"}, "associated_data: it contains half of a surrogate pair"),
        ({"namespace": "a?b"}, "namespace: not a path"),
        ({"wrapped": "AAAA"}, "wrapped: not a ciphertext of Vault"),
        ({"token": None}, "give exactly one of token, token_file, approle and kubernetes"),
        ({"token_file": "/a"}, "give exactly one of token, token_file, approle and kubernetes"),
        ({"token": "two words"}, "token: contains white space"),
        ({"token": None, "approle": {"role_id": "a"}}, "approle.secret_id: required"),
        ({"token": None, "approle": {"role_id": "a", "secret_id": "b", "mount": ".."}}, "approle.mount: not a path"),
    ],
)
def test_invalid_reference_is_refused(changes: dict[str, Any], told: str) -> None:
    document = {"source": "vault", "address": "https://vault.example", "key": "clinic", "token": "hvs.t"}
    with pytest.raises(InvalidCredentials) as caught:
        reference({**document, "wrapped": "vault:v1:AAAA", **changes})
    assert told in str(caught.value)
