from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client
from google.cloud.storage._signing import generate_signed_url_v4
from google.oauth2.service_account import Credentials
from patience import PATIENCE

import connectors
from connectors.credentials.model import validate
from connectors.errors import ConfigError, InvalidLocation, NotSupported
from connectors_gcs import GcsBackend, GcsCredentials
from connectors_gcs.location import LOCATION
from connectors_gcs.login import DEFAULT_TOKEN_URI
from connectors_gcs.presigning import presign

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ODD_KEYS = ["plain.csv", "a folder/with ü 病", "50%25 of?versionId=1&x=#part", "a+b=c@d;e,f'g~h(i)*[j]{k}|\\:!$^`\"<>"]


@pytest.fixture
def account(key_file: dict[str, Any]) -> dict[str, Any]:
    return {"service_account": {**key_file, "token_uri": DEFAULT_TOKEN_URI}, "encryption": None}


def request(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("key", ODD_KEYS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    "endpoint",
    [None, "https://storage-clinic.p.googleapis.com", "https://Emulator.example:4443", "http://127.0.0.1:4443"],
)
@pytest.mark.parametrize("billed", [None, "billing-4711"])
def test_url_equals_that_of_google_s_library_byte_for_byte(
    account: dict[str, Any], key: str, method: str, endpoint: str | None, billed: str | None
) -> None:
    members = {**account, "endpoint_url": endpoint, "requester_pays": billed is not None, "project": billed}
    ours = presign(LOCATION.parse(f"gs://clinic/{key}"), validate(GcsCredentials, members), method, 3600, now=NOW)
    theirs = generate_signed_url_v4(
        Credentials.from_service_account_info(account["service_account"]),
        resource=f"/clinic/{quote(key, safe='/~')}",  # as its Blob.generate_signed_url does
        expiration=3600,
        method=method,
        api_access_endpoint=(endpoint or "https://storage.googleapis.com").lower(),  # as clients send it
        query_parameters={"userProject": billed} if billed else None,
        _request_timestamp=NOW.strftime("%Y%m%dT%H%M%SZ"),
    )
    assert ours == theirs


def test_google_s_library_quotes_names_in_the_same_way(account: dict[str, Any]) -> None:
    signer = Credentials.from_service_account_info(account["service_account"])
    client = Client(project="clinic", credentials=AnonymousCredentials())
    for key in ODD_KEYS:
        blob = client.bucket("clinic").blob(key)
        theirs = blob.generate_signed_url(expiration=60, version="v4", credentials=signer, method="GET")
        ours = GcsBackend().presign(f"gs://clinic/{key}", validate(GcsCredentials, account), "GET", 60)
        assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]


@pytest.mark.parametrize("key", ["plain.csv", "a folder/with ü 病", "50%25 of?versionId=1&x=#part", "a+b=c@d;e,f'g"])
def test_urls_work_with_any_http_client(
    credentials: GcsCredentials, stored: Callable[[str], bytes | None], key: str
) -> None:
    backend, location = GcsBackend(), f"gs://clinic/presigned/{key}"
    assert request(backend.presign(location, credentials, "PUT", 60), "PUT", b"sealed")[0] == 200
    assert stored(f"clinic/presigned/{key}") == b"sealed"
    assert request(backend.presign(location, credentials, "get", 60)) == (200, b"sealed")


def test_urls_work_as_datasets_of_the_https_backend(credentials: GcsCredentials, path: str) -> None:
    def behind(method: str) -> connectors.Dataset:
        location, _, query = GcsBackend().presign(f"gs://{path}", credentials, method, 60).partition("?")
        document = {"query_string": base64.b64encode(query.encode()).decode(), "encryption": {"key": "0f" * 32}}
        return connectors.Dataset(location, document)

    behind("PUT").write_bytes(b"37.2" * 10_000)
    assert behind("GET").read_bytes() == b"37.2" * 10_000


def test_only_the_host_is_signed(account: dict[str, Any]) -> None:
    for method in ("GET", "PUT"):
        url = urlsplit(GcsBackend().presign("gs://clinic/a key", validate(GcsCredentials, account), method, 60))
        query = parse_qs(url.query)
        assert url[:3] == ("https", "storage.googleapis.com", "/clinic/a%20key")
        assert query["X-Goog-SignedHeaders"] == ["host"]
        assert query["X-Goog-Algorithm"] == ["GOOG4-RSA-SHA256"]
        assert query["X-Goog-Expires"] == ["60"]


@pytest.mark.parametrize("expires", [0, -1, 604_801, True, 1.5])
def test_lifetime_outside_the_limits_is_refused(credentials: GcsCredentials, expires: Any) -> None:
    with pytest.raises(ConfigError, match="valid for 1 to 604800 seconds"):
        GcsBackend().presign("gs://clinic/key", credentials, "GET", expires)


def test_longest_lifetime_is_allowed(credentials: GcsCredentials) -> None:
    assert "X-Goog-Expires=604800&" in GcsBackend().presign("gs://clinic/key", credentials, "GET", 604_800)


def test_what_cannot_be_presigned_is_refused(credentials: GcsCredentials) -> None:
    with pytest.raises(NotSupported, match="GET or PUT, not for DELETE"):
        GcsBackend().presign("gs://clinic/key", credentials, "DELETE", 60)
    with pytest.raises(InvalidLocation, match="does not name a key"):
        GcsBackend().presign("gs://clinic", credentials, "GET", 60)
    for folder in ("gs://clinic/", "gs://clinic/folder/"):
        with pytest.raises(InvalidLocation, match="is a folder"):
            GcsBackend().presign(folder, credentials, "GET", 60)
    for who, why in (
        ({"anonymous": True}, "anonymous credentials cannot sign URLs"),
        ({"ambient": True}, "only a service_account can sign URLs"),
        ({"token": "ya29.token"}, "only a service_account can sign URLs"),
    ):
        with pytest.raises(NotSupported, match=why):
            GcsBackend().presign("gs://clinic/key", validate(GcsCredentials, {**who, "encryption": None}), "GET", 60)
