from __future__ import annotations

import json
import ssl

import pytest
import urllib3.exceptions

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
from connectors_gcs.error_mapping import Action, broken, reason_of, refusal

SECRET = "upload_id=5ec2e7"


def page(reason: object) -> bytes:
    return json.dumps({"error": {"code": 400, "message": SECRET, "errors": [{"reason": reason}]}}).encode()


@pytest.mark.parametrize(
    ("status", "action", "kind"),
    [
        (404, "read", ObjectNotFound),
        (404, "write", ObjectNotFound),
        (404, "upload", StorageUnavailable),
        (410, "upload", StorageUnavailable),
        (410, "read", StorageError),
        (401, "read", AccessDenied),
        (403, "list", AccessDenied),
        (412, "read", ObjectChanged),
        (412, "write", ObjectExists),
        (412, "upload", ObjectExists),
        (308, "write", StorageError),
        (400, "write", StorageError),
        (418, "write", StorageError),
        (501, "write", StorageError),
        (499, "upload", StorageError),
    ],
)
def test_meaning_of_a_status_depends_on_the_action(status: int, action: Action, kind: type[ConnectorError]) -> None:
    failure = refusal(status, page("code"), "clinic/key?x", action, renewable=True)
    assert type(failure.error) is kind
    assert "gs://clinic/key?…" in str(failure.error)
    assert SECRET not in str(failure.error)
    assert not failure.transient


def test_refused_token_has_expired_unless_it_can_be_renewed() -> None:
    assert type(refusal(401, b"", "clinic/key", "read", renewable=False).error) is CredentialsExpired
    assert type(refusal(401, b"", "clinic/key", "read", renewable=True).error) is AccessDenied


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_transient_statuses_are_retried(status: int) -> None:
    failure = refusal(status, b"<html>", "clinic/key", "write", renewable=True)
    assert failure.transient
    assert type(failure.error) is StorageUnavailable


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
        b'{"error": ' + b"[" * 100_000,
        *map(page, ["", "a b", "a\nb", "\x1b[2J", "x" * 65, SECRET, "ü", 7, None, {}]),
    ],
)
def test_invalid_reason_is_not_shown(body: bytes) -> None:
    assert reason_of(body) is None
    assert str(refusal(403, body, "clinic/key", "read", renewable=True).error).endswith("(403)")


def test_valid_reason_is_shown() -> None:
    assert reason_of(page("forbidden")) == "forbidden"
    assert reason_of(b'{"error": "invalid_grant", "error_description": "x"}') == "invalid_grant"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (TimeoutError(SECRET), "TimeoutError"),
        (ConnectionResetError(SECRET), "ConnectionResetError"),
        (urllib3.exceptions.ProtocolError("aborted", ConnectionResetError(SECRET)), "ConnectionResetError"),
        (urllib3.exceptions.ProtocolError(SECRET), "ProtocolError"),
        (urllib3.exceptions.ReadTimeoutError(None, SECRET, SECRET), "ReadTimeoutError"),  # type: ignore[arg-type]
        (urllib3.exceptions.IncompleteRead(3, 4), "IncompleteRead"),
    ],
)
def test_broken_connections_are_retried_and_reveal_nothing_of_the_request(error: Exception, name: str) -> None:
    failure = broken(error, "clinic/key")
    assert failure.transient
    assert type(failure.error) is StorageUnavailable
    assert f"cannot be reached for gs://clinic/key ({name})" in str(failure.error)
    assert SECRET not in str(failure.error)


def test_unverifiable_certificate_is_not_retried() -> None:
    failure = broken(urllib3.exceptions.SSLError(ssl.SSLCertVerificationError(SECRET)), "clinic/key")
    assert not failure.transient
    assert "cannot be verified" in str(failure.error)
