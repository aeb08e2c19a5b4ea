"""Login with Microsoft Entra: a fake login server, and Azurite behind TLS, which accepts the server's tokens."""

from __future__ import annotations

import base64
import json
import os
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import servers
from azure.storage.blob import BlobServiceClient
from hostile import Answer, Request, hostile_server
from login_server import CLIENT, SECRET, TENANT, Certificate, Login, over_tls, token
from patience import PATIENCE
from watching import frames_of, texts_of

import connectors
from connectors.credentials.model import validate
from connectors.errors import AccessDenied, CredentialsExpired, StorageUnavailable
from connectors_azure import AzureBackend, AzureCredentials

KEY = "0f" * 32

pytestmark = pytest.mark.usefixtures("trusted")


@pytest.fixture(scope="session")
def secure(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.AzureServer]:
    """Azurite behind TLS, where it accepts tokens; skipped only where npm is missing, which installs it."""
    try:
        program = servers.azurite_program()
    except servers.NpmMissing as reason:
        pytest.skip(str(reason))
    home: Path = tmp_path_factory.mktemp("azurite-tls")
    account, key, port = "clinic", base64.b64encode(secrets.token_bytes(32)).decode(), servers.free_port()
    command = [
        *(str(program), "--silent", "--disableTelemetry", "--skipApiVersionCheck", "--blobHost=127.0.0.1"),
        *(f"--blobPort={port}", f"--location={home}", "--oauth=basic"),
        *(f"--cert={certificate.path}", f"--key={certificate.key}"),
    ]
    endpoint, context = f"https://127.0.0.1:{port}", ssl.create_default_context(cafile=certificate.path)

    def is_ready() -> bool:
        try:
            with urllib.request.urlopen(endpoint, timeout=5, context=context):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return True
        except OSError:
            return False

    env = {**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}"}
    with servers.running(command, log=home / "azurite.log", ready=is_ready, env=env):
        server = servers.AzureServer(f"{endpoint}/{account}", account, key)
        credential = {"account_name": account, "account_key": key}
        with BlobServiceClient(server.endpoint, credential=credential, connection_verify=certificate.path) as client:
            client.create_container("ward")
        yield server


@pytest.fixture
def principal(secure: servers.AzureServer, login: Login) -> dict[str, Any]:
    return {
        "account_name": secure.account,
        "endpoint_url": secure.endpoint,
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "authority_url": login.url,
        "encryption": {"key": KEY},
    }


def test_service_principal_reads_and_writes(principal: dict[str, Any], login: Login) -> None:
    dataset = connectors.Dataset("az://ward/principal", principal)
    data = os.urandom(300_000)
    dataset.write_bytes(data)
    assert dataset.read_bytes() == data
    fs, path = AzureBackend().connect("az://ward/principal", validate(AzureCredentials, principal))
    fs.cp_file(path, f"{path}-copy")
    assert fs.cat_file(f"{path}-copy") == fs.cat_file(path)
    assert {form["client_secret"][0] for form in login.requests} == {SECRET}
    assert {form["scope"][0].split()[0] for form in login.requests} == {"https://storage.azure.com/.default"}
    assert len(login.requests) == 2  # one login per filesystem


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        ("AADSTS7000215", AccessDenied),
        ("AADSTS700016", AccessDenied),
        ("AADSTS7000222", CredentialsExpired),
        ("nonsense", AccessDenied),
    ],
)
def test_error_of_a_refused_principal_does_not_show_its_secret(
    principal: dict[str, Any], login: Login, problem: str, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    login.problem = problem
    credentials = validate(AzureCredentials, principal)
    fs, path = AzureBackend().connect("az://ward/principal", credentials)
    for call in (lambda: fs.cat_file(path), lambda: AzureBackend().presign("az://ward/a", credentials, "GET", 60)):
        with pytest.raises(kind) as caught:
            call()
        assert type(caught.value) is kind
        assert ("AADSTS" in problem) == (problem in str(caught.value))
        assert caught.value.__context__ is None
        assert SECRET not in f"{caught.value} {caught.getrepr()} {caplog.text}"
        frames = list(frames_of(caught.value))
        assert "storage/tokens.py:token" in dict(frames)
        for text in (*(text for _, text in frames), *texts_of(caught.value)):
            assert SECRET not in text


@pytest.mark.parametrize("resource", ["https://vault.azure.net", "https://management.azure.com"])
def test_storage_gets_no_token_for_another_service(certificate: Certificate, login: Login, resource: str) -> None:
    class Greedy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers["Authorization"])
            self.send_response(401)
            challenge = f"Bearer authorization_uri={login.url}/{TENANT}/oauth2/authorize resource_id={resource}"
            self.send_header("WWW-Authenticate", challenge)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    tokens: list[str] = []
    with over_tls(certificate, Greedy) as url:
        document = {
            "account_name": "clinic",
            "endpoint_url": f"{url}/clinic",
            "authority_url": login.url,
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "encryption": {"key": KEY},
        }
        with pytest.raises(AccessDenied, match="Azure does not let these credentials read"):
            connectors.Dataset("az://ward/greedy", document).read_bytes()
    assert len(tokens) == 2  # tokens for Azure Storage, which any storage may see; the second one is new
    assert {form["scope"][0].split()[0] for form in login.requests} == {"https://storage.azure.com/.default"}


