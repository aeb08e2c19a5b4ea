from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.credentials.model import validate
from connectors.errors import InvalidCredentials
from connectors.storage.registry import resolve
from connectors_gcs import GcsCredentials
from connectors_gcs.login import DEFAULT_TOKEN_URI

TOKEN = "ya29.a0AfH6SMBxEXAMPLETOKEN"
ACCOUNT = {"service_account": "the account"}


@pytest.fixture
def account(key_file: dict[str, Any]) -> dict[str, Any]:
    """A key file in Google's form."""
    return {**key_file, "token_uri": DEFAULT_TOKEN_URI}


def made(account: dict[str, Any], members: dict[str, Any]) -> GcsCredentials:
    """Return credentials with `members` of the service account changed."""
    whole = dict(members)
    if "service_account" in whole:
        changes = whole["service_account"] if isinstance(whole["service_account"], dict) else {}
        whole["service_account"] = {**account, **changes}
    return validate(GcsCredentials, {"encryption": None, **whole})


@pytest.mark.parametrize(
    "members",
    [
        ACCOUNT,
        {**ACCOUNT, "project": "billing-4711"},
        {**ACCOUNT, "requester_pays": True},
        {"token": TOKEN},
        {"token": TOKEN, "requester_pays": True, "project": "billing-4711"},
        {"token": TOKEN, "endpoint_url": "https://storage.example.org"},
        {"token": TOKEN, "endpoint_url": "https://storage-clinic.p.googleapis.com/"},
        {"token": TOKEN, "endpoint_url": "http://127.0.0.1:4443"},
        {"token": TOKEN, "endpoint_url": "http://localhost:4443"},
        {"token": TOKEN, "endpoint_url": "http://[::1]:4443"},
        {"token": TOKEN, "endpoint_url": "http://store.internal", "allow_http": True},
        {"anonymous": True},
        {"ambient": True},
    ],
)
def test_complete_documents_are_accepted(members: dict[str, Any], account: dict[str, Any]) -> None:
    credentials = made(account, members)
    whole = {"encryption": None, **members}
    if members.get("service_account"):
        kept = {name: value for name, value in account.items() if name not in ("token_uri", "universe_domain")}
        whole["service_account"] = kept
    assert credentials.document() == whole
    assert validate(GcsCredentials, credentials.document()) == credentials


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({}, "service_account or token is missing"),
        ({**ACCOUNT, "token": TOKEN}, "give exactly one of"),
        ({**ACCOUNT, "anonymous": True}, "give exactly one of"),
        ({"token": TOKEN, "ambient": True}, "give exactly one of"),
        ({"anonymous": True, "ambient": True}, "give exactly one of"),
        ({"token": ""}, "credentials.token: empty"),
        ({"token": f"{TOKEN}\n"}, "credentials.token: .*white space"),
        ({"token": f"Bearer {TOKEN}"}, "credentials.token: .*white space"),
        ({"token": f"{TOKEN}\r\nX-Evil: 1"}, "credentials.token"),
        ({"token": 7}, "credentials.token"),
        ({"token": TOKEN, "requester_pays": True}, "requester_pays needs a project"),
        ({"anonymous": True, "requester_pays": True, "project": "clinic"}, "anonymous request cannot be billed"),
        ({"token": TOKEN, "project": "a project"}, "credentials.project: not a project's id"),
        ({"token": TOKEN, "project": "x&alt=media"}, "credentials.project: not a project's id"),
        ({"token": TOKEN, "endpoint_url": "http://store.internal"}, "endpoint_url: http:// is not encrypted"),
        ({"token": TOKEN, "endpoint_url": "HTTP://store.internal"}, "endpoint_url: http:// is not encrypted"),
        (
            {"token": TOKEN, "endpoint_url": "http://127.0.0.1.attacker.example"},
            "endpoint_url: http:// is not encrypted",
        ),
        ({"token": TOKEN, "endpoint_url": "https://user:pw@store"}, "credentials.endpoint_url: .*user information"),
        ({"token": TOKEN, "endpoint_url": f"https://store/?token={TOKEN}"}, "credentials.endpoint_url: .*query"),
        ({"token": TOKEN, "endpoint_url": "https://store/path"}, "credentials.endpoint_url: .*no path"),
        ({"token": TOKEN, "endpoint_url": "https://store\\@attacker.example"}, "credentials.endpoint_url"),
        ({"token": TOKEN, "endpoint_url": "store.example.org"}, "credentials.endpoint_url"),
        ({"token": TOKEN, "endpoint_url": "https://store:port"}, "credentials.endpoint_url: .*port"),
        ({"token": TOKEN, "endpoint_url": ""}, "credentials.endpoint_url"),
        ({"token": TOKEN, "allow_http": 1}, "credentials.allow_http"),
        ({"ambient": "true"}, "credentials.ambient"),
        ({"ambient": True, "endpoint_url": "https://store.example"}, "only to hosts below googleapis.com"),
        (
            {"ambient": True, "endpoint_url": "https://googleapis.com.evil.example"},
            "only to hosts below googleapis.com",
        ),
        ({"tokne": TOKEN}, "credentials.tokne: unknown member; did you mean token"),
        ({"service_account": {"type": "authorized_user"}}, "credentials.service_account.type: .*'service_account'"),
        (
            {"service_account": {"client_email": "a@b\n"}},
            "credentials.service_account.client_email: not an account's name",
        ),
        (
            {"service_account": {"client_email": "a/b@c"}},
            "credentials.service_account.client_email: not an account's name",
        ),
        (
            {"service_account": {"private_key": TOKEN}},
            "credentials.service_account.private_key: not an RSA private key",
        ),
        ({"service_account": {"private_key": "\ud800"}}, "credentials.service_account.private_key: not an RSA private"),
        ({"service_account": {"private_key": ""}}, "credentials.service_account.private_key: not an RSA private key"),
        ({"service_account": {"universe_domain": "attacker.example"}}, "universe_domain: .*'googleapis.com'"),
        (
            {"service_account": {"refresh_token": TOKEN}},
            "credentials.service_account.refresh_token: unknown member; known members: auth_provider",
        ),
        (
            {"service_account": {TOKEN: 1}},
            "credentials.service_account.…: unknown member; known members: auth_provider",
        ),
    ],
)
def test_error_names_the_broken_rule_and_shows_no_value(
    members: dict[str, Any], rule: str, account: dict[str, Any]
) -> None:
    with pytest.raises(InvalidCredentials, match=rule) as caught:
        made(account, members)
    text = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert TOKEN not in text
    assert account["private_key"].splitlines()[1] not in text
    assert "attacker" not in text


