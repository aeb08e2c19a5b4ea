"""The dialect of one object at a URL: what servers answer, and what their refusals mean.

The server may be any store's, or none's: the query tells whose rules its signature follows.
"""

from __future__ import annotations

import importlib.metadata
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connectors.errors import (
    AccessDenied,
    InvalidLocation,
    NotSupported,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.secrets import SecretText
from connectors.storage import (
    Failure,
    HttpClient,
    ObjectStore,
    Origin,
    QuerySigner,
    Request,
    Unsigned,
    expired,
    meaning,
    range_headers,
)
from connectors_https.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Action, FileBody, Headers, Limits
    from connectors_https.location import Place

__all__ = ["PresignedStore"]

_AGENT = f"enclave-connectors-https/{importlib.metadata.version('enclave-connectors-https')}"
_READ_HEADERS = {
    "accept-encoding": "identity",
    "x-amz-checksum-mode": "ENABLED",  # the only value that S3 knows
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
}
"""Headers that a signature may cover besides the host, with the values that were presumably signed."""
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,1000}"')
_EXPIRED_CODES = frozenset({"ExpiredToken", "RequestExpired", "ExpiredPresignRequest", "TokenRefreshRequired"})
_SKEWED = "RequestTimeTooSkewed RequestInTheFuture"
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,260}", re.ASCII)


class PresignedStore(ObjectStore):
    """The server of one object.

    Args:
        place: the object's location.
        query: the signed query, or None.
        limits: timeouts, or None for the defaults.

    Attributes:
        place: the object's location.
        signature: what the query says about itself.
    """

    name = "the server"
    meanings = (
        meaning(
            _SKEWED, AccessDenied, "the server refuses to {action} {where}: this machine's clock is wrong ({code})"
        ),
        meaning(
            "NoSuchBucket ContainerNotFound",
            ObjectNotFound,
            "the bucket or container of {where} does not exist ({code})",
        ),
    )

    def __init__(self, place: Place, query: SecretText | None, limits: Limits | None = None) -> None:
        self.place = place
        self.signature = Signature.of(None if query is None else query.reveal(), place.location)
        self._origin = Origin.of(f"{place.scheme}://{place.host}" + (f":{place.port}" if place.port else ""))
        signer = Unsigned() if query is None else QuerySigner(query, self.signature.expires_at, place.location)
        super().__init__(HttpClient(_AGENT, limits), signer)

    def shown(self, path: str) -> str:
        """Return the object's location."""
        return path

    def check_expiry(self) -> None:
        """Raise `CredentialsExpired` if the query expired longer ago than clocks differ."""
        if isinstance(self.signer, QuerySigner):
            self.signer.check_expiry()

    def known_headers(self, known: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the headers to send because the query's signature covers them.

        Args:
            known: the values of known headers, by lower-case name; None for those of a read.

        Raises:
            NotSupported: the signature covers another header besides the host.
        """
        known = _READ_HEADERS if known is None else known
        signed = self.signature.signed_headers - {"host"}
        unknown = signed - known.keys()
        if unknown:
            message = (
                f"the query for {self.place.location} was signed together with the headers "
                f"{', '.join(sorted(unknown))}, whose values are not known here; get a URL signed with the host alone"
            )
            raise NotSupported(message)
        return {name: known[name] for name in sorted(signed)}

    def read_request(self, path: str, span: str | None, validator: str | None) -> Request:  # noqa: ARG002 - one object
        """Return the request for the object's bytes."""
        etag = validator if _STRONG_ETAG.fullmatch(validator or "") else None  # it may be a time
        headers = self.known_headers() | range_headers(span, etag)
        return Request("GET", self._origin, SecretText(self.place.path), headers)

    def write_request(self, headers: Mapping[str, str], body: FileBody) -> Request:
        """Return the request that stores the object."""
        return Request("PUT", self._origin, SecretText(self.place.path), headers, body)

    def validator(self, headers: Headers) -> str:
        """Return the ETag, or else the Last-Modified header, or an empty string."""
        return headers.get("ETag", "") or headers.get("Last-Modified", "")

    def changes_bytes(self, headers: Headers) -> bool:
        """Return whether the body was recoded; a header that the query asked for changes no byte."""
        return not self.signature.renames_encoding and super().changes_bytes(headers)

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:
        """Return the code of Azure or S3 in an error response."""
        return headers.get("x-ms-error-code", "") or super().error_code(status, headers, body)

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means."""
        failure = super().refusal(status, code, path, action, headers)
        said, method = f"{status} {code}".strip(), "PUT" if action == "write" else "GET"
        error: StorageError | InvalidLocation
        match status:
            case _ if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
                error = self._redirected(headers, said)
            case _ if self._is_expiry(status, code):
                error = expired(path, self.signature.expires_at if self._is_over() else None, said)
            case 401 | 403 if code not in _SKEWED.split():
                error = AccessDenied(_denied(self.place.location, said, method) + self.signature.explanation(method))
            case 401 | 403 | 404 | 410:
                return failure
            case 412 if method == "GET":
                return failure
            case _:
                # The code is S3's response to one of two simultaneous conditional writes, which should be retried.
                transient = failure.transient or code == "ConditionalRequestConflict"
                why = self.signature.explanation(method) if status == HTTPStatus.BAD_REQUEST else ""
                error = StorageUnavailable(f"the server answered {said} to a {method} of {self.place.location}{why}")
                return Failure(error, transient, failure.pause, status, code)
        return Failure(error, status=status, code=code)

    def _is_expiry(self, status: int, code: str) -> bool:
        if status not in (400, 401, 403):
            return False
        if code in _EXPIRED_CODES:
            return True
        return self._is_over() and (status != HTTPStatus.BAD_REQUEST or code == "AuthenticationFailed")

    def _is_over(self) -> bool:
        ends = self.signature.expires_at
        return ends is not None and ends.timestamp() <= time.time()

    def _redirected(self, headers: Headers | None, said: str) -> InvalidLocation:
        """Return the error for a redirect, which is not followed because that would reveal the signed query."""
        target = _host_of(headers.get("Location", "") if headers is not None else "")
        if target is not None:
            where = f"redirects to {target} ({said}); if the object really is there, use that host in the location"
        else:
            where = f"answered {said}, a redirect without a valid target"
        return InvalidLocation(
            f"the server of {self.place.location} {where}. With S3, the host usually has the wrong region for the "
            "bucket. Redirects are not followed"
        )

    def invalid(self, path: str, what: str) -> StorageUnavailable:
        """Return the error for an invalid response."""
        return StorageUnavailable(f"the server of {path} {what}")


def _denied(location: str, said: str, method: str) -> str:
    other, done = ("PUT", "read") if method == "GET" else ("GET", "written")
    return (
        f"the server denies a {method} of {location} ({said}); a URL signed for {other} cannot be {done}, and the "
        "query must have been signed for exactly this location"
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
