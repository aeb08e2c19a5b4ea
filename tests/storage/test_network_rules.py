"""One rule about proxies, private authorities and key logs, for every backend that speaks HTTP."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import pytest
from institution import AUTHORITY, certificates, store_server, tunnel

import connectors
from connectors.errors import ConfigError, StorageUnavailable
from connectors.storage import HttpClient, Limits, RetryPolicy

if TYPE_CHECKING:
    from pathlib import Path

KEY = "5a" * 32
PLAIN = b"37.2\n" * 1000
SECRET = "sesame-5ecret"
KINDS = ["https", "S3", "S3, ambient", "Google", "Azure", "Azure, SAS"]


def sealed() -> bytes:
    out = io.BytesIO()
    connectors.encrypt(io.BytesIO(PLAIN), out, KEY)
    return out.getvalue()


def dataset(kind: str, url: str) -> connectors.Dataset:
    """Return the dataset of an object in a store of a kind, at a URL."""
    query = base64.b64encode(f"X-Amz-Signature={SECRET}".encode()).decode()
    s3: dict[str, Any] = {"type": "s3", "region": "us-east-1", "endpoint_url": url, "path_style": True}
    azure: dict[str, Any] = {"type": "azure", "account_name": "clinic", "endpoint_url": f"{url}/clinic"}
    location, document = {
        "https": (f"{url}/clinic/x", {"type": "https", "query_string": query}),
        "S3": ("s3://clinic/x", {**s3, "access_key_id": "AK", "secret_access_key": SECRET, "session_token": SECRET}),
        "S3, ambient": ("s3://clinic/x", {**s3, "ambient": True}),
        "Google": ("gs://clinic/x", {"type": "gcs", "token": SECRET, "endpoint_url": url}),
        "Azure": ("az://clinic/x", {**azure, "account_key": base64.b64encode(SECRET.encode()).decode()}),
        "Azure, SAS": ("az://clinic/x", {**azure, "sas_token": f"sv=2024-11-04&se=2099-01-01&sr=c&sp=r&sig={SECRET}"}),
    }[kind]
    document |= {"encryption": {"key": KEY}}
    if url.startswith("http://") and "127.0.0.1" not in url:
        document["allow_http"] = True
    return connectors.Dataset(location, document)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no proxy and no authorities of its own, and with ambient keys for S3."""
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr(RetryPolicy, "attempts", 2)
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.001)
    monkeypatch.setattr(HttpClient, "limits", Limits(5, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_the_authority_in_ssl_cert_file_is_trusted(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = certificates(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.authority))
    with store_server(sealed(), issued.server) as (port, _):
        assert dataset(kind, f"https://localhost:{port}").read_bytes() == PLAIN


@pytest.mark.parametrize("variable", [None, "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_other_variable_names_an_authority(
    kind: str, variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = certificates(tmp_path, "localhost")
    if variable is not None:
        monkeypatch.setenv(variable, str(issued.authority))
    with store_server(sealed(), issued.server) as (port, seen):
        said = rf"certificate of localhost:{port}, signed by '{AUTHORITY}' .*cannot be verified.* SSL_CERT_FILE"
        with pytest.raises(StorageUnavailable, match=said):
            dataset(kind, f"https://localhost:{port}").read_bytes()
    assert seen == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_for_another_name_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = certificates(tmp_path, "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.authority))
    with store_server(sealed(), issued.server) as (port, seen):
        with pytest.raises(StorageUnavailable, match="cannot be verified: Hostname mismatch"):
            dataset(kind, f"https://localhost:{port}").read_bytes()
    assert seen == []


@pytest.mark.parametrize("kind", KINDS)
def test_session_keys_are_never_logged(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = certificates(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.authority))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    with store_server(sealed(), issued.server) as (port, _):
        if kind == "S3, ambient":  # botocore would log them
            with pytest.raises(ConfigError, match="SSLKEYLOGFILE is set: botocore"):
                dataset(kind, f"https://localhost:{port}").read_bytes()
        else:
            assert dataset(kind, f"https://localhost:{port}").read_bytes() == PLAIN
    assert not (tmp_path / "keys.log").exists()


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("kind", KINDS)
def test_https_goes_through_the_proxy_which_sees_only_the_host(
    kind: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = certificates(tmp_path, "store.invalid")
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.authority))
    with store_server(sealed(), issued.server) as (port, seen), tunnel(port) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//us%40er:pass@"))
        assert dataset(kind, "https://store.invalid").read_bytes() == PLAIN
    assert seen
    assert proxy.heads
    password = base64.b64encode(b"us@er:pass")
    for head in proxy.heads:
        assert head.startswith(b"CONNECT store.invalid:443 HTTP/1.")
        assert b"Proxy-Authorization: Basic " + password in head
        assert SECRET.encode() not in head
        assert b"clinic" not in head


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_in_no_proxy_is_reached_directly(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tunnel(9) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "store.invalid")
        with pytest.raises(StorageUnavailable, match=r"the name store\.invalid does not resolve"):
            dataset(kind, "https://store.invalid").read_bytes()
    assert proxy.heads == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("kind", KINDS)
def test_this_machine_is_never_reached_through_a_proxy(kind: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with store_server(sealed()) as (port, _), tunnel(9) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert dataset(kind, f"http://{host}:{port}").read_bytes() == PLAIN
    assert proxy.heads == []


@pytest.mark.parametrize("kind", KINDS)
def test_http_never_goes_through_a_proxy_that_would_see_secrets(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tunnel(9) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with pytest.raises(StorageUnavailable, match=r"the name store\.invalid does not resolve"):
            dataset(kind, "http://store.invalid").read_bytes()
    assert proxy.heads == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_that_refuses_is_named_by_its_variable(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tunnel(9, answer=b"407 Proxy Authentication Required") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", f"//user:{SECRET}@"))
        with pytest.raises(
            StorageUnavailable, match="through the proxy that HTTPS_PROXY names: the proxy refuses"
        ) as caught:
            dataset(kind, "https://store.invalid").read_bytes()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("value", ["https://proxy.example:3128", "socks5://proxy.example", "http://", "http://a:b:c"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_of_another_kind_is_refused(kind: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigError, match="HTTPS_PROXY does not hold the URL of an HTTP proxy"):
        dataset(kind, "https://store.invalid").read_bytes()
