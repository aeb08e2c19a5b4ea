"""The servers the other tests stand on do what those tests take for granted."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import servers
from botocore.exceptions import ClientError
from patience import PATIENCE, until


def request(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_presigned_urls_carry_an_object_there_and_back(s3: servers.S3Server) -> None:
    assert request(s3.presign("PUT", "clinic", "there/and back.bin"), "PUT", b"sealed") == (200, b"")
    assert request(s3.presign("GET", "clinic", "there/and back.bin")) == (200, b"sealed")


def test_url_signed_for_get_refuses_head_and_put(s3: servers.S3Server) -> None:
    s3.client().put_object(Bucket="clinic", Key="get-only", Body=b"stands")
    url = s3.presign("GET", "clinic", "get-only")
    assert request(url, "HEAD")[0] == 403
    assert request(url, "PUT", b"replaced")[0] == 403
    assert request(url) == (200, b"stands")


def test_url_without_its_query_is_refused(s3: servers.S3Server) -> None:
    s3.client().put_object(Bucket="clinic", Key="private", Body=b"stands")
    assert request(s3.presign("GET", "clinic", "private").partition("?")[0])[0] == 403


def test_expired_url_is_refused(s3: servers.S3Server) -> None:
    s3.client().put_object(Bucket="clinic", Key="expires", Body=b"stands")
    url = s3.presign("GET", "clinic", "expires", expires=1)
    time.sleep(2.5)  # the signature's clock ticks in whole seconds
    assert request(url)[0] == 403


def test_wrong_secret_is_refused(s3: servers.S3Server) -> None:
    stranger = servers.S3Server(s3.endpoint, s3.access_key, "another secret")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.client().list_objects_v2(Bucket="clinic")


def test_missing_bucket_is_not_made_up(s3: servers.S3Server) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.client().put_object(Bucket="no-such-bucket", Key="key", Body=b"")


def test_two_stores_run_side_by_side(s3: servers.S3Server, tmp_path: Path) -> None:
    with servers.seaweedfs(tmp_path / "second") as second:
        second.client().create_bucket(Bucket="clinic")
        second.client().put_object(Bucket="clinic", Key="only-here", Body=b"second")
        assert request(second.presign("GET", "clinic", "only-here")) == (200, b"second")
        assert request(s3.presign("GET", "clinic", "only-here"))[0] == 404
        with pytest.raises(ClientError, match="InvalidAccessKeyId"):
            servers.S3Server(s3.endpoint, second.access_key, second.secret_key).client().list_buckets()


def test_repr_of_a_server_keeps_its_secret(s3: servers.S3Server) -> None:
    assert s3.secret_key not in repr(s3)
    assert s3.endpoint in repr(s3)


def test_azurite_answers_for_its_account(azure: servers.AzureServer) -> None:
    status, body = request(f"{azure.endpoint}?comp=list")
    assert status == 403
    assert b"AuthorizationFailure" in body or b"AuthenticationFailed" in body or b"NoAuthenticationInformation" in body


def test_moto_answers() -> None:
    with servers.moto_server() as moto:
        moto.client().create_bucket(Bucket="clinic")
        moto.client().put_object(Bucket="clinic", Key="key", Body=b"bytes")
        assert request(moto.presign("GET", "clinic", "key")) == (200, b"bytes")


def test_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('the port is taken'); raise SystemExit(3)"]
    with (
        pytest.raises(servers.ServerUnavailable, match=r"ended with status 3(.|\n)*the port is taken"),
        servers.running(command, log=tmp_path / "log", ready=lambda: False),
    ):
        pytest.fail("it is not running")


def test_server_that_never_answers_is_ended(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    program = (
        "import signal, sys, time; from pathlib import Path\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (Path({str(ended)!r}).touch(), sys.exit()))\n"
        "print('waiting', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", program]
    log = tmp_path / "log"

    def never() -> bool:
        until(lambda: "waiting" in log.read_text(), "the server prints that it waits")
        return False

    running = servers.running(command, log=log, ready=never, timeout=0.1)
    with pytest.raises(servers.ServerUnavailable, match=r"not ready after 0.1 s(.|\n)*waiting"), running:
        pytest.fail("it is not ready")
    assert ended.exists()


def test_only_a_machine_without_npm_may_do_without_azurite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(servers.NpmMissing, match="^npm is not installed, so no Azurite$"):
        servers.azurite_program()
    (tmp_path / "npm").touch(mode=0o755)
    with pytest.raises(servers.ServerUnavailable, match="`make test` installs it") as caught:
        servers.azurite_program()
    assert caught.type is servers.ServerUnavailable


def test_free_ports_differ() -> None:
    ports = servers._free_ports(20)
    assert len(set(ports)) == 20
    assert servers.free_port() > 1024
