from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import ParseError

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ServiceRequestError, ServiceResponseError
from azure.storage.blob import StorageErrorCode

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    NotAnObject,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors_azure.error_mapping import Action, attempt, storage_error

SECRET = "sig=5ec2e7"


def answered(code: Any, status: int = 400) -> HttpResponseError:
    error = HttpResponseError(message=SECRET)
    error.response = SimpleNamespace(status_code=status, headers={}, request=SECRET)
    error.error_code = code
    return error


@pytest.mark.parametrize(
    ("code", "action", "kind"),
    [
        ("BlobNotFound", "read", ObjectNotFound),
        (StorageErrorCode.CONTAINER_BEING_DELETED, "read", ObjectNotFound),
        ("ContainerNotFound", "write", ObjectNotFound),
        ("CannotVerifyCopySource", "copy", ObjectNotFound),
        ("AuthenticationFailed", "read", AccessDenied),
        ("AuthorizationPermissionMismatch", "list", AccessDenied),
        ("AuthorizationFailure", "write", AccessDenied),
        ("NoAuthenticationInformation", "read", AccessDenied),
        ("KeyBasedAuthenticationNotPermitted", "read", AccessDenied),
        ("UnauthorizedBlobOverwrite", "write", AccessDenied),
        ("BlobImmutableDueToPolicy", "remove", AccessDenied),
        ("ConditionNotMet", "read", ObjectChanged),
        ("BlobModifiedWhileReading", "read", ObjectChanged),
        ("ConditionNotMet", "write", ObjectExists),
        (StorageErrorCode.BLOB_ALREADY_EXISTS, "write", ObjectExists),
        ("LeaseIdMissing", "write", StorageError),
        ("BlobArchived", "read", StorageError),
        ("InvalidBlobType", "write", StorageError),
        ("InvalidBlockList", "write", StorageError),
        ("InvalidBlobOrBlock", "write", StorageError),
        ("SnapshotsPresent", "remove", StorageError),
        ("DirectoryIsNotEmpty", "remove", NotAnObject),
        ("ServerBusy", "write", StorageUnavailable),
        ("OperationTimedOut", "read", StorageUnavailable),
        ("Md5Mismatch", "write", StorageUnavailable),
        ("SomethingNew", "read", StorageError),
    ],
)
def test_codes_become_errors_that_say_what_to_do(code: Any, action: Action, kind: type[ConnectorError]) -> None:
    ours = storage_error(answered(code), "ward/name", action)
    assert type(ours) is kind
    assert "az://ward/name" in str(ours)
    assert SECRET not in str(ours)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, ObjectNotFound),
        (401, AccessDenied),
        (403, AccessDenied),
        (412, ObjectChanged),
        (503, StorageUnavailable),
        (307, StorageError),
        (418, StorageError),
    ],
)
@pytest.mark.parametrize("code", [None, "", "a\nb", "<b>", "\x1b[2J", "x" * 65, SECRET, "ü"])
def test_status_stands_in_for_a_code_that_is_none(status: int, kind: type[ConnectorError], code: Any) -> None:
    ours = storage_error(answered(code, status), "ward/name", "read")
    assert type(ours) is kind
    assert str(ours).isprintable()
    assert SECRET not in str(ours)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(SECRET),
        ConnectionResetError(SECRET),
        ServiceRequestError(SECRET),
        ServiceResponseError(SECRET),
        HttpResponseError(SECRET),
        ValueError(SECRET),
        ParseError(SECRET),
    ],
)
def test_errors_without_an_answer_are_unavailability(error: Exception) -> None:
    ours = storage_error(error, "ward/name?x", "read")
    assert type(ours) is StorageUnavailable
    assert "az://ward/name?…" in str(ours)
    assert type(error).__name__ in str(ours)
    assert SECRET not in str(ours)


def test_denial_after_the_signature_s_end_is_expiry() -> None:
    now = datetime.now(UTC)
    past, future = now - timedelta(hours=1), now + timedelta(hours=1)
    error = answered("AuthenticationFailed", 403)
    assert type(storage_error(error, "ward/name", "read", past)) is CredentialsExpired
    assert type(storage_error(error, "ward/name", "read", future)) is AccessDenied
    assert type(storage_error(answered("BlobNotFound", 404), "ward/name", "read", past)) is ObjectNotFound


def test_nothing_foreign_travels_with_our_error() -> None:
    def fail() -> None:
        raise ResourceExistsError(SECRET)

    with pytest.raises(StorageUnavailable) as caught:
        attempt("ward/name", "read", fail)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_our_own_errors_and_bugs_pass_unchanged() -> None:
    def changed() -> None:
        message = "ours"
        raise ObjectChanged(message)

    def bug() -> None:
        message = "a bug"
        raise KeyError(message)

    with pytest.raises(ObjectChanged, match="^ours$"):
        attempt("ward/name", "read", changed)
    with pytest.raises(KeyError, match="a bug"):
        attempt("ward/name", "read", bug)
