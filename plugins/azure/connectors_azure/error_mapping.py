"""What Azure and its libraries raise, as the errors of `connectors`: the one place where they are translated.

Only an error's code is looked at, and only one that looks like a code is shown: the rest is text of the storage's.
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

__all__ = ["BEYOND_END", "FOREIGN", "Action", "attempt", "code_of", "is_bug", "storage_error"]

Action = Literal["read", "write", "list", "remove", "copy"]

T = TypeVar("T")

_NONSENSE = (ValueError, SyntaxError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What Azure's libraries trip over in an answer that is none: no XML, no number, date or policy, a missing element."""

FOREIGN = (AzureError, OSError, *_NONSENSE)
"""What the libraries below raise when a request fails."""

BEYOND_END = ("InvalidRange", "416")
"""What Azure answers to a range that starts where the blob has ended."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}|[0-9]{3}")

# Azure Storage REST API, "Status and error codes" and "Blob Storage error codes". What a condition that does not hold
# means depends on who set it, so it is not here.
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
        "these credentials may create {where} and not replace what stands there ({code})",
    ),
    (
        frozenset({"BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold", "BlobOverwriteNotPermitted"}),
        AccessDenied,
        "{where} is held by an immutability policy or a legal hold ({code})",
    ),
    (
        frozenset({"AccountRequiresHttps"}),
        StorageError,
        "{where} is served over https:// only; mend endpoint_url in the credentials ({code})",
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
        "{where} is leased by somebody else; have the lease released or broken ({code})",
    ),
    (
        frozenset({"BlobArchived", "BlobBeingRehydrated"}),
        StorageError,
        "{where} is archived; have it rehydrated first ({code})",
    ),
    (
        frozenset({"InvalidBlobType"}),
        StorageError,
        "a blob of another kind, an append or page blob, stands at {where}; remove it first ({code})",
    ),
    (
        frozenset({"InvalidBlockList"}),
        StorageError,
        "the blocks of {where} are gone: somebody else wrote it meanwhile; write it again ({code})",
    ),
    (
        frozenset({"InvalidBlobOrBlock", "InvalidBlockId", "BlockCountExceedsLimit"}),
        StorageError,
        "another tool's unfinished upload is in the way at {where}; have it finished, or write elsewhere ({code})",
    ),
    (
        frozenset({"SnapshotsPresent"}),
        StorageError,
        "{where} has snapshots, which are to be removed before it ({code})",
    ),
    (frozenset({"DirectoryIsNotEmpty"}), NotAnObject, "{where} is a folder, with objects in it ({code})"),
    (
        frozenset({"301", "302", "303", "307", "308"}),
        StorageError,
        "{where} is served elsewhere; set endpoint_url in the credentials ({code})",
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
    """Return the error code that Azure answered, or the bare status; None where there was no answer."""
    response = getattr(error, "response", None)
    if not isinstance(error, HttpResponseError) or response is None:
        return None
    code = getattr(error, "error_code", None)
    for text in (getattr(code, "value", code), response.status_code):
        if text and _CODE.fullmatch(str(text)):
            return str(text)
    return "an unknown error"


def storage_error(error: BaseException, path: str, action: Action, ends: datetime | None = None) -> ConnectorError:
    """Return the error of ours that says what `error` means.

    Args:
        error: one of `FOREIGN`.
        path: ``container/name``.
        action: what was being done; a condition that does not hold means another thing to a reader than to a writer.
        ends: when the signature that was used ends, where that is known: Azure has no code of its own for that.
    """
    code = code_of(error)
    where = shown(path)
    if code is None:
        return _without_code(error, where)
    if code in _CONDITIONS:
        if action == "write":
            return ObjectExists(f"{where} exists already, and it was to be created ({code})")
        return ObjectChanged(f"{where} was exchanged while it was being read; open it again ({code})")
    for codes, kind, message in _MEANINGS:
        if code in codes:
            if kind is AccessDenied and ends is not None and ends <= datetime.now(UTC):
                ended = f"the signature for {where} ended at {ends:%Y-%m-%d %H:%M:%S} UTC ({code}); have it renewed"
                return CredentialsExpired(ended)
            return kind(message.format(where=where, code=code, action=action))
    return StorageError(f"Azure refused to {action} {where} ({code})")


def _without_code(error: BaseException, where: str) -> ConnectorError:
    """Return our error for one in which no server's answer is, or no sensible one."""
    what = type(error).__name__
    if isinstance(error, _NONSENSE):
        return StorageUnavailable(f"Azure's answer for {where} makes no sense ({what}); try again later")
    return StorageUnavailable(f"Azure cannot be reached for {where} ({what}); try again later")


def is_bug(error: Exception) -> bool:
    """Tell whether one of `FOREIGN` is a bug of ours, which is nothing that an answer does: no library raised it."""
    slips = (TypeError, LookupError, AttributeError, ArithmeticError)
    return isinstance(error, slips) and not is_of_library(error, "azure", "requests")


def attempt(path: str, action: Action, call: Callable[[], T], ends: datetime | None = None) -> T:
    """Return what `call` does, and raise its failures as ours.

    A function and not a context manager: only here are they raised outside the handler, so that no library's error,
    with the request and its signature in its attributes, travels along as their context.
    """
    try:
        return call()
    except ConnectorError:
        raise
    except FOREIGN as error:
        if is_bug(error):
            raise
        ours = storage_error(error, path, action, ends)
    raise ours
