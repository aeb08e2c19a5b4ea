"""Translates the errors of S3 and of the libraries for it into the errors of `connectors`.

s3fs converts most of botocore's errors into built-in ones and keeps the original as their cause; both forms are read.
Only an error's code is read, and a code is shown only if it looks like one: all other text is under the storage's
control.
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
    NotSupported,
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

__all__ = ["LIBRARY_ERRORS", "NO_SUCH_UPLOAD", "Action", "attempt", "code_of", "is_bug", "storage_error"]

Action = Literal["read", "write", "list"]

T = TypeVar("T")

_INVALID = (ResponseParserError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
"""The errors of botocore and s3fs for an invalid response: no XML, an unreadable number or time, a missing member."""

LIBRARY_ERRORS = (BotoCoreError, ClientError, HttpError, OSError, *_INVALID)
"""The errors that the libraries raise for a failed request; timeouts are among them as OSError."""

NO_SUCH_UPLOAD = "NoSuchUpload"
"""The error code of S3 for a multipart upload that does not exist, or no longer exists."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,63}|[0-9]{3}")

# Amazon S3 API Reference, "Error responses"; a HEAD has no body, so its code is only the status. The meaning of
# a failed condition depends on the action, so it is not listed here.
_MEANINGS: tuple[tuple[frozenset[str], type[StorageError], str], ...] = (
    (frozenset({"NoSuchBucket"}), ObjectNotFound, "there is no such bucket: {where}"),
    (
        frozenset({"NoSuchKey", "NoSuchVersion", "NotFound", "404"}),
        ObjectNotFound,
        "nothing is stored at {where}",
    ),
    (
        frozenset({NO_SUCH_UPLOAD}),
        StorageUnavailable,
        (
            "the upload of {where} no longer exists ({code}): it was aborted, or completed by a request whose response "
            "was lost; check whether the object exists"
        ),
    ),
    (
        frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}),
        CredentialsExpired,
        "the credentials for {where} have expired ({code}); get new ones",
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
        "{where} is in another region or at another endpoint; set region or endpoint_url in the credentials ({code})",
    ),
    (frozenset({"InvalidObjectState"}), StorageError, "{where} is archived; restore it first ({code})"),
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

# s3fs raises these itself, without an error response.
_BUILTIN: tuple[tuple[type[OSError], type[StorageError], str], ...] = (
    (FileNotFoundError, ObjectNotFound, "nothing is stored at {where}"),
    (FileExistsError, ObjectExists, "{where} already exists"),
    (PermissionError, AccessDenied, "S3 does not give these credentials access to {where}"),
    (IsADirectoryError, NotAnObject, "{where} is a folder; name an object in it"),
)


def code_of(error: BaseException) -> str | None:
    """Return the S3 error code of an exception or of its cause."""
    for one in (error, error.__cause__):
        response: Any = getattr(one, "response", None)
        if isinstance(one, ClientError) and isinstance(response, dict):
            code = str(response.get("Error", {}).get("Code", ""))
            return code if _CODE.fullmatch(code) else "an unknown error"
    return None


def storage_error(error: BaseException, path: str, action: Action) -> ConnectorError:
    """Return our error for `error`.

    Args:
        error: one of `LIBRARY_ERRORS`.
        path: ``bucket/key``.
        action: what was being done; a failed condition means one thing to a reader and another to a writer.
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
            return kind(message.format(where=where, code=code, action=action))
    return StorageError(f"S3 refused to {action} {where} ({code})")


# Event loops raise NotImplementedError: gevent's patches leave asyncio without a part, and fsspec's loop would wait for
# itself.
_NO_LOOP = (
    "S3's client cannot run in this process, for {where}: its event loop lacks what the client needs; "
    "do not patch the standard library with gevent, or read from a signed https URL"
)
_LOOP = (
    "{where} cannot be used from code that runs in fsspec's own event loop, which S3's client needs: call it in a "
    "thread, as with asyncio.to_thread, or run the coroutine in another loop, as with asyncio.run; if gevent has "
    "patched the standard library, every thread is in that loop: do not patch it, or read from a signed https URL"
)


def _without_code(error: BaseException, where: str) -> ConnectorError:
    """Return our error for one that has no error response: a built-in one, or one that a library raised by itself."""
    if isinstance(error, ProfileNotFound):
        return AccessDenied(f"the profile in the credentials for {where} does not exist on this machine")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)):
        return AccessDenied(f"the credentials for {where} are ambient, but this machine provides none that work")
    for builtin, kind, message in _BUILTIN:
        if isinstance(error, builtin):
            return kind(message.format(where=where))
    name = type(error).__name__
    if isinstance(error, NotImplementedError):
        return NotSupported(_LOOP.format(where=where) if "running loop" in str(error) else _NO_LOOP.format(where=where))
    if isinstance(error, _INVALID) and not isinstance(error, (BotoCoreError, HttpError, OSError)):
        return StorageUnavailable(f"S3 sent an invalid response for {where} ({name}); try again later")
    return StorageUnavailable(f"S3 cannot be reached for {where} ({name}); try again later")


def is_bug(error: Exception) -> bool:
    """Return whether one of `LIBRARY_ERRORS` is our own bug and not due to a response: no library raised it."""
    bugs = (TypeError, LookupError, AttributeError, ArithmeticError)
    return isinstance(error, bugs) and not is_of_library(error, "aiobotocore", "botocore", "s3fs", "aiohttp")


def attempt(path: str, action: Action, call: Callable[[], T]) -> T:
    """Return the result of `call`, and raise its errors as ours.

    This is a function and not a context manager because it can raise outside the handler: otherwise the library's
    error, whose attributes hold the request and its signature, would be the context of ours.
    """
    try:
        return call()
    except ConnectorError:
        raise
    except LIBRARY_ERRORS as error:
        if is_bug(error):
            raise
        ours = storage_error(error, path, action)
    raise ours
