"""Translates error responses into the errors of `connectors`, without quoting the server's messages."""

from __future__ import annotations

import email.utils
import http.client
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3.exceptions

from connectors.errors import (
    AccessDenied,
    CredentialsExpired,
    InvalidLocation,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from datetime import datetime

    from urllib3 import BaseHTTPResponse

    from connectors_https.location import Place
    from connectors_https.signature import Signature

__all__ = ["SKEW", "Failure", "excerpt", "expired", "refusal"]

SKEW = 300.0
"""Seconds by which clocks may differ: S3 allows 15 minutes, Azure less; an enclave's clock is its host's."""
_ERROR_BODY = 1 << 16
"""The most bytes of an error's body that are read to find its code."""
_REDIRECTS = range(300, 400)
_TAKEN = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_XML_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")
_CODE = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)
_EXPIRED_CODES = frozenset({"ExpiredToken", "RequestExpired", "ExpiredPresignRequest", "TokenRefreshRequired"})
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
_NO_CONTAINER = frozenset({"NoSuchBucket", "ContainerNotFound"})
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,260}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed.

    Attributes:
        error: what to raise.
        transient: whether a retry may succeed.
        pause: the server's Retry-After in seconds, or None.
    """

    error: StorageError | InvalidLocation
    transient: bool = False
    pause: float | None = None


def expired(place: Place, ended: datetime) -> CredentialsExpired:
    """Return the error for an expired query."""
    message = (
        f"the signed query for {place.location} expired at {ended:%Y-%m-%d %H:%M:%S} UTC; "
        "get a newly signed URL, update the credentials, and call Dataset.refresh()"
    )
    return CredentialsExpired(message)


def refusal(
    response: BaseHTTPResponse, place: Place, signature: Signature, *, method: str, exclusive: bool = False
) -> Failure:
    """Return the failure that an error response means."""
    status, code = response.status, _code(response)
    said = f"{status} {code}" if code else str(status)
    location = place.location
    if status in _REDIRECTS:
        return Failure(_redirected(response, location, said))
    if _is_expiry(status, code, signature):
        if signature.expires_at is not None and signature.expires_at.timestamp() <= time.time():
            return Failure(expired(place, signature.expires_at))
        message = (
            f"the session that signed the query for {location} has expired ({said}); "
            "get a newly signed URL, update the credentials, and call Dataset.refresh()"
        )
        return Failure(CredentialsExpired(message))
    # S3's response to one of two simultaneous conditional writes, which should be retried.
    conflict = code == "ConditionalRequestConflict"
    if exclusive and status in _TAKEN and not conflict:
        return Failure(ObjectExists(f"{location} already exists, and mode 'xb' does not replace it ({said})"))
    error: StorageError
    match status:
        case 403 if code in _SKEWED:
            error = AccessDenied(f"the server refuses a {method} of {location}: this machine's clock is wrong ({said})")
        case 401 | 403:
            error = AccessDenied(_denied(location, said, method) + signature.explanation(method))
        case 404 | 410 if code in _NO_CONTAINER:
            error = ObjectNotFound(f"the bucket or container of {location} does not exist ({said})")
        case 404 | 410:
            error = ObjectNotFound(f"nothing is stored at {location} ({said})")
        case 412 if method == "GET":
            error = ObjectChanged(f"{location} was replaced while it was being read; open it again ({said})")
        case _:
            why = signature.explanation(method) if status == HTTPStatus.BAD_REQUEST else ""
            error = StorageUnavailable(f"the server answered {said} to a {method} of {location}{why}")
    transient = status in _TRANSIENT or conflict
    return Failure(error, transient=transient, pause=_retry_after(response) if transient else None)


def _is_expiry(status: int, code: str, signature: Signature) -> bool:
    if status not in (400, 401, 403):
        return False
    if code in _EXPIRED_CODES:
        return True
    over = signature.expires_at is not None and signature.expires_at.timestamp() <= time.time()
    return over and (status != HTTPStatus.BAD_REQUEST or code == "AuthenticationFailed")


def _denied(location: str, said: str, method: str) -> str:
    other, done = ("PUT", "read") if method == "GET" else ("GET", "written")
    return (
        f"the server denies a {method} of {location} ({said}); a URL signed for {other} cannot be {done}, and the "
        "query must have been signed for exactly this location"
    )


def _redirected(response: BaseHTTPResponse, location: str, said: str) -> InvalidLocation:
    """Return the error for a redirect, which is not followed because that would reveal the signed query."""
    target = _host_of(response.headers.get("Location", ""))
    if target is not None:
        where = f"redirects to {target} ({said}); if the object really is there, use that host in the location"
    else:
        where = f"answered {said}, a redirect without a valid target"
    return InvalidLocation(
        f"the server of {location} {where}. With S3, the host usually has the wrong region for the bucket. "
        "Redirects are not followed"
    )


def _host_of(url: str) -> str | None:
    """Return the scheme and host of a redirect's target, without the rest, which may hold anything."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return None
    return f"{parts.scheme}://{host}"


def _code(response: BaseHTTPResponse) -> str:
    """Return the error's code, or an empty string if it has none that looks like a code."""
    named = response.headers.get("x-ms-error-code", "")
    if _CODE.fullmatch(named):
        return named
    found = _XML_CODE.search(excerpt(response))
    return found[1].decode() if found else ""


def excerpt(response: BaseHTTPResponse) -> bytes:
    """Return the start of an error's body, which must not be shown; call this only once per response."""
    pieces: list[bytes] = []
    left = _ERROR_BODY
    try:
        while left and (piece := response.read1(left, decode_content=False)):
            pieces.append(piece)
            left -= len(piece)
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
        # The status says enough without the rest of the body.
        return b"".join(pieces)
    return b"".join(pieces)


def _retry_after(response: BaseHTTPResponse) -> float | None:
    """Return the server's Retry-After in seconds, or None."""
    text = response.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
