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


def failed_with(code: Any, status: int = 400) -> HttpResponseError:
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
def test_codes_are_translated_into_errors(code: Any, action: Action, kind: type[ConnectorError]) -> None:
    translated = storage_error(failed_with(code), "ward/name", action)
    assert type(translated) is kind
    assert "az://ward/name" in str(translated)
    assert SECRET not in str(translated)


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
def test_status_is_used_if_the_code_is_missing_or_invalid(status: int, kind: type[ConnectorError], code: Any) -> None:
    translated = storage_error(failed_with(code, status), "ward/name", "read")
    assert type(translated) is kind
    assert str(translated).isprintable()
    assert SECRET not in str(translated)


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
def test_error_without_a_response_means_unavailable(error: Exception) -> None:
    translated = storage_error(error, "ward/name?x", "read")
    assert type(translated) is StorageUnavailable
    assert "az://ward/name?…" in str(translated)
    assert type(error).__name__ in str(translated)
    assert SECRET not in str(translated)


def test_denial_after_the_sas_expired_means_expired() -> None:
    now = datetime.now(UTC)
    past, future = now - timedelta(hours=1), now + timedelta(hours=1)
    error = failed_with("AuthenticationFailed", 403)
    expired = storage_error(error, "ward/name", "read", past)
    assert type(expired) is CredentialsExpired
    assert str(expired) == (
        f"the SAS for az://ward/name expired at {past:%Y-%m-%d %H:%M:%S} UTC (AuthenticationFailed); get a new one"
    )
    assert type(storage_error(error, "ward/name", "read", future)) is AccessDenied
    assert type(storage_error(failed_with("BlobNotFound", 404), "ward/name", "read", past)) is ObjectNotFound


def test_library_error_is_not_the_context_or_cause_of_the_raised_error() -> None:
    def fail() -> None:
        raise ResourceExistsError(SECRET)

    with pytest.raises(StorageUnavailable) as caught:
        attempt("ward/name", "read", fail)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_errors_of_connectors_and_bugs_are_raised_unchanged() -> None:
    def changed() -> None:
        message = "changed"
        raise ObjectChanged(message)

    def bug() -> None:
        message = "a bug"
        raise KeyError(message)

    with pytest.raises(ObjectChanged, match="^changed$"):
        attempt("ward/name", "read", changed)
    with pytest.raises(KeyError, match="a bug"):
        attempt("ward/name", "read", bug)
