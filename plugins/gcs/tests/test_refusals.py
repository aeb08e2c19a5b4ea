"""What the JSON API's error responses mean."""

from __future__ import annotations

import json

import pytest
from hostile import Answer, hostile_server

from connectors.credentials.model import validate
from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import Action, Failure
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs
from connectors_gcs.store import GcsStore
from connectors_gcs.upload import Upload

SECRET = "upload_id=5ec2e7"
PATH = "clinic/key?x"


def page(reason: object) -> bytes:
    return json.dumps({"error": {"code": 400, "message": SECRET, "errors": [{"reason": reason}]}}).encode()


def store(**members: object) -> GcsStore:
    document = {"endpoint_url": "http://127.0.0.1:9", "encryption": None, **(members or {"ambient": True})}
    return Gcs(validate(GcsCredentials, document)).store  # type: ignore[return-value]


@pytest.fixture
def upload() -> Upload:
    return Upload(store(), PATH, {"Location": f"/upload?{SECRET}"})


@pytest.mark.parametrize(
    ("status", "action", "kind"),
    [
        (404, "read", ObjectNotFound),
        (404, "write", ObjectNotFound),
        (404, "list", ObjectNotFound),
        (410, "read", ObjectNotFound),
        (401, "read", AccessDenied),
        (403, "list", AccessDenied),
        (403, "remove", AccessDenied),
        (412, "read", ObjectChanged),
        (412, "write", ObjectExists),
        (308, "write", StorageError),
        (400, "write", StorageError),
        (418, "write", StorageError),
        (501, "write", StorageError),
    ],
)
def test_meaning_of_a_status_depends_on_the_action(status: int, action: Action, kind: type[ConnectorError]) -> None:
    failure = store().refusal(status, "code", PATH, action)
    assert type(failure.error) is kind
    assert "gs://clinic/key?…" in str(failure.error)
    assert not failure.transient


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, StorageUnavailable), (410, StorageUnavailable), (412, ObjectExists), (499, StorageError)],
)
def test_missing_upload_is_not_a_missing_object(upload: Upload, status: int, kind: type[ConnectorError]) -> None:
    failure = upload.refusal(status, "code", PATH, "write")
    assert type(failure.error) is kind
    assert not failure.transient


def test_upload_shows_its_url_nowhere(upload: Upload) -> None:
    assert SECRET not in f"{upload!r} {vars(upload)}"


def test_refused_token_of_the_document_has_expired() -> None:
    assert type(store(token="ya29.t").refusal(401, "", PATH, "read").error) is CredentialsExpired
    assert type(store(ambient=True).refusal(401, "", PATH, "read").error) is AccessDenied
    assert type(store(anonymous=True).refusal(401, "", PATH, "read").error) is AccessDenied


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_transient_statuses_are_retried(status: int) -> None:
    failure = store().refusal(status, "", PATH, "write")
    assert failure.transient
    assert type(failure.error) is StorageUnavailable


@pytest.mark.parametrize("code", ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "backendError"])
def test_rate_limits_are_retried_although_they_are_refusals(code: str) -> None:
    failure = store().refusal(403, code, PATH, "write")
    assert failure.transient
    assert f"cannot write gs://clinic/key?… now (403 {code}); try again later" in str(failure.error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\x00",
        b"[]",
        b"null",
        b'"error"',
        b'{"error": null}',
        b'{"error": {"errors": []}}',
        b'{"error": {"errors": {}}}',
        b'{"error": ' + b"[" * 30_000,
        *map(page, ["", "a b", "a\nb", "\x1b[2J", "x" * 65, SECRET, "ü", 7, None, {}]),
    ],
)
def test_invalid_reason_is_not_shown(body: bytes) -> None:
    with hostile_server(lambda _: Answer(403, {}, body)) as (url, _):
        other = store(endpoint_url=url, anonymous=True)
        failure = other.attempt(other.read_request(PATH, None, None), PATH, "read")
    assert isinstance(failure, Failure)
    assert str(failure.error).endswith("(403)")


def test_valid_reason_is_shown() -> None:
    assert store().error_code(403, {}, page("forbidden")) == "forbidden"
    assert store().error_code(400, {}, b'{"error": "invalid_grant", "error_description": "x"}') == "invalid_grant"
    assert str(store().refusal(403, "forbidden", PATH, "read").error).endswith("(403 forbidden)")