def test_tokens_and_secrets_are_not_logged_or_shown(
    principal: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    fs, path = AzureBackend().connect("az://ward/principal", validate(AzureCredentials, principal))
    fs.pipe_file(path, b"sealed")
    header = token().partition(".")[0]
    for secret in (SECRET, f"{header}."):
        assert secret not in f"{caplog.text} {fs!r} {vars(fs)} {fs.storage_options}"


@pytest.mark.usefixtures("quick")
def test_unreachable_login_server_is_unavailable(principal: dict[str, Any]) -> None:
    credentials = validate(AzureCredentials, {**principal, "authority_url": "https://127.0.0.1:9"})
    fs, path = AzureBackend().connect("az://ward/principal", credentials)
    with pytest.raises(StorageUnavailable) as caught:
        fs.cat_file(path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_principal_signs_urls_with_a_user_delegation_key(
    principal: dict[str, Any], certificate: Certificate, method: str
) -> None:
    credentials = validate(AzureCredentials, principal)
    fs, path = AzureBackend().connect("az://ward/50% delegated", credentials)
    fs.pipe_file(path, b"sealed")
    url = AzureBackend().presign("az://ward/50% delegated", credentials, method, 3600)
    query = parse_qs(urlsplit(url).query)
    assert {"skoid", "ske", "sig"} <= query.keys()
    context = ssl.create_default_context(cafile=certificate.path)
    body = b"other" if method == "PUT" else None
    request = urllib.request.Request(url, body, {"x-ms-blob-type": "BlockBlob"} if body else {}, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as response:
        assert response.read() == (b"" if body else b"sealed")
    assert fs.cat_file(path) == (body or b"sealed")
    for other in (url.replace("skt=2", "skt=1"), url.replace("sp=", "sp=d"), url.replace("delegated?", "other?")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(other, timeout=PATIENCE, context=context)


def test_principal_logs_in_at_the_authority_of_its_document(
    principal: dict[str, Any], login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AZURE_AUTHORITY_HOST": "https://127.0.0.1:9",
        "AZURE_REGIONAL_AUTHORITY_NAME": "mars-north",
        "MSAL_FORCE_REGION": "mars-north",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "REQUESTS_CA_BUNDLE": "/nonexistent",
        "AZURE_CLIENT_ID": "stranger",
        "AZURE_CLIENT_SECRET": "stranger",
        "AZURE_TENANT_ID": "stranger",
    }.items():
        monkeypatch.setenv(name, value)
    connectors.Dataset("az://ward/principal", principal).write_bytes(b"37.2")
    assert [(form["client_id"], form["client_secret"]) for form in login.requests] == [([CLIENT], [SECRET])]


def test_refused_token_is_replaced_once(principal: dict[str, Any], login: Login, certificate: Certificate) -> None:
    seen: list[str] = []

    class Forgetful(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(self.headers["Authorization"])
            self.send_response(201 if len(seen) == 2 else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with over_tls(certificate, Forgetful) as url:
        document = {**principal, "endpoint_url": f"{url}/clinic"}
        fs, path = AzureBackend().connect("az://ward/renewed", validate(AzureCredentials, document))
        fs.pipe_file(path, b"sealed")
        with pytest.raises(AccessDenied):
            fs.pipe_file(path, b"sealed")
    assert len(login.requests) == 3  # the first, the one after the refusal, and another that did not help
    assert {one.partition(" ")[0] for one in seen} == {"Bearer"}


def test_token_is_requested_once_for_many_threads(principal: dict[str, Any], login: Login) -> None:
    fs, path = AzureBackend().connect("az://ward/threads", validate(AzureCredentials, principal))
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda number: fs.exists(f"{path}-{number}"), range(16)))
    assert len(login.requests) == 1


def test_token_that_is_about_to_expire_is_not_used_again(
    principal: dict[str, Any], login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs, path = AzureBackend().connect("az://ward/short", validate(AzureCredentials, principal))
    issued = {"token_type": "Bearer", "expires_in": 0, "access_token": token()}
    monkeypatch.setattr(login, "issue", lambda form: (login.requests.append(form), (200, issued))[1])
    for _ in range(2):
        assert not fs.isfile(path)
    assert len(login.requests) > 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "reply",
    [
        {},
        [],
        {"access_token": "a b", "expires_in": 60},
        {"access_token": "a\r\nX-Evil: 1", "expires_in": 60},
        {"access_token": "t", "expires_in": "soon"},
        {"access_token": "t"},
        {"access_token": ["t"], "expires_in": None},
    ],
)
def test_invalid_reply_of_a_login_server_is_an_error(
    principal: dict[str, Any], login: Login, monkeypatch: pytest.MonkeyPatch, reply: Any
) -> None:
    monkeypatch.setattr(login, "issue", lambda _: (200, reply))
    fs, path = AzureBackend().connect("az://ward/a", validate(AzureCredentials, principal))
    with pytest.raises(StorageUnavailable, match="Microsoft Entra sent no token for the login with the service"):
        fs.cat_file(path)


@pytest.mark.parametrize("issued", ["t\u00f6ken-of-the-principal", "token-of-the-principal\r\nX-Evil: 1"])
def test_invalid_token_of_a_principal_is_not_in_the_traceback(
    principal: dict[str, Any], login: Login, monkeypatch: pytest.MonkeyPatch, issued: str
) -> None:
    monkeypatch.setattr(login, "issue", lambda _: (200, {"access_token": issued, "expires_in": 60}))
    fs, path = AzureBackend().connect("az://ward/a", validate(AzureCredentials, principal))
    with pytest.raises(StorageUnavailable, match="sent no token") as caught:
        fs.store.signer.sign(fs.store.read_request(path, None, None))
    frames = list(frames_of(caught.value))
    assert "storage/tokens.py:token" in dict(frames)
    for text in (*(text for _, text in frames), *texts_of(caught.value)):
        assert "ken-of-the-principal" not in text


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Request]]:
    """A fake of the service that gives a machine tokens of its managed identity; the requests sent to it."""

    def respond(request: Request) -> Answer:
        issued = {"access_token": token(), "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(issued).encode())

    with hostile_server(respond) as (url, seen):
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
        yield seen


@pytest.mark.parametrize("client_id", [None, CLIENT])
def test_managed_identity_reads_and_writes(
    secure: servers.AzureServer, machine: list[Request], client_id: str | None
) -> None:
    document = {"account_name": secure.account, "endpoint_url": secure.endpoint, "encryption": {"key": KEY}}
    chosen = {"client_id": client_id} if client_id else {}
    dataset = connectors.Dataset("az://ward/managed", {**document, "managed_identity": True, **chosen})
    dataset.write_bytes(b"37.2")
    assert dataset.read_bytes() == b"37.2"
    assert len(machine) == 1
    assert parse_qs(urlsplit(machine[0].target).query).get("client_id") == ([client_id] if client_id else None)


def test_ambient_uses_the_identity_of_the_machine(
    secure: servers.AzureServer, machine: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    document = {"account_name": secure.account, "endpoint_url": secure.endpoint, "encryption": {"key": KEY}}
    dataset = connectors.Dataset("az://ward/ambient", {**document, "ambient": True})
    dataset.write_bytes(b"37.2")
    assert dataset.read_bytes() == b"37.2"
    assert machine != []


def test_machine_without_an_identity_is_denied(secure: servers.AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile_server(lambda _: Answer(400, {}, b'{"error": "invalid_request"}')) as (url, _):
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-machine")
        document = {"account_name": secure.account, "endpoint_url": secure.endpoint, "encryption": None}
        dataset = connectors.Dataset("az://ward/managed", {**document, "managed_identity": True})
        with pytest.raises(AccessDenied, match="this machine's managed identity"):
            dataset.read_bytes()


def test_other_credentials_do_not_need_azures_libraries(
    monkeypatch: pytest.MonkeyPatch, principal: dict[str, Any], secure: servers.AzureServer
) -> None:
    for name in ("azure", "azure.core", "azure.identity", "azure.storage.blob", "msal", "requests"):
        monkeypatch.setitem(sys.modules, name, None)
    where = {"account_name": secure.account, "endpoint_url": secure.endpoint, "encryption": {"key": KEY}}
    for document in (principal, {**where, "account_key": secure.key}):
        dataset = connectors.Dataset("az://ward/without-libraries", document)
        dataset.write_bytes(b"37.2")
        assert dataset.read_bytes() == b"37.2"
    for members in ({"sas_token": "sv=1&sig=0"}, {"anonymous": True}):
        credentials = validate(AzureCredentials, {"account_name": "clinic", **members, "encryption": None})
        AzureBackend().connect("az://ward/a", credentials)
