"""Translates errors of Azure and its libraries into the errors of `connectors`; no other module does.

Only the error's code is read, and a code is shown only if it looks like one: all other text is under the storage's
control.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeVar

from azure.core.exceptions import AzureError, HttpResponseError

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
from connectors.storage import is_of_library
from connectors_azure.location import shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BEYOND_END", "LIBRARY_ERRORS", "Action", "attempt", "code_of", "is_bug", "storage_error"]

Action = Literal["read", "write", "list", "remove", "copy"]

T = TypeVar("T")

_INVALID_RESPONSE = (ValueError, SyntaxError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What Azure's libraries raise for an invalid response: bad XML, a bad number, date or policy, a missing element."""

LIBRARY_ERRORS = (AzureError, OSError, *_INVALID_RESPONSE)
"""What Azure's libraries and the HTTP libraries below them raise when a request fails."""

BEYOND_END = ("InvalidRange", "416")
"""The error codes for a range that starts at or beyond the end of the blob."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}|[0-9]{3}")

# Azure Storage REST API, "Status and error codes" and "Blob Storage error codes". The codes of failed conditions are in
# _CONDITIONS, because what they mean depends on the request.
_MEANINGS: tuple[tuple[frozenset[str], type[StorageError], str], ...] = (
    (
        frozenset({"ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"}),
        ObjectNotFound,
        "there is no such container: {where} ({code})",
    ),
    (
        frozenset({"BlobNotFound", "CannotVerifyCopySource", "PathNotFound", "ResourceNotFound", "404"}),
        ObjectNotFound,
        "nothing is stored at {where}",
    ),
    (
        frozenset(
            {
                "AccountIsDisabled",
                "AuthenticationFailed",
                "AuthorizationFailure",
                "AuthorizationPermissionMismatch",
                "AuthorizationProtocolMismatch",
                "AuthorizationResourceTypeMismatch",
                "AuthorizationServiceMismatch",
                "AuthorizationSourceIPMismatch",
                "InsufficientAccountPermissions",
                "InvalidAuthenticationInfo",
                "KeyBasedAuthenticationNotPermitted",
                "NoAuthenticationInformation",
                "PublicAccessNotPermitted",
                "401",
                "403",
            }
        ),
        AccessDenied,
        "Azure does not let these credentials {action} {where} ({code})",
    ),
    (
        frozenset({"UnauthorizedBlobOverwrite"}),
        AccessDenied,
        "these credentials may create {where}, but not replace an existing blob ({code})",
    ),
    (
        frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold", "BlobOverwriteNotPermitted"}),
        AccessDenied,
        "{where} is protected by an immutability policy or a legal hold ({code})",
    ),
    (
        frozenset({"AccountRequiresHttps"}),
        StorageError,
        "{where} is served only over https://; correct endpoint_url in the credentials ({code})",
    ),
    (
        frozenset(
            {
                "LeaseAlreadyPresent",
                "LeaseIdMismatchWithBlobOperation",
                "LeaseIdMissing",
                "LeaseLost",
                "LeaseNotPresentWithBlobOperation",
            }
        ),
        StorageError,
        "{where} is leased by another client; release or break the lease first ({code})",
    ),
    (
        frozenset({"BlobArchived", "BlobBeingRehydrated"}),
        StorageError,
        "{where} is archived; rehydrate it first ({code})",
    ),
    (
        frozenset({"InvalidBlobType"}),
        StorageError,
        "{where} is an append blob or a page blob, not a block blob; remove it first ({code})",
    ),
    (
        frozenset({"InvalidBlockList"}),
        StorageError,
        "the blocks of {where} are gone, because another client wrote it meanwhile; write it again ({code})",
    ),
    (
        frozenset({"InvalidBlobOrBlock", "InvalidBlockId", "BlockCountExceedsLimit"}),
        StorageError,
        "another tool's unfinished upload of {where} prevents this one; finish it, or use another name ({code})",
    ),
    (
        frozenset({"SnapshotsPresent"}),
        StorageError,
        "{where} has snapshots; remove them first ({code})",
    ),
    (frozenset({"DirectoryIsNotEmpty"}), NotAnObject, "{where} is a folder that is not empty ({code})"),
    (
        frozenset({"301", "302", "303", "307", "308"}),
        StorageError,
        "{where} is redirected, and redirects are not followed; check endpoint_url ({code})",
    ),
    (
        frozenset(
            {
                "AccountBeingCreated",
                "InternalError",
                "Md5Mismatch",
                "OperationTimedOut",
                "PendingCopyOperation",
                "ServerBusy",
                "408",
                "429",
                "500",
                "502",
                "503",
                "504",
            }
        ),
        StorageUnavailable,
        "Azure cannot {action} {where} now ({code}); try again later",
    ),
)
_CONDITIONS = frozenset({"412", "BlobAlreadyExists", "BlobModifiedWhileReading", "BlobOverwritten", "ConditionNotMet"})


def code_of(error: BaseException) -> str | None:
    """Return the error code of Azure's response, or else its status; None if there was no response."""
    response = getattr(error, "response", None)
    if not isinstance(error, HttpResponseError) or response is None:
        return None
    code = getattr(error, "error_code", None)
    for text in (getattr(code, "value", code), response.status_code):
        if text and _CODE.fullmatch(str(text)):
            return str(text)
    return "an unknown error"


