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
from connectors_azure.location import split_location

SECRET = "d2pzbHJYVXRuRkVNSS9LN01ERU5HK2JQeFJmaUNZRVhBTVBMRQ=="
SAS = "sv=2024-11-04&se=2026-01-02T03%3A04%3A05Z&sr=c&sp=rl&sig=s1gnature%2B%3D"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=clinic;AccountKey={SECRET};EndpointSuffix=core.windows.net"
PRINCIPAL = {"tenant_id": "contoso.example", "client_id": "11fa2b", "client_secret": "s3cr3t~value"}
NAMED = {"account_name": "clinic"}
KEYED = {**NAMED, "account_key": SECRET}


def made(**members: Any) -> AzureCredentials:
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
def test_complete_documents_are_taken(members: dict[str, Any]) -> None:
    assert made(**members).document() == {"encryption": None, **members}


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({}, "no way to log in is given"),
        (NAMED, "no way to log in is given"),
        ({**KEYED, "sas_token": SAS}, "not two of them"),
        ({**KEYED, "anonymous": True}, "not two of them"),
        ({**KEYED, "ambient": True}, "not two of them"),
        ({**KEYED, **PRINCIPAL}, "not two of them"),
        ({**KEYED, "client_id": "11fa2b"}, "not two of them"),
        ({"managed_identity": True, **PRINCIPAL}, "not two of them"),
        ({"connection_string": CONNECTION, "account_key": SECRET}, "not two of them"),
        ({"connection_string": CONNECTION, **NAMED}, "stand in the connection_string already"),
        (
            {"connection_string": CONNECTION, "endpoint_url": "https://a.example"},
            "stand in the connection_string already",
        ),
        ({**NAMED, "tenant_id": "t", "client_id": "c"}, "go together; one of them is missing"),
        ({**NAMED, "client_id": "c"}, "go together; one of them is missing"),
        ({**NAMED, "client_secret": "c"}, "go together; one of them is missing"),
        ({**KEYED, "authority_url": "https://login.example.org"}, "authority_url goes with tenant_id"),
        ({**NAMED, **PRINCIPAL, "authority_url": "http://127.0.0.1:1"}, "authority_url: a secret is sent there"),
        ({**KEYED, "account_name": "Clinic"}, "credentials.account_name: not the name of a storage account"),
        ({**KEYED, "account_name": "clinic.attacker.example"}, "credentials.account_name"),
        ({**KEYED, "account_name": "clinic/"}, "credentials.account_name"),
        ({**NAMED, "account_key": "no base64!"}, "credentials.account_key: not an account's key"),
        ({**NAMED, "account_key": SECRET[:-1]}, "credentials.account_key"),
        ({**NAMED, "account_key": f"{SECRET}\n"}, "credentials.account_key"),
        ({**NAMED, "account_key": ""}, "credentials.account_key"),
        ({**NAMED, "sas_token": f"https://x.example/?{SAS}"}, "credentials.sas_token: give only what follows"),
        ({**NAMED, "sas_token": "sv=2024-11-04"}, "credentials.sas_token: not a shared access signature"),
        ({**NAMED, "sas_token": f"{SAS}\r\nX-Evil: 1"}, "credentials.sas_token"),
        ({**NAMED, "sas_token": f"{SAS}#x"}, "credentials.sas_token"),
        ({"connection_string": "nonsense"}, "credentials.connection_string: not a connection string"),
        ({"connection_string": "UseDevelopmentStorage=true"}, "credentials.connection_string"),
        ({"connection_string": f"AccountName=clinic;AccountKey={SECRET};AccountKey=eA=="}, "each name once"),
        ({"connection_string": "AccountName=clinic"}, "either an AccountKey or a SharedAccessSignature"),
        ({"connection_string": f"{CONNECTION};SharedAccessSignature={SAS}"}, "either an AccountKey or a Shared"),
        ({"connection_string": f"AccountKey={SECRET}"}, "names no storage account"),
        ({"connection_string": f"{CONNECTION}/@attacker.example"}, "not the end of a host name"),
        ({"connection_string": f"AccountName=clinic;AccountKey={SECRET};BlobEndpoint=ftp://x"}, "its blob service is"),
        (
            {"connection_string": f"AccountName=clinic;AccountKey={SECRET};DefaultEndpointsProtocol=http"},
            "connection_string: http:// is not encrypted",
        ),
        ({**KEYED, "endpoint_url": "http://store.internal"}, "endpoint_url: http:// is not encrypted"),
        ({**KEYED, "endpoint_url": "HTTP://store.internal"}, "endpoint_url: http:// is not encrypted"),
        ({**KEYED, "endpoint_url": "http://127.0.0.1.attacker.example"}, "endpoint_url: http:// is not encrypted"),
        ({**NAMED, **PRINCIPAL, "endpoint_url": "http://127.0.0.1:1"}, "tokens of Microsoft Entra's go over https"),
        (
            {**NAMED, "managed_identity": True, "endpoint_url": "http://store", "allow_http": True},
            "tokens of Microsoft Entra's go over https",
        ),
        ({**KEYED, "endpoint_url": "https://user:pw@store"}, "credentials.endpoint_url: .*user information"),
        ({**KEYED, "endpoint_url": f"https://store/?{SAS}"}, "credentials.endpoint_url: .*query"),
        ({**KEYED, "endpoint_url": "https://store\\@attacker.example"}, "credentials.endpoint_url"),
        ({**KEYED, "endpoint_url": "https://store/../other"}, "credentials.endpoint_url: .*segment"),
        ({**KEYED, "endpoint_url": "store.example.org"}, "credentials.endpoint_url"),
        ({**KEYED, "endpoint_url": "https://store:port"}, "credentials.endpoint_url: .*port"),
        ({**KEYED, "endpoint_url": ""}, "credentials.endpoint_url"),
        ({**NAMED, **PRINCIPAL, "tenant_id": "../other"}, "credentials.tenant_id: not a tenant"),
        ({**NAMED, **PRINCIPAL, "client_secret": "two words"}, "credentials.client_secret: .*white space"),
        ({**NAMED, **PRINCIPAL, "client_id": ""}, "credentials.client_id: empty"),
        ({**NAMED, "anonymous": "true"}, "credentials.anonymous"),
        ({**NAMED, "managed_identity": 1}, "credentials.managed_identity"),
        ({**KEYED, "acount_key": SECRET}, "credentials.acount_key: unknown member; did you mean account_key"),
    ],
)
def test_broken_rule_is_named_and_no_value_shown(members: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidCredentials, match=rule) as caught:
        made(**members)
    text = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
    for secret in (SECRET, SECRET[:-1], "s1gnature", "s3cr3t", "attacker"):
        assert secret not in text


