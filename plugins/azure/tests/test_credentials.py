from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.credentials.model import validate
from connectors.errors import InvalidCredentials
from connectors.secrets import SecretText
from connectors_azure import AzureCredentials
from connectors_azure.account import account_of
from connectors_azure.connection_string import parse_connection_string
from connectors_azure.location import LOCATION

SECRET = "d2pzbHJYVXRuRkVNSS9LN01ERU5HK2JQeFJmaUNZRVhBTVBMRQ=="
SAS = "sv=2024-11-04&se=2026-01-02T03%3A04%3A05Z&sr=c&sp=rl&sig=s1gnature%2B%3D"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=clinic;AccountKey={SECRET};EndpointSuffix=core.windows.net"
PRINCIPAL = {"tenant_id": "contoso.example", "client_id": "11fa2b", "client_secret": "s3cr3t~value"}
NAMED = {"account_name": "clinic"}
KEYED = {**NAMED, "account_key": SECRET}


def build(**members: Any) -> AzureCredentials:
    return validate(AzureCredentials, {"encryption": None, **members})


@pytest.mark.parametrize(
    "members",
    [
        KEYED,
        {"account_key": SECRET},
        {**NAMED, "sas_token": SAS},
        {**NAMED, "sas_token": f"?{SAS}"},
        {"connection_string": CONNECTION},
        {"connection_string": f"{CONNECTION};"},
        {**NAMED, **PRINCIPAL},
        {**NAMED, **PRINCIPAL, "authority_url": "https://login.example.org"},
        {**NAMED, "managed_identity": True},
        {**NAMED, "managed_identity": True, "client_id": "11fa2b"},
        {**NAMED, "anonymous": True},
        {**NAMED, "ambient": True},
        {**KEYED, "endpoint_url": "https://blob.example.org/clinic"},
        {**KEYED, "endpoint_url": "http://127.0.0.1:10000/clinic"},
        {**KEYED, "endpoint_url": "http://localhost:10000/clinic"},
        {**KEYED, "endpoint_url": "http://[::1]:10000/clinic"},
        {**KEYED, "endpoint_url": "http://store.internal", "allow_http": True},
        {"connection_string": f"AccountName=clinic;AccountKey={SECRET};BlobEndpoint=http://127.0.0.1:10000/clinic"},
    ],
)
def test_complete_documents_are_accepted(members: dict[str, Any]) -> None:
    assert build(**members).document() == {"encryption": None, **members}


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({}, "no credentials are given: give exactly one of"),
        (NAMED, "no credentials are given: give exactly one of"),
        ({**KEYED, "sas_token": SAS}, ": give exactly one of"),
        ({**KEYED, "anonymous": True}, ": give exactly one of"),
        ({**KEYED, "ambient": True}, ": give exactly one of"),
        ({**KEYED, **PRINCIPAL}, ": give exactly one of"),
        ({**KEYED, "client_id": "11fa2b"}, ": give exactly one of"),
        ({"managed_identity": True, **PRINCIPAL}, ": give exactly one of"),
        ({"connection_string": CONNECTION, "account_key": SECRET}, ": give exactly one of"),
        ({"connection_string": CONNECTION, **NAMED}, "the connection_string already contains"),
        (
            {"connection_string": CONNECTION, "endpoint_url": "https://a.example"},
            "the connection_string already contains",
        ),
        ({**NAMED, "tenant_id": "t", "client_id": "c"}, "a service principal needs all of"),
        ({**NAMED, "client_id": "c"}, "a service principal needs all of"),
        ({**NAMED, "client_secret": "c"}, "a service principal needs all of"),
        ({**KEYED, "authority_url": "https://login.example.org"}, "authority_url needs tenant_id"),
        (
            {**NAMED, **PRINCIPAL, "authority_url": "http://127.0.0.1:1"},
            "authority_url: the client secret is sent there",
        ),
        ({**KEYED, "account_name": "Clinic"}, "credentials.account_name: not the name of a storage account"),
        ({**KEYED, "account_name": "clinic.attacker.example"}, "credentials.account_name"),
        ({**KEYED, "account_name": "clinic/"}, "credentials.account_name"),
        ({**NAMED, "account_key": "no base64!"}, "credentials.account_key: not an account key"),
        ({**NAMED, "account_key": SECRET[:-1]}, "credentials.account_key"),
        ({**NAMED, "account_key": f"{SECRET}\n"}, "credentials.account_key"),
        ({**NAMED, "account_key": ""}, "credentials.account_key"),
        ({**NAMED, "sas_token": f"https://x.example/?{SAS}"}, "credentials.sas_token: give only the part of"),
        ({**NAMED, "sas_token": "sv=2024-11-04"}, "credentials.sas_token: not a shared access signature"),
        ({**NAMED, "sas_token": f"{SAS}\r\nX-Evil: 1"}, "credentials.sas_token"),
        ({**NAMED, "sas_token": f"{SAS}#x"}, "credentials.sas_token"),
        ({"connection_string": "nonsense"}, "credentials.connection_string: not a connection string"),
        ({"connection_string": "UseDevelopmentStorage=true"}, "credentials.connection_string"),
        ({"connection_string": f"AccountName=clinic;AccountKey={SECRET};AccountKey=eA=="}, "each name once"),
        ({"connection_string": "AccountName=clinic"}, "exactly one of AccountKey and SharedAccessSignature"),
        ({"connection_string": f"{CONNECTION};SharedAccessSignature={SAS}"}, "exactly one of AccountKey and Shared"),
        ({"connection_string": f"AccountKey={SECRET}"}, "names no storage account"),
        ({"connection_string": f"{CONNECTION}/@attacker.example"}, "not the end of a host name"),
        ({"connection_string": f"AccountName=clinic;AccountKey={SECRET};BlobEndpoint=ftp://x"}, "its blob endpoint: "),
        (
            {"connection_string": f"AccountName=clinic;AccountKey={SECRET};DefaultEndpointsProtocol=http"},
            "connection_string: http:// is not encrypted",
        ),
        ({**KEYED, "endpoint_url": "http://store.internal"}, "endpoint_url: http:// is not encrypted"),
        ({**KEYED, "endpoint_url": "HTTP://store.internal"}, "endpoint_url: http:// is not encrypted"),
        ({**KEYED, "endpoint_url": "http://127.0.0.1.attacker.example"}, "endpoint_url: http:// is not encrypted"),
        (
            {**NAMED, **PRINCIPAL, "endpoint_url": "http://127.0.0.1:1"},
            "Microsoft Entra tokens are sent only over https",
        ),
        (
            {**NAMED, "managed_identity": True, "endpoint_url": "http://127.0.0.1:1", "allow_http": True},
            "Microsoft Entra tokens are sent only over https",
        ),
        (
            {**NAMED, "managed_identity": True, "endpoint_url": "https://store.example"},
            "the token of this machine's identity is sent only to hosts of Azure Storage",
        ),
        (
            {**NAMED, "ambient": True, "endpoint_url": "https://clinic.blob.core.windows.net.evil.example"},
            "the token of this machine's identity is sent only to hosts of Azure Storage",
        ),
        ({**KEYED, "endpoint_url": "https://user:pw@store"}, "credentials.endpoint_url: .*user information"),
        ({**KEYED, "endpoint_url": f"https://store/?{SAS}"}, "credentials.endpoint_url: .*query"),
        ({**KEYED, "endpoint_url": "https://store\\@attacker.example"}, "credentials.endpoint_url"),
        ({**KEYED, "endpoint_url": "https://store/../other"}, "credentials.endpoint_url: .*contains a segment . or .."),
        ({**KEYED, "endpoint_url": "store.example.org"}, "credentials.endpoint_url"),
        ({**KEYED, "endpoint_url": "https://store:port"}, "credentials.endpoint_url: .*port"),
        ({**KEYED, "endpoint_url": ""}, "credentials.endpoint_url"),
        ({**NAMED, **PRINCIPAL, "tenant_id": "../other"}, "credentials.tenant_id: not a tenant"),
        ({**NAMED, **PRINCIPAL, "client_secret": "two words"}, "credentials.client_secret: .*contains white space"),
        ({**NAMED, **PRINCIPAL, "client_id": ""}, "credentials.client_id: empty"),
        ({**NAMED, "anonymous": "true"}, "credentials.anonymous"),
        ({**NAMED, "managed_identity": 1}, "credentials.managed_identity"),
        ({**KEYED, "acount_key": SECRET}, "credentials.acount_key: unknown member; did you mean account_key"),
    ],
)
def test_error_names_the_broken_rule_and_shows_no_value(members: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidCredentials, match=rule) as caught:
        build(**members)
    text = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
    for secret in (SECRET, SECRET[:-1], "s1gnature", "s3cr3t", "attacker"):
        assert secret not in text


