"""What S3 and its libraries raise, as the errors of `connectors`: the one place where they are translated.

s3fs turns most of botocore's errors into built-in ones and keeps the original as their cause; both forms are read.
Only an error's code is looked at, and only one that looks like a code is shown: the rest is text of the storage's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from aiohttp import ClientError as HttpError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.parsers import ResponseParserError

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
from connectors_s3.location import shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FOREIGN", "UPLOAD_GONE", "Action", "attempt", "code_of", "is_bug", "storage_error"]

Action = Literal["read", "write", "list"]

T = TypeVar("T")

_NONSENSE = (ResponseParserError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""What botocore and s3fs trip over in an answer that is none: no XML, a number or time that cannot be read, a missing
member."""


FOREIGN = (BotoCoreError, ClientError, HttpError, OSError, *_NONSENSE)
"""What the libraries below raise when a request fails; timeouts are among them as OSError."""

UPLOAD_GONE = "NoSuchUpload"
"""The code that S3 answers to requests for a multipart upload which it does not, or no longer, know."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,63}|[0-9]{3}")

# Amazon S3 API Reference, "Error responses"; a HEAD has no body, so its code is the bare status. What a condition that
# does not hold means depends on who set it, so it is not here.
_MEANINGS: tuple[tuple[frozenset[str], type[StorageError], str], ...] = (
    (frozenset({"NoSuchBucket"}), ObjectNotFound, "there is no such bucket: {where}"),
    (
        frozenset({"NoSuchKey", "NoSuchVersion", "NotFound", "404"}),
        ObjectNotFound,
        "nothing is stored at {where}",
    ),
    (
        frozenset({UPLOAD_GONE}),
        StorageUnavailable,
        "the upload of {where} is gone ({code}): aborted, or completed by a request whose answer was lost; look for it",
    ),
    (
        frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}),
        CredentialsExpired,
        "the credentials for {where} have expired ({code}); have them renewed",
    ),
    (
        frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"}),
        AccessDenied,
        "S3 refuses the request for {where}: this machine's clock is wrong ({code})",
    ),
    (
        frozenset(
            {
                "AccessDenied",
                "AccountProblem",
                "AllAccessDisabled",
                "Forbidden",
                "InvalidAccessKeyId",
                "InvalidSecurity",
                "InvalidToken",
                "NotSignedUp",
                "SignatureDoesNotMatch",
                "Unauthorized",
                "UnrecognizedClientException",
                "401",
                "403",
            }
        ),
        AccessDenied,
        "S3 does not let these credentials {action} {where} ({code})",
    ),
    (
        frozenset(
            {
                "AuthorizationHeaderMalformed",
                "AuthorizationQueryParametersError",
                "IllegalLocationConstraintException",
                "PermanentRedirect",
                "Redirect",
                "TemporaryRedirect",
                "301",
                "302",
                "303",
                "307",
                "308",
            }
        ),
        StorageError,
        "{where} is served elsewhere; set region or endpoint_url in the credentials ({code})",
    ),
    (frozenset({"InvalidObjectState"}), StorageError, "{where} is archived; have it restored first ({code})"),
    (
        frozenset(
            {
                "Busy",
                "IncompleteBody",
                "InternalError",
                "OperationAborted",
                "RequestTimeout",
                "RequestTimeoutException",
                "ServiceUnavailable",
                "SlowDown",
                "Throttling",
                "ThrottlingException",
                "TooManyRequestsException",
                "429",
                "500",
                "502",
                "503",
                "504",
            }
        ),
        StorageUnavailable,
        "S3 cannot {action} {where} now ({code}); try again later",
    ),
)
_CONDITIONS = {"PreconditionFailed", "ConditionalRequestConflict", "412"}


# s3fs raises these by itself, from what it has found out.
_BUILTIN: tuple[tuple[type[OSError], type[StorageError], str], ...] = (
    (FileNotFoundError, ObjectNotFound, "nothing is stored at {where}"),
    (FileExistsError, ObjectExists, "{where} exists already"),
    (PermissionError, AccessDenied, "S3 does not give these credentials access to {where}"),
    (IsADirectoryError, NotAnObject, "{where} is a folder; name an object in it"),
)


def code_of(error: BaseException) -> str | None:
    """Return the S3 error code that an exception, or the one it was made from, carries."""
    for one in (error, error.__cause__):
        response: Any = getattr(one, "response", None)
        if isinstance(one, ClientError) and isinstance(response, dict):
            code = str(response.get("Error", {}).get("Code", ""))
            return code if _CODE.fullmatch(code) else "an unknown error"
    return None


def storage_error(error: BaseException, path: str, action: Action) -> ConnectorError:
    """Return the error of ours that says what `error` means.

    Args:
        error: one of `FOREIGN`.
        path: ``bucket/key``.
        action: what was being done; a condition that does not hold means another thing to a reader than to a writer.
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
            return kind(message.format(where=where, code=code, action=action))
    return StorageError(f"S3 refused to {action} {where} ({code})")


def _without_code(error: BaseException, where: str) -> ConnectorError:
    """Return our error for one in which no server's answer is: built in, or of a library on this side."""
    if isinstance(error, ProfileNotFound):
        return AccessDenied(f"the profile in the credentials of {where} is not one of this machine's")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)):
        return AccessDenied(f"the credentials of {where} are ambient, and this machine offers none that work")
    for builtin, kind, message in _BUILTIN:
        if isinstance(error, builtin):
            return kind(message.format(where=where))
    what = type(error).__name__
    if isinstance(error, _NONSENSE) and not isinstance(error, (BotoCoreError, HttpError, OSError)):
        return StorageUnavailable(f"S3's answer for {where} makes no sense ({what}); try again later")
    return StorageUnavailable(f"S3 cannot be reached for {where} ({what}); try again later")


def is_bug(error: Exception) -> bool:
    """Tell whether one of `FOREIGN` is a bug of ours, which is nothing that an answer does: no library raised it."""
    slips = (TypeError, LookupError, AttributeError, ArithmeticError)
    return isinstance(error, slips) and not is_of_library(error, "aiobotocore", "botocore", "s3fs", "aiohttp")


def attempt(path: str, action: Action, call: Callable[[], T]) -> T:
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
        ours = storage_error(error, path, action)
    raise ours
