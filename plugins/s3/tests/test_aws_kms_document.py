"""The documents of the key source aws-kms: what is in them, and where their requests go."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider

from connectors.errors import InvalidCredentials
from connectors.keys import reference, source_of, wrapping
from connectors.secrets import Hidden
from connectors_s3.kms_reference import is_kms
from connectors_s3.regions import host_of

ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY+EXAMPLE"
KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": SECRET}
CONTEXT = {"dataset": "conditions"}
PLACE = {"source": "aws-kms", "key_id": ARN, "context": CONTEXT, **KEYS}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"region": "eu-west-1"},
        {"session_token": "TOKEN+/="},
        {"key_id": "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd"},
        {"key_id": "arn:aws:kms:eu-west-1:123456789012:alias/clinic/one_two"},
        {"key_id": "alias/clinic", "region": "eu-west-1"},
        {"key_id": "mrk-1234abcd12ab34cd56ef1234567890ab", "region": "eu-west-1"},
        {"endpoint": "https://vpce-0a1b.kms.eu-west-1.vpce.amazonaws.com"},
        {"endpoint": "http://127.0.0.1:4599"},
    ],
)
def test_complete_documents_are_accepted(changes: dict[str, Any]) -> None:
    document = {**PLACE, **changes}
    assert wrapping(document).document() == document
    assert reference({**document, "wrapped": "AQIC"}).document() == {**document, "wrapped": "AQIC"}


def test_holder_is_the_key_and_its_region() -> None:
    source = source_of("aws-kms")
    assert source.holder(wrapping({**PLACE, "region": "eu-west-1"})) == f"AWS KMS key {ARN}"
    by_alias = wrapping({**PLACE, "key_id": "alias/clinic", "region": "eu-west-1"})
    assert source.holder(by_alias) == "AWS KMS key alias/clinic in eu-west-1"


def test_ambient_credentials_are_asked_for() -> None:
    members = {"source": "aws-kms", "key_id": ARN, "context": CONTEXT, "ambient": True, "profile": "clinic"}
    assert wrapping(members).document() == members


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"access_key_id": None}, "access_key_id is missing"),
        ({"access_key_id": None, "secret_access_key": None}, 'are missing; for the credentials .* "ambient": true'),
        ({"ambient": True}, "give exactly one of"),
        ({"profile": "clinic"}, 'it needs "ambient": true'),
        ({"secret_access_key": "AKIAIOSFODNN7EXAMPLE"}, "are swapped"),
        ({"access_key_id": "ASIAIOSFODNN7EXAMPLE"}, "session_token is missing"),
        ({"context": None}, "context: "),
        ({"context": {}}, "context: it must say what the key is for"),
        ({"context": {"": "conditions"}}, "context: it must say what the key is for"),
        ({"context": {"dataset": 7}}, "context.dataset: text in quotation marks is expected"),
        ({"context": "dataset=conditions"}, "context: "),
        ({"key_id": ""}, "key_id: not a key of AWS KMS"),
        ({"key_id": "AKIAIOSFODNN7EXAMPLE"}, "key_id: not a key of AWS KMS"),
        ({"key_id": "alias/"}, "key_id: not a key of AWS KMS"),
        ({"key_id": "arn:aws:s3:::clinic"}, "key_id: not a key of AWS KMS"),
        ({"key_id": "arn:aws:kms:eu-west-1.attacker.example:123456789012:key/1"}, "key_id: not a key of AWS KMS"),
        ({"key_id": f"{ARN}\n"}, "key_id: not a key of AWS KMS"),
        ({"key_id": "alias/clinic"}, "region is missing; only an ARN"),
        ({"region": "eu-west-2"}, "region is another one than that in key_id"),
        ({"region": "eu-west-1/", "key_id": "alias/clinic"}, "region: not the name of a region"),
        ({"region": "eu-west-1a", "key_id": "alias/clinic"}, "region: this is an availability zone"),
        (
            {"region": "us-east-1-fips", "key_id": "alias/clinic"},
            "in endpoint the endpoint: https://kms-fips.us-east-1",
        ),
        ({"region": "aws-global", "key_id": "alias/clinic"}, "region: this stands for a host of several regions"),
        ({"endpoint": "http://kms.example.org"}, "endpoint: http:// is not encrypted, and the key is in the response"),
        ({"endpoint": "https://user:pw@kms.example.org"}, "endpoint: .*user information"),
        ({"endpoint": "kms.example.org"}, "endpoint: an endpoint is a URL such as https://kms.example.org"),
        ({"endpoint_url": "https://kms.example.org"}, "endpoint_url: unknown member; did you mean endpoint"),
        ({"allow_http": True}, "allow_http: unknown member"),
        ({"anonymous": True}, "anonymous: unknown member"),
    ],
)
def test_error_names_the_broken_rule_and_shows_no_value(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidCredentials, match=rf"aws-kms: .*{rule}") as caught:
        wrapping({**PLACE, **changes})
    assert SECRET not in str(caught.value)
    assert "attacker" not in str(caught.value)


@pytest.mark.parametrize("wrapped", [None, "", "not base64", 7])
def test_reference_needs_a_wrapped_key(wrapped: object) -> None:
    with pytest.raises(InvalidCredentials, match="aws-kms: wrapped: "):
        reference(Hidden({**PLACE, "wrapped": wrapped}))


@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1"])
def test_endpoints_of_kms_are_those_of_botocore(region: str, fips: bool, dual: bool) -> None:
    rules = botocore.session.Session().get_component("data_loader").load_service_model("kms", "endpoint-rule-set-1")
    partitions = botocore.session.Session().get_component("data_loader").load_data("partitions")
    url = EndpointProvider(rules, partitions).resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual).url
    assert is_kms(url, region)
    assert not is_kms(url, "eu-west-2")


@pytest.mark.parametrize(
    ("url", "is_own"),
    [
        ("https://KMS.eu-west-1.amazonaws.com/", True),
        ("https://vpce-0a1b-2c3d.kms.eu-west-1.vpce.amazonaws.com", True),
        ("https://vpce-0a1b-2c3d.kms-fips.eu-west-1.vpce.amazonaws.com", True),
        ("http://kms.eu-west-1.amazonaws.com", False),
        ("https://kms.eu-west-1.amazonaws.com/path", False),
        ("https://kms.eu-west-1.s3.amazonaws.com", False),
        ("https://x.kms.eu-west-1.amazonaws.com", False),
        ("https://kms.eu-west-1.amazonaws.com.example", False),
    ],
)
def test_endpoint_of_kms_is_told_from_those_of_its_customers(url: str, is_own: bool) -> None:
    assert is_kms(url, "eu-west-1") is is_own


@pytest.mark.parametrize("service", ["kms", "s3"])
def test_hosts_are_those_of_botocore(service: str) -> None:
    session = botocore.session.Session()
    data = session.get_component("data_loader").load_data("partitions")
    regions = [name for one in data["partitions"] for name in one["regions"] if not name.endswith("-global")]
    rules = session.get_component("data_loader").load_service_model(service, "endpoint-rule-set-1")
    provider = EndpointProvider(rules, data)
    for region in regions:
        theirs = provider.resolve_endpoint(Region=region, UseFIPS=False, UseDualStack=False)
        assert theirs.url == f"https://{host_of(service, region)}"


def test_importing_the_package_loads_no_botocore() -> None:
    program = "import connectors_s3, sys; connectors_s3.AwsKms; sys.exit('botocore' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