@pytest.mark.parametrize(
    "uri",
    [
        "https://attacker.example/token",
        "https://oauth2.googleapis.com.attacker.example/token",
        "https://oauth2.googleapis.com@attacker.example/token",
        "https://oauth2.googleapis.com/?x=https://attacker.example",
        "https://oauth2.googleapis.com\\@attacker.example/",
        "http://oauth2.googleapis.com/token",
        "HTTPS://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com",
        "https://accounts.google.com/o/oauth2/token",
        "http://127.0.0.1/token",
        "",
    ],
)
def test_assertion_is_sent_only_to_google(uri: str, account: dict[str, Any]) -> None:
    with pytest.raises(InvalidCredentials, match="service_account.token_uri: not https://oauth2") as caught:
        made(account, {"service_account": {"token_uri": uri}})
    assert "attacker" not in str(caught.value)


def test_assertion_may_go_elsewhere_if_the_storage_is_elsewhere(account: dict[str, Any]) -> None:
    endpoint = {"endpoint_url": "https://emulator.example"}
    for uri in ("https://tokens.example/token", "http://127.0.0.1:8080/token", DEFAULT_TOKEN_URI):
        credentials = made(account, {"service_account": {"token_uri": uri}, **endpoint})
        assert credentials.service_account
        assert credentials.service_account.token_uri == uri
    for uri in ("http://tokens.example/token", "ftp://tokens.example", "tokens", "https://user@tokens.example/"):
        with pytest.raises(InvalidCredentials, match="service_account.token_uri: "):
            made(account, {"service_account": {"token_uri": uri}, **endpoint})


def test_unusable_private_keys_are_refused(account: dict[str, Any]) -> None:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    short = generate_private_key(65537, 1024).private_bytes(*form).decode()
    curve = generate_curve_key(SECP256R1()).private_bytes(*form).decode()
    escaped = account["private_key"].replace("\n", "\\n")
    for pem, rule in ((short, "at least 2048 bits; this one has 1024"), (curve, "not an RSA"), (escaped, "line ends")):
        with pytest.raises(InvalidCredentials, match=rule):
            made(account, {"service_account": {"private_key": pem}})


def test_key_file_may_lack_members_that_are_not_needed(account: dict[str, Any]) -> None:
    least = {name: account[name] for name in ("type", "client_email", "private_key")}
    credentials = validate(GcsCredentials, {"service_account": least, "encryption": None})
    assert credentials.service_account
    assert credentials.service_account.token_uri == DEFAULT_TOKEN_URI
    for name in least:
        some = {other: value for other, value in least.items() if other != name}
        with pytest.raises(InvalidCredentials, match=f"credentials.service_account.{name}: required"):
            validate(GcsCredentials, {"service_account": some, "encryption": None})


def test_encryption_is_required() -> None:
    with pytest.raises(InvalidCredentials, match="credentials.encryption: required"):
        validate(GcsCredentials, {"token": TOKEN})


def test_secrets_are_not_printed_pickled_or_dumped(account: dict[str, Any]) -> None:
    for members in (ACCOUNT, {"token": TOKEN}):
        credentials = made(account, members)
        shown = f"{credentials!r} {credentials} {credentials.model_dump()} {credentials.model_dump_json()}"
        assert TOKEN not in shown
        assert account["private_key"].splitlines()[1] not in shown
        for part in (credentials, credentials.service_account or credentials):
            with pytest.raises(TypeError, match="does not pickle"):
                pickle.dumps(part)


@pytest.mark.parametrize("scheme", ["gs", "gcs", "GS"])
def test_type_and_scheme_find_this_backend(scheme: str) -> None:
    for document in ({"token": TOKEN, "type": "gcs", "encryption": None}, {"token": TOKEN, "encryption": None}):
        backend, credentials = resolve(f"{scheme}://clinic/key", json.dumps(document))
        assert backend.name == "gcs"
        assert isinstance(credentials, GcsCredentials)
