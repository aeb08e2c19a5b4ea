from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.config import Config
from patience import PATIENCE

from connectors.credentials.model import validate
from connectors.errors import ConfigError, InvalidLocation, NotSupported
from connectors_s3 import S3Backend, S3Credentials
from connectors_s3.sessions import open_session, region

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI", "encryption": None}


def request(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=PATIENCE) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def presign(location: str, method: str = "GET", expires: int = 60, **members: Any) -> str:
    return S3Backend().presign(location, validate(S3Credentials, {**KEYS, **members}), method, expires)


@pytest.mark.parametrize("key", ["plain.csv", "a folder/with ü 病", "50%25 of?versionId=1&x=#part", "a+b=c@d;e,f'g"])
def test_urls_work_with_any_http_client(
    credentials: S3Credentials, stored: Callable[[str], bytes | None], key: str
) -> None:
    backend, location = S3Backend(), f"s3://clinic/presigned/{key}"
    assert request(backend.presign(location, credentials, "PUT", 60), "PUT", b"sealed")[0] == 200
    assert stored(f"clinic/presigned/{key}") == b"sealed"
    assert request(backend.presign(location, credentials, "get", 60)) == (200, b"sealed")


def test_url_is_valid_for_one_method_and_until_it_expires(credentials: S3Credentials) -> None:
    backend, location = S3Backend(), "s3://clinic/presigned/short"
    url = backend.presign(location, credentials, "GET", 1)
    assert request(url, "PUT", b"other")[0] == 403
    assert request(backend.presign(location, credentials, "PUT", 60), "PUT", b"sealed")[0] == 200
    time.sleep(2.5)  # the signature counts whole seconds
    assert request(url)[0] == 403


def test_only_the_host_is_signed() -> None:
    for method in ("GET", "PUT"):
        query = parse_qs(urlsplit(presign("s3://clinic/key", method, region="eu-west-1")).query)
        assert query["X-Amz-SignedHeaders"] == ["host"]
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
        assert query["X-Amz-Expires"] == ["60"]
        assert "checksum" not in str(query).lower()


@pytest.mark.parametrize(
    ("members", "start"),
    [
        ({"region": "eu-west-1"}, "https://clinic.s3.eu-west-1.amazonaws.com/a%20key?"),
        ({"region": "us-east-1"}, "https://clinic.s3.us-east-1.amazonaws.com/a%20key?"),
        ({"region": "eu-west-1", "path_style": True}, "https://s3.eu-west-1.amazonaws.com/clinic/a%20key?"),
        (
            {"region": "us-east-1", "endpoint_url": "https://s3-fips.us-east-1.amazonaws.com"},
            "https://clinic.s3-fips.us-east-1.amazonaws.com/a%20key?",
        ),
        ({"endpoint_url": "https://store.example"}, "https://clinic.store.example/a%20key?"),
        ({"endpoint_url": "https://store.example", "path_style": True}, "https://store.example/clinic/a%20key?"),
        ({"endpoint_url": "https://192.0.2.7:9000"}, "https://192.0.2.7:9000/clinic/a%20key?"),
        ({"endpoint_url": "http://localhost:9000/"}, "http://localhost:9000/clinic/a%20key?"),
    ],
)
def test_bucket_is_in_the_host_if_possible(members: dict[str, Any], start: str) -> None:
    assert presign("s3://clinic/a key", **members).startswith(start)


@pytest.mark.parametrize(
    "members",
    [
        {"region": "eu-west-1"},
        {"region": "us-east-1"},
        {"region": "cn-north-1"},
        {"region": "eu-west-1", "path_style": True},
        {"region": "eu-west-1", "session_token": "TOKEN+/="},
        {"region": "us-east-1", "endpoint_url": "https://s3-fips.us-east-1.amazonaws.com"},
        {"endpoint_url": "https://store.example/v1/s3/"},
        {"endpoint_url": "http://store.example:8080", "allow_http": True},
        {"endpoint_url": "https://[2001:db8::1]:9000"},
    ],
)
@pytest.mark.parametrize("bucket", ["clinic", "my.clinic", "My_Clinic", "1.2.3.4", "x" * 64])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_urls_are_those_of_botocore_s_client(members: dict[str, Any], bucket: str, method: str) -> None:
    key, credentials = "a//ü+&=~:b@c!$*'(),;%25?#𝄞 ", validate(S3Credentials, {**KEYS, **members})
    ours = theirs = ""
    while not ours or parse_qs(ours)["X-Amz-Date"] != parse_qs(theirs)["X-Amz-Date"]:  # the second may change between
        ours = presign(f"s3://{bucket}/{key}", method, 3600, **members)
        theirs = _by_client(credentials, bucket, key, method)
    assert ours == theirs


