from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hostile import Answer, Request, hostile_server
from patience import PATIENCE

from connectors.credentials.model import validate
from connectors.errors import AccessDenied, ConfigError, CredentialsExpired, StorageUnavailable
from connectors.storage import RetryPolicy
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs

PATH = "clinic/key"


@pytest.fixture
def service(google: Any, key_file: dict[str, Any]) -> Gcs:
    """A filesystem of the service account over a server that records what it was sent."""
    google.objects["key"] = (7, b"sealed")
    document = {"service_account": key_file, "endpoint_url": google.url, "encryption": None}
    return Gcs(validate(GcsCredentials, document))


def sent(google: Any) -> list[str | None]:
    return [request.headers.get("authorization") for request in google.seen]


def test_token_is_requested_once_and_sent_with_every_request(service: Gcs, google: Any, tokens: Any) -> None:
    for _ in range(3):
        assert service.cat_file(PATH, 0, 6) == b"sealed"
    assert sent(google) == ["Bearer ya29.token-number-0"] * 3
    (assertion,) = tokens.assertions
    assert assertion["iss"] == "reader@clinic-4711.iam.gserviceaccount.com"
    assert assertion["scope"] == "https://www.googleapis.com/auth/devstorage.read_write"


def test_connecting_sends_no_request(service: Gcs, google: Any, tokens: Any) -> None:
    service.open_source(PATH)
    assert google.seen == tokens.given == []


def test_token_that_is_about_to_expire_is_renewed(service: Gcs, google: Any, tokens: Any) -> None:
    tokens.lifetime = 0
    service.cat_file(PATH, 0, 1)
    service.cat_file(PATH, 0, 1)
    assert sent(google) == ["Bearer ya29.token-number-0", "Bearer ya29.token-number-1"]


def test_refused_token_is_renewed_once(service: Gcs, google: Any, tokens: Any) -> None:
    google.answering["GET media"] = [Answer(401)]
    assert service.cat_file(PATH, 0, 6) == b"sealed"
    assert sent(google) == ["Bearer ya29.token-number-0", "Bearer ya29.token-number-1"]
    google.answering["GET media"] = [Answer(401)] * 2
    with pytest.raises(AccessDenied, match="does not let these credentials read gs://clinic/key"):
        service.cat_file(PATH, 0, 6)
    assert len(tokens.given) == 3


def test_many_threads_share_tokens(service: Gcs, google: Any, tokens: Any) -> None:
    start = threading.Barrier(8)

    def read(_: int) -> bytes:
        start.wait()
        return service.cat_file(PATH, 0, 6)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(8))) == {b"sealed"}
    assert set(sent(google)) <= {f"Bearer {token}" for token in tokens.given}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {"Content-Type": "application/json"}, b'{"error": "invalid_grant", "error_description": "5ec2e7"}'),
        Answer(401, {}, b"5ec2e7"),
        Answer(200, {}, b"5ec2e7"),
        Answer(200, {}, b'{"token": "5ec2e7"}'),
        Answer(200, {}, b'{"access_token": "5ec2e7\\r\\nX-Evil: 1", "expires_in": 3600}'),
        Answer(200, {}, b'{"access_token": ["5ec2e7"], "expires_in": 3600}'),
        Answer(302, {"Location": "http://127.0.0.1:9/"}, b"5ec2e7"),
    ],
)
def test_error_for_a_refused_assertion_quotes_no_response(
    service: Gcs, google: Any, tokens: Any, answer: Answer
) -> None:
    tokens.refuse = answer
    with pytest.raises(AccessDenied, match="no token was issued for the service account") as caught:
        service.cat_file(PATH, 0, 6)
    assert caught.value.__context__ is None
    assert "5ec2e7" not in repr(caught.value)
    assert google.seen == []


def test_unreachable_token_server_is_retried_and_then_unavailable(
    service: Gcs, google: Any, key_file: dict[str, Any]
) -> None:
    members = {"service_account": {**key_file, "token_uri": "http://127.0.0.1:9/"}, "endpoint_url": google.url}
    fs = Gcs(validate(GcsCredentials, {**members, "encryption": None}))
    with pytest.raises(
        StorageUnavailable,
        match=r"the token server for the service account cannot be reached \(no connection to 127.0.0.1:9",
    ) as caught:
        fs.cat_file(PATH, 0, 6)
    assert caught.value.__context__ is None


def test_token_server_is_reached_through_the_proxy(pem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    account = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": pem}
    fs = Gcs(validate(GcsCredentials, {"service_account": account, "encryption": None}))
    told = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)

        def refuse() -> None:
            for _ in range(RetryPolicy.attempts):
                connection = listener.accept()[0]
                with connection:
                    told.append(connection.recv(1000).partition(b" HTTP/")[0])
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(StorageUnavailable, match="the token server .* through the proxy that HTTPS_PROXY names"):
            fs.cat_file(PATH)
        thread.join()
    assert set(told) == {b"CONNECT oauth2.googleapis.com:443"}


