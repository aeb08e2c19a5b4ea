"""The key source azure-key-vault, against a fake of the service's API that really wraps and unwraps."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hostile import Answer, Request, hostile_server
from institution import certificates, tunnel
from key_vault import KeyVault, problem
from login_server import SECRET, Certificate, Login, token
from watching import frames_of, texts_of

from connectors.errors import ConfigError, ConnectorError, InvalidCredentials, KeyRefused, KeyUnavailable
from connectors.keys import forget, reference, resolve, source_of, wrapping
from connectors.secrets import SecretKey
from connectors.testing import KeySourceContract
from connectors_azure.vaults import key_id_of

VAULT, HSM = "clinic.vault.azure.net", "clinic-hsm.managedhsm.azure.net"
KEY_ID = f"https://{VAULT}/keys/wrapping"
VERSION = "0123456789abcdef0123456789abcdef"
KEY = SecretKey.generate()


@pytest.fixture(params=[VAULT, HSM])
def service(request: pytest.FixtureRequest, login: Login, certificate: Certificate, quick: None) -> Iterator[KeyVault]:
    found = KeyVault(request.param, login)
    with found.serve(certificate.context()):
        yield found


@pytest.fixture
def vault(login: Login, certificate: Certificate, quick: None) -> Iterator[KeyVault]:
    found = KeyVault(VAULT, login)
    with found.serve(certificate.context()):
        yield found


class TestAzureKeyVault(KeySourceContract):
    @pytest.fixture
    def service(self, service: KeyVault) -> KeyVault:
        return service


def wrapped(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a reference to KEY."""
    place = wrapping(document)
    return source_of(place.source).wrap(KEY, place, None).document()


def unwrapped(document: dict[str, Any]) -> SecretKey:
    found = reference(document)
    forget([found])
    return resolve(found)


def refused(document: dict[str, Any], kind: type[ConnectorError] = KeyRefused) -> str:
    """Return the text of the error of a reference."""
    with pytest.raises(kind) as caught:
        unwrapped(document)
    assert type(caught.value) is kind
    assert caught.value.__context__ is None
    texts = [*(text for _, text in frames_of(caught.value)), *texts_of(caught.value)]
    assert not [text for text in texts if SECRET in text or KEY.reveal().hex() in text]
    return str(caught.value)


def members(**given: Any) -> dict[str, Any]:
    """Return the members of a reference that names no server."""
    return {"source": "azure-key-vault", "key_id": f"{KEY_ID}/{VERSION}", "wrapped": "AAAA", **given}


# What is sent.


def test_version_that_wrapped_is_in_the_reference(vault: KeyVault) -> None:
    old, current = vault.versions
    assert wrapped(vault.wrapping())["key_id"] == f"{KEY_ID}/{current}"
    document = wrapped({**vault.wrapping(), "key_id": f"{KEY_ID}/{old}"})
    assert document["key_id"] == f"{KEY_ID}/{old}"
    assert unwrapped(document) == KEY
    assert [urlsplit(one.target).path for one in vault.seen] == [
        "/keys/wrapping/wrapkey",
        f"/keys/wrapping/{old}/wrapkey",
        f"/keys/wrapping/{old}/unwrapkey",
    ]


def test_identifiers_are_compared_without_regard_to_case(vault: KeyVault) -> None:
    document = wrapped(vault.wrapping())
    document["key_id"] = document["key_id"].replace(VAULT, "CLINIC.Vault.azure.net")
    assert unwrapped(document) == KEY


def test_token_is_for_the_service_of_the_key(service: KeyVault, login: Login) -> None:
    wrapped(service.wrapping())
    assert {form["scope"][0] for form in login.requests} == {f"https://{service.host.partition('.')[2]}/.default"}


@pytest.mark.parametrize(
    ("suffix", "authority"),
    [
        ("vault.azure.net", "https://login.microsoftonline.com"),
        ("vault.usgovcloudapi.net", "https://login.microsoftonline.us"),
        ("vault.azure.cn", "https://login.partner.microsoftonline.cn"),
        ("managedhsm.azure.net", "https://login.microsoftonline.com"),
        ("managedhsm.usgovcloudapi.net", "https://login.microsoftonline.us"),
        ("managedhsm.azure.cn", "https://login.partner.microsoftonline.cn"),
    ],
)
def test_cloud_of_the_key_has_its_login_service(suffix: str, authority: str) -> None:
    key = key_id_of(f"https://clinic.{suffix}/keys/wrapping/{VERSION}")
    assert (key.authority, key.scope) == (authority, f"https://{suffix}/.default")


def test_refused_token_is_renewed_once(vault: KeyVault, login: Login) -> None:
    document = wrapped(vault.wrapping())
    login.requests.clear()
    answers = [problem(401, "Unauthorized")]
    vault.refusing = lambda: answers.pop() if answers else None
    assert unwrapped(document) == KEY
    assert len(login.requests) == 2
    vault.refusing = lambda: problem(401, "Unauthorized")
    assert "(401 Unauthorized): the token is not accepted" in refused(document)


