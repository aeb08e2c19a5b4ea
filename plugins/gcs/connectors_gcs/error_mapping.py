"""Translates error responses of Google Cloud Storage, and urllib3's errors, into the errors of `connectors`.

Only the status and the reason's code are read, and a code is shown only if it looks like one: all other text is under
the storage's control.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

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
from connectors_gcs.location import shown

__all__ = ["Action", "Failure", "ResponseTooLarge", "broken", "reason_of", "refusal"]

Action = Literal["read", "write", "list", "upload"]
"""What was being done; `upload` is a request of a resumable upload that is already open."""

_REASON = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# Cloud Storage documentation, "Retry strategy", "Retryable responses".
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_RATE_LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "backendError"})
_NO_BUCKET = b"bucket does not exist"

_Meaning = tuple[type[StorageError], str]
_TRY_LATER: _Meaning = (StorageUnavailable, "Google Cloud Storage cannot {verb} {where} now ({code}); try again later")


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed.

    Attributes:
        error: what to raise.
        transient: whether a retry may succeed.
    """

    error: ConnectorError
    transient: bool = False


class ResponseTooLarge(Exception):
    """A response has more bytes than the request allows."""


def reason_of(body: bytes) -> str | None:
    """Return the reason's code from an error's body, or None if it has none that looks like a code."""
    try:
        error = json.loads(body)["error"]
        reason = error if isinstance(error, str) else error["errors"][0]["reason"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else None


def refusal(status: int, body: bytes, path: str, action: Action, *, renewable: bool) -> Failure:
    """Return the failure that an error response means.

    Args:
        status: the HTTP status.
        body: the response's body.
        path: ``bucket/key``.
        action: what was being done; a failed precondition means one thing to a reader and another to a writer.
        renewable: whether the credentials can get new tokens; a token from the document can only have expired.
    """
    reason = reason_of(body)
    transient = status in _TRANSIENT or (status == HTTPStatus.FORBIDDEN and reason in _RATE_LIMITS)
    kind, message = _TRY_LATER if transient else _final(status, body, action, renewable=renewable)
    code = f"{status} {reason}" if reason else str(status)
    verb = "write" if action == "upload" else action
    return Failure(kind(message.format(where=shown(path), code=code, verb=verb)), transient=transient)


def _final(status: int, body: bytes, action: Action, *, renewable: bool) -> _Meaning:
    """Return the type and the message of the error for a status that a retry would not change."""
    meaning: _Meaning = (StorageError, "Google Cloud Storage refused to {verb} {where} ({code})")
    match status:
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE if action == "upload":
            meaning = StorageUnavailable, "the upload of {where} was cancelled or has expired ({code}); write it again"
        case HTTPStatus.NOT_FOUND if action == "write" or _NO_BUCKET in body:
            meaning = ObjectNotFound, "there is no such bucket: {where}"
        case HTTPStatus.NOT_FOUND:
            meaning = ObjectNotFound, "nothing is stored at {where}"
        case HTTPStatus.PRECONDITION_FAILED if action in ("write", "upload"):
            meaning = ObjectExists, "{where} already exists, and mode 'xb' does not replace it ({code})"
        case HTTPStatus.PRECONDITION_FAILED:
            meaning = ObjectChanged, "{where} was replaced while it was being read; open it again ({code})"
        case HTTPStatus.UNAUTHORIZED if not renewable:
            meaning = CredentialsExpired, "the token for {where} has expired or was revoked ({code}); get a new one"
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            meaning = AccessDenied, "Google Cloud Storage does not let these credentials {verb} {where} ({code})"
        case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            meaning = StorageError, "{where} is redirected, and redirects are not followed; check endpoint_url ({code})"
    return meaning


def broken(error: BaseException, path: str) -> Failure:
    """Return the failure that a broken connection means; its message holds nothing of the request."""
    where = shown(path)
    while isinstance(error, (urllib3.exceptions.ProtocolError, urllib3.exceptions.SSLError)) and error.args:
        inner = error.args[-1]
        if not isinstance(inner, BaseException):
            break
        error = inner
    if isinstance(error, ResponseTooLarge):
        message = f"Google Cloud Storage sent a larger response than was requested for {where}"
        return Failure(StorageUnavailable(message))
    if isinstance(error, ssl.SSLCertVerificationError):
        message = (
            f"the TLS certificate of the server for {where} cannot be verified: the connection may be intercepted, "
            "or the enclave does not know the authority that signed the certificate"
        )
        return Failure(StorageUnavailable(message))
    name = type(error).__name__
    message = f"Google Cloud Storage cannot be reached for {where} ({name}); try again later"
    return Failure(StorageUnavailable(message), transient=True)