def test_invalid_proxy_is_reported_and_not_an_invalid_key(pem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    account = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": pem}
    fs = Gcs(validate(GcsCredentials, {"service_account": account, "encryption": None}))
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(ConfigError, match="HTTPS_PROXY does not hold the URL of an HTTP proxy"):
        fs.cat_file(PATH)


def test_token_of_the_document_is_sent_and_its_expiry_reported(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    document = {"token": "ya29.the-token", "endpoint_url": google.url, "encryption": None}
    fs = Gcs(validate(GcsCredentials, document))
    assert fs.cat_file(PATH, 0, 6) == b"sealed"
    google.answering["GET media"] = [Answer(401)]
    with pytest.raises(CredentialsExpired, match="get a new one"):
        fs.cat_file(PATH, 0, 6)
    assert sent(google) == ["Bearer ya29.the-token"] * 2


def test_anonymous_sends_no_authorization(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    assert fs.cat_file(PATH, 0, 6) == b"sealed"
    assert sent(google) == [None]


def test_ambient_credentials_are_used_on_request(
    google: Any, key_file: dict[str, Any], tokens: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    google.objects["key"] = (7, b"sealed")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    document = {"ambient": True, "endpoint_url": google.url, "encryption": None}
    with pytest.raises(AccessDenied, match="ambient, but this machine provides none") as caught:
        Gcs(validate(GcsCredentials, document)).cat_file(PATH, 0, 6)
    assert caught.value.__context__ is None
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key_file))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert Gcs(validate(GcsCredentials, document)).cat_file(PATH, 0, 6) == b"sealed"
    assert sent(google) == ["Bearer ya29.token-number-0"]


def test_token_of_the_metadata_server_is_used_on_request(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    headers = {"Metadata-Flavor": "Google", "Content-Type": "application/json"}
    accounts = "/computeMetadata/v1/instance/service-accounts"
    token = {"access_token": "ya29.meta", "expires_in": 3600}
    answers = {
        f"{accounts}/default/": {"email": "a@b.example", "scopes": [], "aliases": []},
        f"{accounts}/default/token": token,
        f"{accounts}/a@b.example/token": token,  # the path that older versions of google-auth use
    }

    def metadata(request: Request) -> Answer:
        return Answer(200, headers, json.dumps(answers.get(request.target.partition("?")[0], "clinic")).encode())

    program = (
        "import sys\n"
        "from connectors_gcs import GcsBackend, GcsCredentials\n"
        "credentials = GcsCredentials(ambient=True, endpoint_url=sys.argv[1], encryption=None)\n"
        "fs, path = GcsBackend().connect('gs://clinic/key', credentials)\n"
        "print(fs.cat_file(path))\n"
    )
    with hostile_server(metadata) as (url, _):
        host = url.removeprefix("http://")  # google-auth reads these on import
        machine = {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "CLOUDSDK_CONFIG": "/none", "HOME": "/none"}
        env = {**os.environ, **machine, "NO_GCE_CHECK": "false"}
        env.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
        command = [sys.executable, "-c", program, google.url]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("b'sealed'\n", "")
    assert sent(google) == ["Bearer ya29.meta"]


def test_requests_are_billed_to_the_project_if_the_requester_pays(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    document = {"token": "ya29.the-token", "endpoint_url": google.url, "encryption": None, "project": "clinic-4711"}
    for pays in (True, False):
        fs = Gcs(validate(GcsCredentials, {**document, "requester_pays": pays}))
        assert fs.cat_file(PATH, 0, 6) == b"sealed"
        fs.pipe_file(PATH, b"sealed")
    assert ["userProject=clinic-4711" in request.target for request in google.seen] == [True, True, False, False]


def test_redirects_are_not_followed_with_a_token() -> None:
    with hostile_server(lambda _: Answer(200, {}, b"")) as (elsewhere, other):

        def respond(request: Request) -> Answer:
            return Answer(307, {"Location": f"{elsewhere}{request.target}"})

        with hostile_server(respond) as (url, _):
            document = {"token": "ya29.the-token", "endpoint_url": url, "encryption": None}
            fs = Gcs(validate(GcsCredentials, document))
            for ask in (lambda: fs.cat_file(PATH, 0, 6), lambda: fs.pipe_file(PATH, b"x"), lambda: fs.ls("clinic")):
                with pytest.raises(OSError, match="redirects are not followed"):
                    ask()
    assert other == []