def storage_error(
    error: BaseException, path: str, action: Action, expires_at: datetime | None = None
) -> ConnectorError:
    """Return the error of `connectors` that `error` means.

    Args:
        error: one of `LIBRARY_ERRORS`.
        path: ``container/name``.
        action: what was being done; a failed condition means one thing to a reader and another to a writer.
        expires_at: when the SAS in use expires, or None if unknown: Azure has no separate error code for that.
    """
    code = code_of(error)
    where = shown(path)
    if code is None:
        return _without_code(error, where)
    if code in _CONDITIONS:
        if action == "write":
            return ObjectExists(f"{where} already exists, and mode 'xb' does not replace it ({code})")
        return ObjectChanged(f"{where} was replaced while it was being read; open it again ({code})")
    for codes, kind, message in _MEANINGS:
        if code in codes:
            if kind is AccessDenied and expires_at is not None and expires_at <= datetime.now(UTC):
                expired = f"the SAS for {where} expired at {expires_at:%Y-%m-%d %H:%M:%S} UTC ({code}); get a new one"
                return CredentialsExpired(expired)
            return kind(message.format(where=where, code=code, action=action))
    return StorageError(f"Azure refused to {action} {where} ({code})")


def _without_code(error: BaseException, where: str) -> ConnectorError:
    """Return the error of `connectors` for an error that holds no response, or an invalid one."""
    name = type(error).__name__
    if isinstance(error, _INVALID_RESPONSE):
        return StorageUnavailable(f"Azure sent an invalid response for {where} ({name}); try again later")
    return StorageUnavailable(f"Azure cannot be reached for {where} ({name}); try again later")


def is_bug(error: Exception) -> bool:
    """Return whether one of `LIBRARY_ERRORS` is a bug in this code instead: no library raised it."""
    programming_errors = (TypeError, LookupError, AttributeError, ArithmeticError)
    return isinstance(error, programming_errors) and not is_of_library(error, "azure", "requests")


def attempt(path: str, action: Action, call: Callable[[], T], expires_at: datetime | None = None) -> T:
    """Return the result of `call`; raise its errors as errors of `connectors`.

    This is a function, not a context manager, so that it can raise outside the handler: the library's error, whose
    attributes hold the request and its signature, does not become the context of the raised one.
    """
    try:
        return call()
    except ConnectorError:
        raise
    except LIBRARY_ERRORS as error:
        if is_bug(error):
            raise
        translated = storage_error(error, path, action, expires_at)
    raise translated