def test_secrets_are_not_printed_pickled_or_dumped() -> None:
    for members in (KEYED, {**NAMED, "sas_token": SAS}, {"connection_string": CONNECTION}, {**NAMED, **PRINCIPAL}):
        credentials = build(**members)
        account = account_of(credentials, LOCATION.parse("abfss://ward@clinic.dfs.core.windows.net/a"))
        shown = f"{credentials!r} {credentials.model_dump()} {credentials.model_dump_json()} {account!r}"
        for secret in (SECRET, "s1gnature", "s3cr3t"):
            assert secret not in shown
        with pytest.raises(TypeError, match="does not pickle"):
            pickle.dumps(credentials)
        assert json.loads(json.dumps(credentials.document())) == {"encryption": None, **members}


@pytest.mark.parametrize(
    ("text", "account", "endpoint"),
    [
        (CONNECTION, "clinic", "https://clinic.blob.core.windows.net"),
        (f"accountname=clinic;accountkey={SECRET}", "clinic", "https://clinic.blob.core.windows.net"),
        (
            f"AccountName=clinic;AccountKey={SECRET};EndpointSuffix=core.chinacloudapi.cn",
            "clinic",
            "https://clinic.blob.core.chinacloudapi.cn",
        ),
        (
            f"AccountName=clinic;AccountKey={SECRET};BlobEndpoint=http://127.0.0.1:1/clinic/;QueueEndpoint=http://x/",
            "clinic",
            "http://127.0.0.1:1/clinic",
        ),
        (
            f"BlobEndpoint=https://clinic.blob.core.windows.net/;SharedAccessSignature={SAS}",
            "clinic",
            "https://clinic.blob.core.windows.net",
        ),
    ],
)
def test_connection_strings_are_parsed(text: str, account: str, endpoint: str) -> None:
    connection, problem = parse_connection_string(SecretText(text))
    assert problem is None
    assert connection is not None
    assert (connection.account, connection.endpoint) == (account, endpoint)
    secret = connection.key or connection.sas
    assert secret is not None
    assert secret.reveal() in (SECRET, SAS)