def test_secrets_do_not_print_pickle_or_dump() -> None:
    for members in (KEYED, {**NAMED, "sas_token": SAS}, {"connection_string": CONNECTION}, {**NAMED, **PRINCIPAL}):
        credentials = made(**members)
        account = account_of(credentials, split_location("abfss://ward@clinic.dfs.core.windows.net/a"))
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
def test_connection_strings_are_read(text: str, account: str, endpoint: str) -> None:
    connection, problem = parse_connection_string(SecretText(text))
    assert problem is None
    assert connection is not None
    assert (connection.account, connection.endpoint) == (account, endpoint)
    secret = connection.key or connection.sas
    assert secret is not None
    assert secret.reveal() in (SECRET, SAS)


CONNECTION_WITH_SAS = f"BlobEndpoint=https://clinic.blob.core.windows.net/;SharedAccessSignature={SAS}"
ENDS = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("members", "ends"),
    [
        ({**NAMED, "sas_token": SAS}, ENDS),
        ({**NAMED, "sas_token": f"?{SAS}"}, ENDS),
        ({**NAMED, "sas_token": f"{SAS}&ske=2026-01-01"}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({**NAMED, "sas_token": "sv=2024-11-04&si=policy&sig=0"}, None),
        ({"connection_string": CONNECTION_WITH_SAS}, ENDS),
        ({"connection_string": CONNECTION_WITH_SAS.replace("=sv", "=?sv")}, ENDS),
        ({"connection_string": CONNECTION}, None),
        (KEYED, None),
        ({**NAMED, **PRINCIPAL}, None),
        ({**NAMED, "managed_identity": True}, None),
        ({**NAMED, "anonymous": True}, None),
        ({**NAMED, "ambient": True}, None),
    ],
)
def test_credentials_with_a_sas_tell_when_they_expire(members: dict[str, Any], ends: datetime | None) -> None:
    assert made(**members).expires_at == ends
