from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from connectors.credentials.model import validate
from connectors.errors import InvalidCredentials
from connectors.storage.registry import resolve
from connectors_s3 import S3Credentials

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY+EXAMPLE"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLETOKEN//////////"
KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET}


def made(**members: Any) -> S3Credentials:
    return validate(S3Credentials, {"encryption": None, **members})


@pytest.mark.parametrize(
    "members",
    [
        KEYS,
        {**KEYS, "session_token": TOKEN},
        {**KEYS, "region": "eu-west-1", "endpoint_url": "https://s3.example.org"},
        {**KEYS, "region": "us-east-1", "endpoint_url": "https://s3-fips.us-east-1.amazonaws.com"},
        {**KEYS, "region": "aws-global", "endpoint_url": "https://store.example.org"},
        {**KEYS, "endpoint_url": "https://gateway.example.org/storage/v1/s3"},
        {**KEYS, "endpoint_url": "http://127.0.0.1:8333"},
        {**KEYS, "endpoint_url": "http://localhost:8333"},
        {**KEYS, "endpoint_url": "http://[::1]:8333"},
        {**KEYS, "endpoint_url": "http://store.internal", "allow_http": True},
        {"anonymous": True},
        {"ambient": True},
        {"ambient": True, "profile": "clinic"},
    ],
)
def test_complete_documents_are_accepted(members: dict[str, Any]) -> None:
    credentials = made(**members)
    assert credentials.document() == {"encryption": None, **members}


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({}, "access_key_id and secret_access_key are missing"),
        ({"access_key_id": "AKIDEXAMPLE"}, "secret_access_key is missing"),
        ({"secret_access_key": SECRET}, "access_key_id is missing"),
        ({**KEYS, "anonymous": True}, "give exactly one of"),
        ({**KEYS, "ambient": True}, "give exactly one of"),
        ({"anonymous": True, "ambient": True}, "give exactly one of"),
        ({"secret_access_key": SECRET, "ambient": True}, "give exactly one of"),
        ({"anonymous": True, "session_token": TOKEN}, "session_token needs"),
        ({"ambient": True, "session_token": TOKEN}, "session_token needs"),
        ({**KEYS, "profile": "clinic"}, "profile names credentials of this machine"),
        ({**KEYS, "access_key_id": ""}, "access_key_id"),
        ({**KEYS, "secret_access_key": f"{SECRET}\n"}, "credentials.secret_access_key: .*white space"),
        ({**KEYS, "secret_access_key": f"{SECRET} "}, "credentials.secret_access_key: .*white space"),
        ({**KEYS, "secret_access_key": ""}, "credentials.secret_access_key: empty"),
        ({**KEYS, "session_token": f"{TOKEN}\r\nX-Evil: 1"}, "credentials.session_token"),
        ({**KEYS, "secret_access_key": 7}, "credentials.secret_access_key"),
        ({**KEYS, "region": "eu-west-1.attacker.example"}, "credentials.region: not the name of a region"),
        ({**KEYS, "region": "eu-west-1/"}, "credentials.region"),
        ({**KEYS, "region": ""}, "credentials.region"),
        ({**KEYS, "region": "eu-west-1a"}, "region: this is an availability zone"),
        ({**KEYS, "region": "aws-global"}, "region: this stands for a host of several regions; name the region itself"),
        ({**KEYS, "region": "aws-us-gov-global"}, "region: this stands for a host of several regions"),
        ({**KEYS, "region": "s3-external-1"}, "region: this stands for a host of several regions"),
        ({**KEYS, "region": "us-east-1-fips"}, "region: .* in endpoint_url the endpoint: https://s3-fips.us-east-1.am"),
        ({**KEYS, "region": "fips-us-gov-west-1"}, "region: this stands for a FIPS endpoint; name the region itself"),
        ({**KEYS, "endpoint_url": "http://store.internal"}, "endpoint_url: http:// is not encrypted"),
        ({**KEYS, "endpoint_url": "HTTP://store.internal"}, "endpoint_url: http:// is not encrypted"),
        ({**KEYS, "endpoint_url": "http://127.0.0.1.attacker.example"}, "endpoint_url: http:// is not encrypted"),
        ({**KEYS, "endpoint_url": "http://10.0.0.1"}, "endpoint_url: http:// is not encrypted"),
        ({**KEYS, "endpoint_url": "https://user:pw@store"}, "credentials.endpoint_url: .*user information"),
        ({**KEYS, "endpoint_url": f"https://user:{SECRET}@store"}, "credentials.endpoint_url"),
        ({**KEYS, "endpoint_url": f"https://store/?token={TOKEN}"}, "credentials.endpoint_url: .*query"),
        ({**KEYS, "endpoint_url": "https://store\\@attacker.example"}, "credentials.endpoint_url"),
        ({**KEYS, "endpoint_url": "store.example.org"}, "credentials.endpoint_url"),
        ({**KEYS, "endpoint_url": "ftp://store.example.org"}, "credentials.endpoint_url"),
        ({**KEYS, "endpoint_url": "https://store:port"}, "credentials.endpoint_url: .*port"),
        ({**KEYS, "endpoint_url": ""}, "credentials.endpoint_url"),
        ({**KEYS, "path_style": "yes"}, "credentials.path_style"),
        ({**KEYS, "allow_http": 1}, "credentials.allow_http"),
        ({"ambient": "true"}, "credentials.ambient"),
        (
            {**KEYS, "secret_acess_key": SECRET},
            "credentials.secret_acess_key: unknown member; did you mean secret_access_key",
        ),
    ],
)
def test_error_names_the_broken_rule_and_shows_no_value(members: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidCredentials, match=rule) as caught:
        made(**members)
    text = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert SECRET not in text
    assert TOKEN not in text
    assert "attacker" not in text


def test_encryption_is_required() -> None:
    with pytest.raises(InvalidCredentials, match="credentials.encryption: required"):
        validate(S3Credentials, KEYS)


@pytest.mark.parametrize(
    ("members", "style"),
    [
        ({}, "auto"),
        ({"path_style": True}, "path"),
        ({"endpoint_url": "https://s3.example.org"}, "virtual"),
        ({"endpoint_url": "https://s3.example.org", "path_style": True}, "path"),
        ({"endpoint_url": "https://192.0.2.7"}, "path"),
        ({"endpoint_url": "https://[2001:db8::1]:9000"}, "path"),
        ({"endpoint_url": "http://localhost:9000"}, "path"),
    ],
)
def test_addressing_style_fits_the_endpoint(members: dict[str, Any], style: str) -> None:
    assert made(**KEYS, **members).addressing_style(members.get("endpoint_url")) == style


def test_secrets_are_not_printed_pickled_or_dumped() -> None:
    credentials = made(**KEYS, session_token=TOKEN)
    shown = f"{credentials!r} {credentials} {credentials.model_dump()} {credentials.model_dump_json()}"
    assert SECRET not in shown
    assert TOKEN not in shown
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(credentials)


def test_type_and_scheme_find_this_backend() -> None:
    for document in ({**KEYS, "type": "s3", "encryption": None}, {**KEYS, "encryption": None}):
        backend, credentials = resolve("s3://clinic/key", json.dumps(document))
        assert backend.name == "s3"
        assert isinstance(credentials, S3Credentials)
