"""The JSON API's dialect, as far as all requests share it: targets, versions, and what refusals mean.

Cloud Storage documentation, "JSON API overview" and "Retry strategy".
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from connectors.errors import CredentialsExpired, InvalidLocation, ObjectNotFound, StorageUnavailable
from connectors.secrets import SecretText
from connectors.storage import BearerSigner, ObjectStore, Request, meaning, query_of, split_path
from connectors_gcs.location import LOCATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Action, Failure, Headers, HttpClient, Origin, Signer

__all__ = [
    "CONTENT_TYPE",
    "DONE",
    "GONE",
    "MAX_RESPONSE",
    "UPLOAD",
    "GcsApi",
    "members_of",
    "objects_of",
    "resource_of",
]

CONTENT_TYPE = "application/octet-stream"
DONE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})
"""The statuses of an upload that has created its object."""
GONE = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""The statuses after which nothing is left to remove."""
UPLOAD = "/upload/storage/v1"
"""The start of the targets of uploads."""

MAX_RESPONSE = 7 << 20
"""Bytes in the largest response: a page of 1,000 objects. Their names have 1,024 bytes at most ("About Cloud Storage
objects"), of each of which JSON makes six characters at most; their other members have some 500 bytes."""
_MAX_VALUES = 100_000
"""JSON's values in the largest response: 1,000 objects with a hundred members each, although seven are requested. Seven
MiB of empty objects would take twenty-four times as much memory."""
_STRING_OR_VALUE = re.compile(rb'"(?:[^"\\]++|\\.)*+"|([,\[{])', re.DOTALL)
_RATE_LIMITS = "rateLimitExceeded userRateLimitExceeded quotaExceeded backendError"
"""Reasons that may come with status 403, and pass."""
_TRY_LATER = "{store} cannot {action} {where} now ({code}); try again later"
_NO_BUCKET = "bucketNotFound"
"""A code of this module's own: Google's reason is `notFound` for buckets and objects."""
_GENERATION = re.compile(r"[0-9]{1,20}", re.ASCII)


class GcsApi(ObjectStore):
    """Requests of the JSON API to one server.

    Args:
        client: sends the requests.
        signer: authorises them.
        origin: the server.
        billed: the project that is billed for them, or None.
    """

    name = "Google Cloud Storage"
    meanings = (
        meaning(_RATE_LIMITS, StorageUnavailable, _TRY_LATER, transient=True),
        meaning(_NO_BUCKET, ObjectNotFound, "there is no such bucket: {where}"),
    )

    def __init__(self, client: HttpClient, signer: Signer, origin: Origin, billed: str | None = None) -> None:
        super().__init__(client, signer)
        self.origin = origin
        self.billed = billed

    def request(
        self,
        method: str,
        resource: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        root: str = "/storage/v1",
        **parameters: str | int | None,
    ) -> Request:
        """Return a request, unsigned; parameters of the query that are None are left out."""
        query = query_of(parameters | {"userProject": self.billed})
        return Request(method, self.origin, SecretText(f"{root}{resource}{query}"), headers or {}, body)

    def read_request(self, path: str, span: str | None, validator: str | None) -> Request:
        """Return the request for an object's bytes, of one generation if `validator` names it."""
        # Without this header, the storage decompresses objects stored as gzip, and ignores the range.
        headers = {"Accept-Encoding": "gzip", **({"Range": span} if span else {})}
        return self.request("GET", resource_of(path), headers, alt="media", ifGenerationMatch=validator)

    def shown(self, path: str) -> str:
        """Return the location of ``bucket/key`` for messages."""
        return LOCATION.shown(path)

    def validator(self, headers: Headers) -> str | None:
        """Return the object's generation."""
        generation = headers.get("x-goog-generation", "")
        return generation if _GENERATION.fullmatch(generation) else None

    def changes_bytes(self, headers: Headers) -> bool:
        """Return whether the object was recoded on the way; one that is stored as gzip comes as gzip."""
        stored = headers.get("x-goog-stored-content-encoding", "identity")
        return headers.get("Content-Encoding", "identity") != stored

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002 - the engine's signature
        """Return the reason's code in an error's JSON."""
        if status == HTTPStatus.NOT_FOUND and b"bucket does not exist" in body:
            return _NO_BUCKET
        try:
            error = json.loads(body)["error"]
            reason = error if isinstance(error, str) else error["errors"][0]["reason"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ""
        return reason if isinstance(reason, str) else ""

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means."""
        if status == HTTPStatus.NOT_FOUND and action in ("write", "list"):
            code = _NO_BUCKET
        failure = super().refusal(status, code, path, action, headers)
        given = isinstance(self.signer, BearerSigner) and not self.signer.renewable
        if given and status == HTTPStatus.UNAUTHORIZED:
            said = f"{status} {code}".strip()
            message = f"the token for {self.shown(path)} has expired or was revoked ({said}); get a new one"
            return dataclasses.replace(failure, error=CredentialsExpired(message))
        return failure


def objects_of(path: str) -> str:
    """Return the resource of the objects in the bucket of ``bucket/key``. Raises as `resource_of` does."""
    parts = split_path(path)
    if {".", ".."} & set(parts):
        message = f"{LOCATION.shown(path)} has a part . or .., with which a server or proxy can reach something else"
        raise InvalidLocation(message)
    return f"/b/{quote(parts[0], safe='')}/o"


def resource_of(path: str) -> str:
    """Return the resource of the object ``bucket/key``.

    Raises:
        InvalidLocation: the bucket or the key is a segment that servers and proxies resolve.
    """
    return f"{objects_of(path)}/{quote(split_path(path)[1], safe='')}"


def members_of(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object's members, or None if `body` is not one, or is larger than Google's can be."""
    if len(body) > MAX_RESPONSE or _has_too_many_values(body):
        return None
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _has_too_many_values(body: bytes) -> bool:
    """Return whether JSON has more values than Google sends: each is the first in something, or comes after a comma."""
    if sum(map(body.count, (b",", b"[", b"{"))) < _MAX_VALUES:
        return False
    values = (found.lastindex for found in _STRING_OR_VALUE.finditer(body))  # what is in a string is no value
    return next(itertools.islice(filter(None, values), _MAX_VALUES, None), None) is not None
