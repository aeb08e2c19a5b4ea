from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hostile import Answer, Request, hostile_server

from connectors.credentials.model import validate
from connectors.errors import AccessDenied, CredentialsExpired, StorageUnavailable
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs

PATH = "clinic/key"


@pytest.fixture
def service(google: Any, key_file: dict[str, Any]) -> Gcs:
    """A filesystem of the service account's, over a server that shows what it was sent."""
    google.objects["key"] = (7, b"sealed")
    document = {"service_account": key_file, "endpoint_url": google.url, "encryption": None}
    return Gcs(validate(GcsCredentials, document))


def sent(google: Any) -> list[str | None]:
    return [request.headers.get("authorization") for request in google.seen]


def test_service_account_s_token_is_asked_for_once_and_sent_with_every_request(
    service: Gcs, google: Any, tokens: Any
) -> None:
    for _ in range(3):
        assert service.cat_file(PATH, 0, 6) == b"sealed"
    assert sent(google) == ["Bearer ya29.token-number-0"] * 3
    (assertion,) = tokens.assertions
    assert assertion["iss"] == "reader@clinic-4711.iam.gserviceaccount.com"
    assert assertion["scope"] == "https://www.googleapis.com/auth/devstorage.read_write"


def test_connecting_asks_for_nothing(service: Gcs, google: Any, tokens: Any) -> None:
    service.open_source(PATH)
    assert google.seen == tokens.given == []


def test_token_that_is_about_to_end_is_renewed(service: Gcs, google: Any, tokens: Any) -> None:
    tokens.lifetime = 30
    service.cat_file(PATH, 0, 1)
    service.cat_file(PATH, 0, 1)
    assert sent(google) == ["Bearer ya29.token-number-0", "Bearer ya29.token-number-1"]


def test_token_that_is_refused_is_renewed_once(service: Gcs, google: Any, tokens: Any) -> None:
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
def test_account_that_gets_no_token_is_told_without_what_was_answered(
    service: Gcs, google: Any, tokens: Any, answer: Answer
) -> None:
    tokens.refuse = answer
    with pytest.raises(AccessDenied, match="no token is given for the service account") as caught:
        service.cat_file(PATH, 0, 6)
    assert caught.value.__context__ is None
    assert "5ec2e7" not in repr(caught.value)
    assert google.seen == []


def test_server_of_tokens_that_is_not_there_is_asked_again_and_then_unavailable(
    service: Gcs, google: Any, key_file: dict[str, Any]
) -> None:
    members = {"service_account": {**key_file, "token_uri": "http://127.0.0.1:9/"}, "endpoint_url": google.url}
    fs = Gcs(validate(GcsCredentials, {**members, "encryption": None}))
    with pytest.raises(StorageUnavailable, match="the server of tokens") as caught:
        fs.cat_file(PATH, 0, 6)
    assert caught.value.__context__ is None


def test_token_of_the_document_is_sent_as_it_is_and_its_end_is_told(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    document = {"token": "ya29.the-token", "endpoint_url": google.url, "encryption": None}
    fs = Gcs(validate(GcsCredentials, document))
    assert fs.cat_file(PATH, 0, 6) == b"sealed"
    google.answering["GET media"] = [Answer(401)]
    with pytest.raises(CredentialsExpired, match="have it renewed"):
        fs.cat_file(PATH, 0, 6)
    assert sent(google) == ["Bearer ya29.the-token"] * 2


def test_anonymous_sends_nothing(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    fs = Gcs(validate(GcsCredentials, {"anonymous": True, "endpoint_url": google.url, "encryption": None}))
    assert fs.cat_file(PATH, 0, 6) == b"sealed"
    assert sent(google) == [None]


def test_ambient_credentials_are_taken_when_they_are_asked_for(
    google: Any, key_file: dict[str, Any], tokens: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    google.objects["key"] = (7, b"sealed")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    document = {"ambient": True, "endpoint_url": google.url, "encryption": None}
    with pytest.raises(AccessDenied, match="ambient, and this machine offers none") as caught:
        Gcs(validate(GcsCredentials, document)).cat_file(PATH, 0, 6)
    assert caught.value.__context__ is None
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key_file))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert Gcs(validate(GcsCredentials, document)).cat_file(PATH, 0, 6) == b"sealed"
    assert sent(google) == ["Bearer ya29.token-number-0"]


def test_token_of_the_machine_s_metadata_server_is_taken_when_that_is_asked_for(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    headers = {"Metadata-Flavor": "Google", "Content-Type": "application/json"}
    accounts = "/computeMetadata/v1/instance/service-accounts"
    token = {"access_token": "ya29.meta", "expires_in": 3600}
    answers = {
        f"{accounts}/default/": {"email": "a@b.example", "scopes": [], "aliases": []},
        f"{accounts}/default/token": token,
        f"{accounts}/a@b.example/token": token,  # where versions of google-auth ask that came before
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
        host = url.removeprefix("http://")  # google-auth reads these when it is imported
        machine = {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "CLOUDSDK_CONFIG": "/none", "HOME": "/none"}
        env = {**os.environ, **machine, "NO_GCE_CHECK": "false"}
        env.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
        command = [sys.executable, "-c", program, google.url]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("b'sealed'\n", "")
    assert sent(google) == ["Bearer ya29.meta"]


def test_requests_are_billed_to_the_project_where_the_requester_pays(google: Any) -> None:
    google.objects["key"] = (7, b"sealed")
    document = {"token": "ya29.the-token", "endpoint_url": google.url, "encryption": None, "project": "clinic-4711"}
    for pays in (True, False):
        fs = Gcs(validate(GcsCredentials, {**document, "requester_pays": pays}))
        assert fs.cat_file(PATH, 0, 6) == b"sealed"
        fs.pipe_file(PATH, b"sealed")
    assert ["userProject=clinic-4711" in request.target for request in google.seen] == [True, True, False, False]


def test_redirect_takes_no_token_anywhere() -> None:
    with hostile_server(lambda _: Answer(200, {}, b"")) as (elsewhere, other):

        def respond(request: Request) -> Answer:
            return Answer(307, {"Location": f"{elsewhere}{request.target}"})

        with hostile_server(respond) as (url, _):
            document = {"token": "ya29.the-token", "endpoint_url": url, "encryption": None}
            fs = Gcs(validate(GcsCredentials, document))
            for ask in (lambda: fs.cat_file(PATH, 0, 6), lambda: fs.pipe_file(PATH, b"x"), lambda: fs.ls("clinic")):
                with pytest.raises(OSError, match="served elsewhere"):
                    ask()
    assert other == []