def test_managed_identity_logs_in_for_the_vault(
    login: Login, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault's own host is asked, which a proxy leads to the fake."""
    vault, certified = KeyVault(VAULT, login), certificates(tmp_path, VAULT)
    monkeypatch.setenv("SSL_CERT_FILE", str(certified.authority))

    def respond(request: Request) -> Answer:
        vault.login.issued.append(token(parse_qs(urlsplit(request.target).query)["resource"][0]))
        issued = {"access_token": vault.login.issued[-1], "expires_on": str(int(time.time()) + 3600)}
        return Answer(
            200, {"Content-Type": "application/json"}, json.dumps({**issued, "token_type": "Bearer"}).encode()
        )

    place = {"source": "azure-key-vault", "key_id": KEY_ID}
    with ExitStack() as running:
        running.enter_context(vault.serve(certified.server))
        proxy = running.enter_context(tunnel(urlsplit(vault.url).port or 0))
        url, seen = running.enter_context(hostile_server(respond))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
        document = wrapped({**place, "managed_identity": True})
        assert document["managed_identity"] is True
        assert unwrapped(document) == KEY
    assert len(seen) == 2
    assert vault.login.requests == []


# What comes back.


@pytest.mark.parametrize(
    ("status", "code", "inner", "told"),
    [
        (
            403,
            "Forbidden",
            "AccessDenied",
            "add the key permissions wrapKey and unwrapKey to the vault's access policy",
        ),
        (403, "Forbidden", "ForbiddenByPolicy", "add the key permissions"),
        (403, "Forbidden", "ForbiddenByRbac", "assign them the role Key Vault Crypto Service Encryption User"),
        (403, "Forbidden", "", "assign them the role"),
        (403, "Forbidden", "ForbiddenByFirewall", "add its network to the firewall"),
        (403, "Forbidden", "ForbiddenByConnection", "reach it by its private endpoint"),
        (403, "Forbidden", "KeyDisabled", "enable this version"),
        (403, "Forbidden", "KeyOperationForbidden", "add wrapKey and unwrapKey to its key_ops"),
        (404, "KeyNotFound", "", "check key_id"),
        (400, "BadParameter", "", "wrapped by another key, version or algorithm"),
        (403, "Forbidden", "SomethingNew", "ask the owner of the key for the permission"),
    ],
)
def test_refusal_says_what_to_do(vault: KeyVault, status: int, code: str, inner: str, told: str) -> None:
    document = wrapped(vault.wrapping())
    vault.refusing = lambda: problem(status, code, inner)
    before = len(vault.seen)
    text = refused(document)
    assert text.startswith(f"Azure Key Vault refuses to unwrap with {document['key_id']} ({status} {inner or code}): ")
    assert told in text
    assert "Caller" not in text
    assert len(vault.seen) == before + 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_service_is_asked_again(vault: KeyVault, status: int) -> None:
    document = wrapped(vault.wrapping())
    answers = [problem(status, "Throttled", headers={"Retry-After": "0"})] * 2
    vault.refusing = lambda: answers.pop() if answers else None
    assert unwrapped(document) == KEY
    vault.refusing = lambda: problem(status, "Throttled")
    assert f"cannot unwrap with {document['key_id']} now ({status} Throttled); try again" in refused(
        document, KeyUnavailable
    )


@pytest.mark.parametrize(
    "kid",
    [
        None,
        7,
        KEY_ID,
        f"{KEY_ID}/{VERSION}",
        f"https://other.vault.azure.net/keys/wrapping/{VERSION}",
        f"https://clinic.vault.azure.net.example/keys/wrapping/{VERSION}",
        f"https://{VAULT}/keys/other/{VERSION}",
    ],
)
def test_result_of_another_key_is_not_taken(vault: KeyVault, kid: Any) -> None:
    document = wrapped(vault.wrapping())
    vault.changing = lambda result: {**result, "kid": kid}
    assert "sent an invalid response" in refused(document, KeyUnavailable)
    if kid != f"{KEY_ID}/{VERSION}":  # any version may have wrapped
        with pytest.raises(KeyUnavailable, match="sent an invalid response"):
            wrapped(vault.wrapping())


@pytest.mark.parametrize("value", [None, 7, "", "a", "!!!!"])
def test_result_that_is_no_key_is_not_taken(vault: KeyVault, value: Any) -> None:
    document = wrapped(vault.wrapping())
    vault.changing = lambda result: {**result, "value": value}
    with pytest.raises(ConnectorError, match="sent an invalid response|has 0 bytes; a key has 32"):
        unwrapped(document)


def test_key_of_another_version_is_refused(vault: KeyVault) -> None:
    old, current = vault.versions
    document = wrapped(vault.wrapping())
    document["key_id"] = document["key_id"].replace(current, old)
    assert "400 BadParameter" in refused(document)


# Logins.


@pytest.mark.parametrize("size", [0, (1 << 16) + 1])
def test_wrapped_key_of_a_size_that_no_document_holds_is_an_outage(vault: KeyVault, size: int) -> None:
    value = base64.urlsafe_b64encode(bytes(size)).decode().rstrip("=")
    vault.changing = lambda result: {**result, "value": value}
    with pytest.raises(KeyUnavailable, match=f"sent an invalid response about {KEY_ID}"):
        wrapped(vault.wrapping())


@pytest.mark.parametrize("code", ["AADSTS7000215", "AADSTS7000222"])
def test_refused_login_names_the_key_and_no_secret(vault: KeyVault, login: Login, code: str) -> None:
    document = wrapped(vault.wrapping())
    login.problem = code
    text = refused(document)
    assert text.startswith(f"Azure Key Vault cannot unwrap with {document['key_id']}: ")
    assert code in text


def test_unreachable_login_service_is_an_outage(vault: KeyVault) -> None:
    document = {**wrapped(vault.wrapping()), "authority_url": "https://127.0.0.1:9"}
    assert "the login with the service principal's secret" in refused(document, KeyUnavailable)


def test_missing_azure_identity_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    for login in ({"managed_identity": True}, {"ambient": True}):
        with pytest.raises(ConfigError, match=r'pip install "enclave-connectors-azure\[identity\]"'):
            unwrapped(members(**login))


# Documents.


@pytest.mark.parametrize(
    "key_id",
    [
        "https://clinic.vault.azure.net.example/keys/wrapping",
        "https://clinic.example/keys/wrapping",
        "https://vault.azure.net/keys/wrapping",
        "https://a.b.vault.azure.net/keys/wrapping",
        "https://clinic_vault.azure.net/keys/wrapping",
        "https://user@clinic.vault.azure.net/keys/wrapping",
        "https://clinic.vault.azure.net:8443/keys/wrapping",
        "http://clinic.vault.azure.net/keys/wrapping",
        "https://clinic.vault.azure.net/secrets/wrapping",
        "https://clinic.vault.azure.net/keys/wrapping/../other",
        "https://clinic.vault.azure.net/keys/wrapping?x=1",
        "https://clinic.vault.azure.net/keys/",
        "https://clinic.vault.azure.net",
        "https://clinic.vault.azure.net\n/keys/wrapping",
        "https://\u017flinic.vault.azure.net/keys/wrapping",
        "wrapping",
    ],
)
def test_tokens_are_sent_only_to_vaults_of_azure(key_id: str) -> None:
    with pytest.raises(InvalidCredentials, match="not the identifier of a key in Azure Key Vault"):
        wrapping({"source": "azure-key-vault", "key_id": key_id, "managed_identity": True})


@pytest.mark.parametrize(
    "url",
    [
        "https://clinic.example",
        "http://127.0.0.1:8443",
        "https://127.0.0.1:8443/path",
        "https://127.0.0.1.example:8443",
        "https://user@127.0.0.1",
        "127.0.0.1",
    ],
)
def test_test_servers_are_on_this_machine(url: str) -> None:
    login = {"tenant_id": "t", "client_id": "c", "client_secret": SECRET}
    with pytest.raises(InvalidCredentials, match=r"azure-key-vault: endpoint_url: "):
        wrapping({"source": "azure-key-vault", "key_id": KEY_ID, **login, "endpoint_url": url})


@pytest.mark.parametrize("login", ["managed_identity", "ambient"])
def test_identity_of_the_machine_is_not_for_test_servers(login: str) -> None:
    document = {"source": "azure-key-vault", "key_id": KEY_ID, login: True}
    wrapping(document)
    with pytest.raises(
        InvalidCredentials, match="endpoint_url: a test server gets no token of this machine's identity"
    ):
        wrapping({**document, "endpoint_url": "https://127.0.0.1:8443"})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "no credentials are given.*ambient"),
        ({"managed_identity": True, "ambient": True}, "give exactly one of"),
        ({"tenant_id": "t", "client_secret": SECRET}, "a service principal needs all of"),
        ({"managed_identity": True, "authority_url": "https://login.example"}, "authority_url needs"),
        (
            {"tenant_id": "t", "client_id": "c", "client_secret": SECRET, "authority_url": "http://login.example"},
            "must start with https://",
        ),
        ({"managed_identity": True, "algorithm": "A256KW"}, "only a Managed HSM has AES keys"),
        ({"managed_identity": True, "algorithm": "RSA1_5"}, "algorithm"),
        ({"managed_identity": True, "key_id": KEY_ID}, "add the version that wrapped the key"),
        ({"managed_identity": True, "wrapped": ""}, "it is empty"),
        ({"managed_identity": True, "wrapped": None}, "wrapped"),
        ({"managed_identity": 1}, "managed_identity"),
    ],
)
def test_invalid_documents_are_told_without_secrets(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidCredentials, match=told) as caught:
        reference(members(**given))
    assert SECRET not in str(caught.value)
    assert str(caught.value).startswith("azure-key-vault: ")
