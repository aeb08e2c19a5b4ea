from __future__ import annotations

import errno

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)
from s3fs.errors import translate_boto_error

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    NotAnObject,
    NotSupported,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors_s3.error_mapping import Action, attempt, storage_error

SECRET = "X-Amz-Signature=5ec2e7"


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": SECRET}}, "GetObject")


@pytest.mark.parametrize(
    ("code", "action", "kind"),
    [
        ("NoSuchKey", "read", ObjectNotFound),
        ("NoSuchBucket", "write", ObjectNotFound),
        ("404", "read", ObjectNotFound),
        ("AccessDenied", "read", AccessDenied),
        ("SignatureDoesNotMatch", "read", AccessDenied),
        ("InvalidAccessKeyId", "write", AccessDenied),
        ("403", "read", AccessDenied),
        ("RequestTimeTooSkewed", "read", AccessDenied),
        ("ExpiredToken", "read", CredentialsExpired),
        ("RequestExpired", "write", CredentialsExpired),
        ("PreconditionFailed", "read", ObjectChanged),
        ("412", "read", ObjectChanged),
        ("PreconditionFailed", "write", ObjectExists),
        ("ConditionalRequestConflict", "write", ObjectExists),
        ("SlowDown", "write", StorageUnavailable),
        ("InternalError", "read", StorageUnavailable),
        ("503", "read", StorageUnavailable),
        ("PermanentRedirect", "read", StorageError),
        ("InvalidObjectState", "read", StorageError),
        ("SomethingNew", "read", StorageError),
    ],
)
def test_code_means_the_same_raw_and_translated_by_s3fs(code: str, action: Action, kind: type[ConnectorError]) -> None:
    for error in (client_error(code), translate_boto_error(client_error(code))):
        ours = storage_error(error, "clinic/key", action)
        assert type(ours) is kind
        assert "s3://clinic/key" in str(ours)
        assert SECRET not in str(ours)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError(errno.ENOENT, SECRET), ObjectNotFound),
        (FileExistsError(errno.EEXIST, SECRET), ObjectExists),
        (PermissionError(errno.EACCES, SECRET), AccessDenied),
        (IsADirectoryError(errno.EISDIR, SECRET), NotAnObject),
        (TimeoutError(SECRET), StorageUnavailable),
        (ConnectionResetError(SECRET), StorageUnavailable),
        (EndpointConnectionError(endpoint_url=SECRET), StorageUnavailable),
        (ReadTimeoutError(endpoint_url=SECRET), StorageUnavailable),
        (NoCredentialsError(), AccessDenied),
        (ProfileNotFound(profile=SECRET), AccessDenied),
    ],
)
def test_errors_without_a_code_are_translated(error: Exception, kind: type[ConnectorError]) -> None:
    ours = storage_error(error, "clinic/key?x", "read")
    assert type(ours) is kind
    assert "s3://clinic/key?…" in str(ours)
    assert SECRET not in str(ours)


@pytest.mark.parametrize("code", ["", "a\nb", "<b>", "\x1b[2J", "x" * 65, SECRET, "ü"])
def test_invalid_code_is_not_shown(code: str) -> None:
    ours = storage_error(client_error(code), "clinic/key", "read")
    assert "(an unknown error)" in str(ours)


def test_our_error_has_no_library_error_as_its_context() -> None:
    def fail() -> None:
        raise client_error("AccessDenied")

    with pytest.raises(AccessDenied) as caught:
        attempt("clinic/key", "read", fail)
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
        attempt("clinic/key", "read", changed)
    with pytest.raises(KeyError, match="a bug"):
        attempt("clinic/key", "read", bug)


def test_an_event_loop_that_lacks_a_part_is_not_the_servers_fault() -> None:
    error = storage_error(NotImplementedError(), "clinic/x", "read")
    assert isinstance(error, NotSupported)
    assert "gevent" in str(error)
    assert "s3://clinic/x" in str(error)
