"""The key source azure-skr, against a fake of the sidecar."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hostile import Answer
from release_sidecar import MAA, VAULT, RsaSidecar, Sidecar, failed
from watching import frames_of, texts_of

from connectors.errors import ConnectorError, InvalidCredentials, InvalidKey, KeyRefused, KeyUnavailable, NotSupported
from connectors.keys import forget, reference, resolve, source_of, wrapping
from connectors.secrets import SecretKey
from connectors.testing import KeySourceContract

KEY = SecretKey.generate()


@pytest.fixture
def sidecar(quick: None) -> Iterator[Sidecar]:
    found = Sidecar()
    with found.serve():
        yield found


@pytest.fixture
def rsa(quick: None) -> Iterator[RsaSidecar]:
    found = RsaSidecar()
    with found.serve():
        yield found


class TestReleasedKey(KeySourceContract):
    @pytest.fixture
    def service(self, sidecar: Sidecar) -> Sidecar:
        return sidecar


class TestKeyUnderReleasedKey(KeySourceContract):
    @pytest.fixture
    def service(self, rsa: RsaSidecar) -> RsaSidecar:
        return rsa


def unwrapped(document: dict[str, Any]) -> SecretKey:
    found = reference(document)
    forget([found])
    return resolve(found)


def refused(document: dict[str, Any], kind: type[ConnectorError], *secrets: str) -> str:
    """Return the text of the error of a reference; none of the secrets is in its traceback."""
    with pytest.raises(kind) as caught:
        unwrapped(document)
    assert type(caught.value) is kind
    assert caught.value.__context__ is None
    texts = [*(text for _, text in frames_of(caught.value)), *texts_of(caught.value)]
    assert not [text for text in texts for secret in secrets if secret in text]
    return str(caught.value)


def test_request_is_what_the_sidecar_documents(sidecar: Sidecar) -> None:
    document = sidecar.hold(KEY)
    assert unwrapped(document) == KEY
    named = {"maa_endpoint": MAA, "akv_endpoint": VAULT, "kid": document["kid"]}
    assert sidecar.seen == [{**named, "access_token": sidecar.token}]
    sidecar.token = None
    sidecar.seen.clear()
    assert unwrapped(sidecar.place(document["kid"])) == KEY
    assert sidecar.seen == [named]


@pytest.mark.parametrize("kind", ["oct", "oct-HSM"])
def test_symmetric_key_is_the_key_itself(sidecar: Sidecar, kind: str) -> None:
    document = sidecar.hold(KEY)
    sidecar.keys[document["kid"]]["kty"] = kind
    assert unwrapped(document) == KEY
    assert "leave out `wrapped`" in refused({**document, "wrapped": "AAAA"}, InvalidKey)


@pytest.mark.parametrize("kind", ["RSA", "RSA-HSM"])
def test_rsa_key_unwraps_the_key(rsa: RsaSidecar, kind: str) -> None:
    document = rsa.hold(KEY)
    rsa.keys["wrapping"]["kty"] = kind
    assert unwrapped(document) == KEY
    del document["wrapped"]
    assert "give the dataset's key in `wrapped`" in refused(document, InvalidKey)


def test_key_under_another_rsa_key_is_refused(rsa: RsaSidecar) -> None:
    document = {**rsa.hold(KEY), "wrapped": RsaSidecar().hold(KEY)["wrapped"]}
    private = rsa.keys["wrapping"]["d"]
    text = refused(document, KeyRefused, private, str(rsa.private.private_numbers().d))
    assert text.startswith(f"the dataset's key is not wrapped under {VAULT}/keys/wrapping: ")


@pytest.mark.parametrize("member", ["n", "e", "d", "p", "q", "dp", "dq", "qi"])
@pytest.mark.parametrize("value", [None, 7, "", "!", "AQAC"])
def test_damaged_rsa_key_is_an_invalid_response(rsa: RsaSidecar, member: str, value: Any) -> None:
    document = rsa.hold(KEY)
    secret = rsa.keys["wrapping"]["d"]
    rsa.keys["wrapping"][member] = value
    assert "sent an invalid response" in refused(document, KeyUnavailable, secret)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"key": None},
        {"key": {"kty": "oct"}},
        {"key": "{"},
        {"key": "[]"},
        {"key": '{"kty": "oct"}'},
        {"key": '{"kty": "oct", "k": 7}'},
        {"key": '{"kty": "oct", "k": "?"}'},
    ],
)
def test_response_without_a_key_is_invalid(sidecar: Sidecar, answer: dict[str, Any]) -> None:
    document = sidecar.hold(KEY)
    sidecar.refusing = lambda: Answer(200, {}, json.dumps(answer).encode())
    text = refused(document, KeyUnavailable)
    assert text == (
        f"Azure secure key release sent an invalid response about {VAULT}/keys/{document['kid']}; check that it is this "
        "service"
    )


@pytest.mark.parametrize("key", [{"kty": "EC-HSM", "crv": "P-256"}, {"kty": 7}, {}])
def test_key_of_another_type_is_refused(sidecar: Sidecar, key: dict[str, Any]) -> None:
    document = sidecar.hold(KEY)
    sidecar.keys[document["kid"]] = key
    assert "use one of the type oct or RSA" in refused(document, InvalidKey)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("retrieving authentication token failed: pulling http get …", "NoIdentity", "give an access_token"),
        ("attestation failed: Failed to retrieve attestation report", "AttestationFailed", "check maa_endpoint"),
        (
            'releasing the key x failed: {"innererror":{"code":"ForbiddenByRbac"}}: http response status equal to 403 F',
            "ForbiddenByRbac",
            "Key Vault Crypto Service Release User",
        ),
        (
            'releasing the key x failed: {"innererror":{"code":"ForbiddenByFirewall"}}: http response status equal to 403',
            "ForbiddenByFirewall",
            "add its network",
        ),
        ("releasing the key x failed: http response status equal to 403 Forbidden", "ReleaseRefused", "hostdata"),
        ("releasing the key x failed: http response status equal to 400 Bad Request", "ReleaseRefused", "hostdata"),
        (
            "releasing the key x failed: http response status equal to 404 Not Found",
            "KeyNotFound",
            "check akv_endpoint",
        ),
        ("releasing the key x failed: http response status equal to 401 Unauth", "TokenRefused", "renew access_token"),
        ("released key type X not supported", "KeyNotSupported", "oct-HSM and RSA-HSM"),
    ],
)
def test_refusal_says_which_step_failed_and_what_to_do(sidecar: Sidecar, text: str, code: str, told: str) -> None:
    document = sidecar.hold(KEY)
    sidecar.refusing = lambda: failed(text)
    before = sidecar.requests
    said = refused(document, KeyRefused, sidecar.token or "")
    assert said.startswith(f"Azure secure key release refuses to release {VAULT}/keys/{document['kid']} (403 {code}): ")
    assert told in said
    assert sidecar.requests == before + 1


@pytest.mark.parametrize(
    "text",
    [
        "releasing the key x failed: pulling AKV response body failed: : http response status equal to 429 Too Many",
        "attestation failed: pulling maa post response failed: : http response status equal to 503 Service Unavailable",
        "releasing the key x failed: AKV post request failed: HTTP GET failed: Post https://…: no such host",
        "attestation failed: maa post request failed: HTTP GET failed: Post https://…: i/o timeout",
    ],
)
def test_outage_behind_the_sidecar_is_retried(sidecar: Sidecar, text: str) -> None:
    document = sidecar.hold(KEY)
    answers = [failed(text)] * 2
    sidecar.refusing = lambda: answers.pop() if answers else None
    assert unwrapped(document) == KEY
    sidecar.refusing = lambda: failed(text)
    assert "try again later" in refused(document, KeyUnavailable)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sidecar_url": "http://sidecar.example:8080"}, "only a URL of this machine"),
        ({"sidecar_url": "http://10.0.0.1:8080"}, "only a URL of this machine"),
        ({"sidecar_url": "http://localhost.example:8080"}, "only a URL of this machine"),
        ({"sidecar_url": "http://localhost:8080/other"}, "only a URL of this machine"),
        ({"sidecar_url": "http://[::1"}, "host or port cannot be read"),
        ({"sidecar_url": "localhost:8080"}, "an endpoint is a URL such as"),
        ({"akv_endpoint": "clinic.example"}, "not the host of a vault or a Managed HSM"),
        ({"akv_endpoint": "clinic.vault.azure.net.example"}, "not the host of a vault or a Managed HSM"),
        ({"akv_endpoint": "\u017flinic.vault.azure.net"}, "not the host of a vault or a Managed HSM"),
        ({"akv_endpoint": "https://clinic.vault.azure.net"}, "not the host of a vault or a Managed HSM"),
        ({"maa_endpoint": "sharedneu..azure.net"}, "not a host"),
        ({"maa_endpoint": "https://sharedneu.neu.attest.azure.net"}, "not a host"),
        ({"kid": "conditions/../other"}, "not a key's name"),
        ({"kid": f"https://{VAULT}/keys/conditions"}, "not a key's name"),
        ({"access_token": "two words"}, "access_token: contains white space"),
        ({"wrapped": "?"}, "wrapped: base64 text is expected"),
    ],
)
def test_invalid_documents_are_told(given: dict[str, Any], told: str) -> None:
    document = {"source": "azure-skr", "maa_endpoint": MAA, "akv_endpoint": VAULT, "kid": "conditions", **given}
    with pytest.raises(InvalidCredentials, match=told):
        reference(document)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://[::1]:8080", "http://localhost:8081/"])
def test_sidecar_may_listen_on_another_port_of_this_machine(url: str) -> None:
    document = {"source": "azure-skr", "maa_endpoint": MAA, "akv_endpoint": VAULT, "kid": "c", "sidecar_url": url}
    assert reference(document).document() == document


def test_secure_key_release_wraps_no_keys() -> None:
    with pytest.raises(NotSupported, match="wraps no keys"):
        wrapping({"source": "azure-skr"})
    assert source_of("azure-skr").Wrapping is None