CONNECTION_WITH_SAS = f"BlobEndpoint=https://clinic.blob.core.windows.net/;SharedAccessSignature={SAS}"
EXPIRES_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("members", "expires_at"),
    [
        ({**NAMED, "sas_token": SAS}, EXPIRES_AT),
        ({**NAMED, "sas_token": f"?{SAS}"}, EXPIRES_AT),
        ({**NAMED, "sas_token": f"{SAS}&ske=2026-01-01"}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({**NAMED, "sas_token": "sv=2024-11-04&si=policy&sig=0"}, None),
        ({"connection_string": CONNECTION_WITH_SAS}, EXPIRES_AT),
        ({"connection_string": CONNECTION_WITH_SAS.replace("=sv", "=?sv")}, EXPIRES_AT),
        ({"connection_string": CONNECTION}, None),
        (KEYED, None),
        ({**NAMED, **PRINCIPAL}, None),
        ({**NAMED, "managed_identity": True}, None),
        ({**NAMED, "anonymous": True}, None),
        ({**NAMED, "ambient": True}, None),
    ],
)
def test_expiry_is_known_for_a_sas_only(members: dict[str, Any], expires_at: datetime | None) -> None:
    assert build(**members).expires_at == expires_at


@pytest.mark.parametrize("sas", ["sv=2024-11-04&sr=c&sp=rl&sig=s1gnature", "sv=2024-11-04&st=2099-01-01&sig=s1gnature"])
def test_what_is_missing_in_a_sas_is_a_problem(sas: str) -> None:
    token = build(**{**NAMED, "sas_token": sas})
    connection = build(connection_string=CONNECTION_WITH_SAS.replace(SAS, sas))
    for credentials, member in ((token, "sas_token"), (connection, "connection_string")):
        found = credentials.problems("az://ward/a")
        assert all(one.startswith(f"credentials.{member}: ") for one in found)
        assert any("missing" in one for one in found)
        assert any("cut short: 9 of 44" in one for one in found)
        assert any("not valid before 2099" in one for one in found) == ("st=" in sas)
        assert "s1gnature" not in " ".join(found)


def test_a_sas_for_https_contradicts_an_http_endpoint() -> None:
    sas = f"{SAS}&spr=https"
    endpoint = "http://127.0.0.1:10000/clinic"
    token = build(**{**NAMED, "sas_token": sas, "endpoint_url": endpoint})
    connection = build(connection_string=f"AccountName=clinic;BlobEndpoint={endpoint};SharedAccessSignature={sas}")
    for credentials in (token, connection):
        assert any("allows only https" in one for one in credentials.problems("az://ward/a"))


def test_other_credentials_have_no_problems() -> None:
    for members in (KEYED, {**NAMED, "anonymous": True}, {"connection_string": CONNECTION}):
        assert build(**members).problems("az://ward/a") == ()


@pytest.mark.parametrize(
    "host",
    ["clinic.blob.core.windows.net", "clinic.privatelink.blob.core.windows.net", "clinic.z3.blob.storage.azure.net"],
)
def test_identity_of_the_machine_may_use_the_hosts_of_azure(host: str) -> None:
    document = {**NAMED, "managed_identity": True, "endpoint_url": f"https://{host}", "encryption": None}
    assert validate(AzureCredentials, document).endpoint_url == f"https://{host}"
