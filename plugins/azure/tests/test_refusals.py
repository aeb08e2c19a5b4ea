"""What Azure's error codes mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.storage.blob import StorageErrorCode

from connectors.credentials.model import validate
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
from connectors.storage import Action
from connectors_azure import AzureCredentials
from connectors_azure.account import account_of
from connectors_azure.location import LOCATION
from connectors_azure.store import AzureStore

SECRET = "5ec2e7"


def store(**members: Any) -> AzureStore:
    credentials = validate(
        AzureCredentials, {"account_name": "clinic", "encryption": None, **(members or {"anonymous": True})}
    )
    return AzureStore(account_of(credentials, LOCATION.parse("az://ward/")), credentials)


@pytest.mark.parametrize(
    ("status", "code", "action", "kind"),
    [
        (404, "BlobNotFound", "read", ObjectNotFound),
        (409, "ContainerBeingDeleted", "read", ObjectNotFound),
        (404, "ContainerNotFound", "write", ObjectNotFound),
        (404, "CannotVerifyCopySource", "copy", ObjectNotFound),
        (403, "CannotVerifyCopySource", "copy", AccessDenied),
        (403, "AuthenticationFailed", "read", AccessDenied),
        (400, "InvalidAuthenticationInfo", "read", AccessDenied),
        (403, "AuthorizationPermissionMismatch", "list", AccessDenied),
        (403, "AuthorizationFailure", "write", AccessDenied),
        (401, "NoAuthenticationInformation", "read", AccessDenied),
        (403, "KeyBasedAuthenticationNotPermitted", "read", AccessDenied),
        (409, "PublicAccessNotPermitted", "read", AccessDenied),
        (403, "UnauthorizedBlobOverwrite", "write", AccessDenied),
        (409, "BlobImmutableDueToPolicy", "remove", AccessDenied),
        (412, "ConditionNotMet", "read", ObjectChanged),
        (409, "BlobModifiedWhileReading", "read", ObjectChanged),
        (412, "ConditionNotMet", "write", ObjectExists),
        (409, "BlobAlreadyExists", "write", ObjectExists),
        (412, "LeaseIdMissing", "write", StorageError),
        (409, "BlobArchived", "read", StorageError),
        (409, "InvalidBlobType", "write", StorageError),
        (400, "InvalidBlockList", "write", StorageError),
        (400, "InvalidBlobOrBlock", "write", StorageError),
        (409, "SnapshotsPresent", "remove", StorageError),
        (409, "DirectoryIsNotEmpty", "remove", NotAnObject),
        (503, "ServerBusy", "write", StorageUnavailable),
        (500, "OperationTimedOut", "read", StorageUnavailable),
        (400, "Md5Mismatch", "write", StorageUnavailable),
        (400, "SomethingNew", "read", StorageError),
        (404, "", "read", ObjectNotFound),
        (401, "", "read", AccessDenied),
        (403, "", "read", AccessDenied),
        (412, "", "read", ObjectChanged),
        (503, "", "read", StorageUnavailable),
        (429, "", "read", StorageUnavailable),
        (307, "", "read", StorageError),
        (418, "", "read", StorageError),
    ],
)
def test_codes_and_statuses_become_errors(status: int, code: str, action: Action, kind: type[ConnectorError]) -> None:
    failure = store().refusal(status, code, "ward/name?x", action)
    assert type(failure.error) is kind
    assert failure.transient == (kind is StorageUnavailable)
    assert "az://ward/name?…" in str(failure.error)
    assert (code or str(status)) in str(failure.error)


def test_codes_are_those_of_microsofts_client_or_documented() -> None:
    documented = {
        *(
            "AccountRequiresHttps",
            "BlobImmutableDueToLegalHold",
            "BlobImmutableDueToPolicy",
            "BlobModifiedWhileReading",
        ),
        *("BlobOverwriteNotPermitted", "DirectoryIsNotEmpty", "PublicAccessNotPermitted"),
    }
    ours = {code for meaning in AzureStore.meanings for code in meaning.codes} | AzureStore.conditions
    assert ours - {code.value for code in StorageErrorCode} == documented


@pytest.mark.parametrize(
    "members",
    [
        {"sas_token": f"sv=1&sr=b&se=2020-01-02T03%3A04%3A05Z&sig={SECRET}"},
        {"sas_token": f"sv=1&sr=c&sp=rw&se=2020-01-02T03%3A04%3A05Z&sig={SECRET}"},
    ],
)
def test_denial_after_the_sas_expired_means_expired(members: dict[str, Any]) -> None:
    error = store(**members).refusal(403, "AuthenticationFailed", "ward/name", "read").error
    assert type(error) is CredentialsExpired
    assert str(error) == (
        "the credentials for az://ward/name expired at 2020-01-02 03:04:05 UTC (403 AuthenticationFailed)"
    )
    assert type(store(**members).refusal(404, "BlobNotFound", "ward/name", "read").error) is ObjectNotFound


def test_denial_before_the_sas_expires_means_denied() -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    one = store(sas_token=f"sv=1&se={later:%Y-%m-%dT%H:%M:%SZ}&sig={SECRET}")
    assert type(one.refusal(403, "AuthenticationFailed", "ward/name", "read").error) is AccessDenied


@pytest.mark.parametrize(
    ("sas", "lists"),
    [
        ("sr=b&sp=rwl", False),
        ("sr=c&sp=rw", False),
        ("sr=c&sp=rwl", True),
        ("ss=b&srt=co&sp=rwl", True),
        ("sr=c&si=policy", True),
        ("sr=b&si=policy", False),
    ],
)
def test_sas_tells_whether_it_lists(sas: str, lists: bool) -> None:
    assert store(sas_token=f"sv=1&{sas}&sig={SECRET}").lists is lists
    assert store().lists is True
