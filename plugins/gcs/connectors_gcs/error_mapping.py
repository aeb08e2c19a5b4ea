"""What Google Cloud Storage answers and urllib3 raises, as the errors of `connectors`: the one place for it.

Only a status and the reason's code are looked at, and only what looks like a code is shown: the rest is text of the
storage's.
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

__all__ = ["Action", "Endless", "Failure", "broken", "reason_of", "refusal"]

Action = Literal["read", "write", "list", "upload"]
"""What was being done; `upload` is what continues a write that has a session."""

_REASON = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# Cloud Storage documentation, "Retry strategy", "Retryable responses".
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_RATE_LIMITS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "backendError"})
_NO_BUCKET = b"bucket does not exist"

_Meaning = tuple[type[StorageError], str]
_TRY_LATER: _Meaning = (StorageUnavailable, "Google Cloud Storage cannot {verb} {where} now ({code}); try again later")


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that did not do what it was to do.

    Attributes:
        error: what to raise.
        transient: whether another try may do better.
    """

    error: ConnectorError
    transient: bool = False


class Endless(Exception):
    """An answer has more bytes than its question allows."""


def reason_of(body: bytes) -> str | None:
    """Return the code of the reason in an error's page, if there is one that looks like a code."""
    try:
        error = json.loads(body)["error"]
        reason = error if isinstance(error, str) else error["errors"][0]["reason"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return reason if isinstance(reason, str) and _REASON.fullmatch(reason) else None


def refusal(status: int, body: bytes, path: str, action: Action, *, renewable: bool) -> Failure:
    """Return what an answer that is no success comes to.

    Args:
        status: the HTTP status.
        body: the page that came with it.
        path: ``bucket/key``.
        action: what was being done; a condition that does not hold means another thing to a reader than to a writer.
        renewable: whether the credentials get tokens of their own; a token that was given can only have expired.
    """
    reason = reason_of(body)
    transient = status in _TRANSIENT or (status == HTTPStatus.FORBIDDEN and reason in _RATE_LIMITS)
    kind, message = _TRY_LATER if transient else _final(status, body, action, renewable=renewable)
    code = f"{status} {reason}" if reason else str(status)
    verb = "write" if action == "upload" else action
    return Failure(kind(message.format(where=shown(path), code=code, verb=verb)), transient=transient)


def _final(status: int, body: bytes, action: Action, *, renewable: bool) -> _Meaning:
    """Return the kind and the text of the error for a status that another try would not change."""
    meaning: _Meaning = (StorageError, "Google Cloud Storage refused to {verb} {where} ({code})")
    match status:
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE if action == "upload":
            meaning = StorageUnavailable, "the upload of {where} is gone ({code}), cancelled or too old; write it anew"
        case HTTPStatus.NOT_FOUND if action == "write" or _NO_BUCKET in body:
            meaning = ObjectNotFound, "there is no such bucket: {where}"
        case HTTPStatus.NOT_FOUND:
            meaning = ObjectNotFound, "nothing is stored at {where}"
        case HTTPStatus.PRECONDITION_FAILED if action in ("write", "upload"):
            meaning = ObjectExists, "{where} exists already, and it was to be created ({code})"
        case HTTPStatus.PRECONDITION_FAILED:
            meaning = ObjectChanged, "{where} was exchanged while it was being read; open it again ({code})"
        case HTTPStatus.UNAUTHORIZED if not renewable:
            meaning = CredentialsExpired, "the token for {where} has expired or was withdrawn ({code}); have it renewed"
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            meaning = AccessDenied, "Google Cloud Storage does not let these credentials {verb} {where} ({code})"
        case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            meaning = StorageError, "{where} is served elsewhere, where nothing is sent; check endpoint_url ({code})"
    return meaning


def broken(error: BaseException, path: str) -> Failure:
    """Return what a failed connection comes to, in words that hold nothing of the request."""
    where = shown(path)
    while isinstance(error, (urllib3.exceptions.ProtocolError, urllib3.exceptions.SSLError)) and error.args:
        inner = error.args[-1]
        if not isinstance(inner, BaseException):
            break
        error = inner
    if isinstance(error, Endless):
        message = f"Google Cloud Storage answered with more than was asked for, about {where}"
        return Failure(StorageUnavailable(message))
    if isinstance(error, ssl.SSLCertVerificationError):
        message = (
            f"the TLS certificate of the server for {where} does not verify: somebody may be standing between, "
            "or the enclave lacks the authority that signed it"
        )
        return Failure(StorageUnavailable(message))
    name = type(error).__name__
    message = f"Google Cloud Storage cannot be reached for {where} ({name}); try again later"
    return Failure(StorageUnavailable(message), transient=True)