def _by_client(credentials: S3Credentials, bucket: str, key: str, method: str) -> str:
    # Its default is AWS's global host, which redirects to the bucket's region if the bucket is new.
    style = {
        "addressing_style": credentials.addressing_style(credentials.endpoint_url),
        "us_east_1_regional_endpoint": "regional",
    }
    if style["addressing_style"] == "auto" and "." not in bucket:
        style["addressing_style"] = "virtual"
    config = Config(
        signature_version="s3v4",
        s3=style,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = open_session(credentials).create_client(
        "s3", region_name=region(credentials), endpoint_url=credentials.endpoint_url, config=config
    )
    operation = {"GET": "get_object", "PUT": "put_object"}[method]
    url = client.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": key}, ExpiresIn=3600)
    client.close()
    return url


def test_session_token_and_region_are_in_the_url() -> None:
    query = parse_qs(urlsplit(presign("s3://clinic/key", region="eu-west-1", session_token="TOKEN+/=")).query)
    assert query["X-Amz-Security-Token"] == ["TOKEN+/="]
    assert query["X-Amz-Credential"][0].startswith("AKIDEXAMPLE/")
    assert query["X-Amz-Credential"][0].endswith("/eu-west-1/s3/aws4_request")


def test_unknown_region_is_an_error() -> None:
    with pytest.raises(ConfigError, match="credentials.region: required to presign"):
        presign("s3://clinic/key")


@pytest.mark.parametrize("expires", [0, -1, 604_801, True, 1.5])
def test_validity_outside_the_limits_is_refused(expires: Any) -> None:
    with pytest.raises(ConfigError, match="1 to 604800 seconds"):
        presign("s3://clinic/key", expires=expires, region="eu-west-1")


def test_longest_validity_is_allowed() -> None:
    assert "X-Amz-Expires=604800&" in presign("s3://clinic/key", expires=604_800, region="eu-west-1")


@pytest.mark.parametrize("bucket", ["clinic--use1-az4--x-s3", "reader--use1-az4--xa-s3", "clinic-o01ac5d28a--op-s3"])
@pytest.mark.parametrize("endpoint", [None, "https://s3express-use1-az4.us-east-1.amazonaws.com"])
def test_buckets_that_amazon_serves_otherwise_are_refused(bucket: str, endpoint: str | None) -> None:
    members = {"region": "us-east-1", "endpoint_url": endpoint}
    for method in ("GET", "PUT"):
        with pytest.raises(NotSupported, match=rf"s3://{bucket} is an? .*not supported; use a general purpose bucket"):
            presign(f"s3://{bucket}/key", method, **members)
    fs, path = S3Backend().connect(f"s3://{bucket}/key", validate(S3Credentials, {**KEYS, **members}))
    with pytest.raises(NotSupported, match="use a general purpose bucket"):
        fs.cat_file(path)
    with pytest.raises(NotSupported, match="use a general purpose bucket"):
        fs.pipe_file(path, b"sealed")


def test_names_that_amazon_reserves_are_those_of_buckets_elsewhere() -> None:
    url = presign("s3://clinic--x-s3/key", endpoint_url="https://store.example")
    assert url.startswith("https://clinic--x-s3.store.example/key?")


@pytest.mark.parametrize("region_name", ["aws-global", "us-east-1-fips"])
def test_machine_s_region_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, region_name: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region_name)
    ambient = validate(S3Credentials, {"ambient": True, "encryption": None})
    with pytest.raises(ConfigError, match="the region in this machine's configuration for AWS: this stands for"):
        S3Backend().presign("s3://clinic/key", ambient, "GET", 60)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    named = validate(S3Credentials, {"ambient": True, "region": "us-east-1", "encryption": None})
    url = S3Backend().presign("s3://clinic/key", named, "GET", 60)
    assert url.startswith("https://clinic.s3.us-east-1.amazonaws.com/key?")


@pytest.mark.parametrize("region_name", ["us-east-1", "ca-central-1"])
def test_machine_s_choice_of_fips_endpoints_is_followed(monkeypatch: pytest.MonkeyPatch, region_name: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region_name)
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    url = S3Backend().presign(
        "s3://clinic/key", validate(S3Credentials, {"ambient": True, "encryption": None}), "GET", 60
    )
    assert url.startswith(f"https://clinic.s3-fips.{region_name}.amazonaws.com/key?")


def test_unsupported_presigning_is_refused() -> None:
    with pytest.raises(NotSupported, match="GET or PUT, not for DELETE"):
        presign("s3://clinic/key", "DELETE", region="eu-west-1")
    with pytest.raises(InvalidLocation, match="does not name a key"):
        presign("s3://clinic", region="eu-west-1")
    anonymous = S3Credentials(anonymous=True, encryption=None)
    with pytest.raises(NotSupported, match="anonymous credentials cannot sign URLs"):
        S3Backend().presign("s3://clinic/key", anonymous, "GET", 60)
