"""The dialect of Amazon S3 and compatible stores: the REST API of the Amazon S3 API Reference."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.metadata
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote
from xml.sax.saxutils import escape

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    InvalidLocation,
    ObjectChanged,
    ObjectNotFound,
    StorageUnavailable,
)
from connectors.secrets import SecretText
from connectors.storage import (
    BucketStore,
    Failure,
    HttpClient,
    Listed,
    Request,
    Unsigned,
    parse_xml,
    query_of,
    range_headers,
    size_of,
    split_path,
    text_at,
    texts_at,
)
from connectors_s3.error_codes import MEANINGS, NO_SUCH_UPLOAD
from connectors_s3.headers import NO_PROPERTIES, copied_key, customer_key, only_new, user_metadata, user_metadata_in
from connectors_s3.hosts import Hosts
from connectors_s3.listing import code_at, http_time, in_xml, page_of
from connectors_s3.location import LOCATION
from connectors_s3.regions import REGION
from connectors_s3.sessions import DEFAULT_REGION, from_machine, open_session
from connectors_s3.signer import SigV4Signer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from connectors.secrets import Hidden
    from connectors.storage import Action, Headers, Page, Reply
    from connectors_s3.credentials import S3Credentials

__all__ = ["S3Store"]

_AGENT = f"enclave-connectors-s3/{importlib.metadata.version('enclave-connectors-s3')}"
_LOG = logging.getLogger(__name__)
_DELETED_AT_ONCE = 1000
"""Objects that one request can remove: Amazon S3 API Reference, "DeleteObjects"."""
_MAX_COPY = 5 << 30
"""Bytes that one request can copy: from the same reference, "CopyObject"."""
_PATIENCE = 3600.0
"""Seconds for S3 to put the parts of an object together, or to copy one."""
_COPY_PART = 1 << 30
"""Bytes in the parts of a larger copy."""


class S3Store(BucketStore):
    """One account's buckets.

    Args:
        credentials: the account's.
    """

    name = "S3"
    location = LOCATION
    meanings = MEANINGS
    conditions: ClassVar[frozenset[str]] = frozenset({"PreconditionFailed"})
    keeps_properties = True

    def __init__(self, credentials: S3Credentials) -> None:
        self._credentials = credentials
        self.endpoint = credentials.endpoint_url or "AWS"
        self._session: Any = None
        self._found_hosts: Hosts | None = None
        # What S3 said: the regions of buckets, and of the hosts for them.
        self._regions: dict[str, str] = {}
        self._signed_for: dict[str, str] = {}
        signer = Unsigned() if credentials.anonymous else SigV4Signer(self._find_credentials, self._region_of)
        super().__init__(HttpClient(_AGENT), signer)

    # Who asks, and where.

    def _hosts(self) -> Hosts:
        if self._found_hosts is None:
            self._session = from_machine(lambda: open_session(self._credentials))
            self._found_hosts = from_machine(lambda: Hosts(self._credentials, self._session))
        return self._found_hosts

    def _find_credentials(self) -> Any:
        self._hosts()
        return from_machine(self._session.get_credentials)

    def _region_of(self, request: Request) -> str:
        """Return the region to sign a request for: what S3 said about the bucket, or the configured one."""
        return self._signed_for.get(request.origin.authority) or self._hosts().region or DEFAULT_REGION

    def routed(self, request: Request, path: str) -> Request:
        """Return the request for the bucket's region, as far as S3 has said which it is."""
        bucket = split_path(path)[0]
        if bucket in self._regions:
            origin, _ = self._hosts().place(bucket, self._regions[bucket])
            request = dataclasses.replace(request, origin=origin)
        return request

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
        *,
        secrets: Hidden | None = None,
        **query: str | int | None,
    ) -> Request:
        """Return a request for ``bucket/key``, a bucket or the account, without the query's members that are None."""
        bucket, key = split_path(path)
        origin, target = self._hosts().place(bucket)
        target = f"{target}/{quote(key, safe='/~')}" if key or not target else target
        target += query_of({name.replace("_", "-"): value for name, value in query.items()})
        if {".", ".."} & set(path.split("/")):
            message = f"{self.shown(path)} has a segment . or .., with which a server or proxy can reach another object"
            raise InvalidLocation(message)
        payer = {"x-amz-request-payer": "requester"} if self._credentials.requester_pays else {}
        return Request(method, origin, SecretText(target), {**payer, **(headers or {})}, body, secrets)

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means; a bucket in another region is asked for there, once."""
        failure = super().refusal(status, code, path, action, headers)
        told = headers.get("x-amz-bucket-region", "") if headers is not None else ""
        hosts, bucket = self._hosts(), split_path(path)[0]
        hosts.heard(headers)
        if not hosts.is_aws or not bucket or not REGION.fullmatch(told):
            return failure
        if self._regions.get(bucket, hosts.region or DEFAULT_REGION) == told:
            return failure
        self._signed_for[hosts.place(bucket, told)[0].authority] = told
        self._regions[bucket] = told
        return Failure(failure.error, transient=True, status=status, code=code)

    def changes_bytes(self, headers: Headers) -> bool:  # noqa: ARG002 - the header is the object's, and S3 never applies it
        """Return False."""
        return False

    @property
    def creates_exclusively(self) -> bool:
        """Whether the server is known to decide which creator of an object wins, as far as it has responded."""
        return self._hosts().creates_exclusively

    # Reading.

    def read_request(self, path: str, span: str | None, validator: str | None) -> Request:
        """Return the request for an object's bytes."""
        return self._request("GET", path, range_headers(span, validator), secrets=self._customer_key)

    def properties(self, headers: Headers) -> Mapping[str, str]:
        """Return the object's user metadata."""
        return user_metadata_in(headers)

    def describe(self, path: str) -> Listed:
        """Return the object at a path. A 200 without an ETag is not a store's, but that of something before it."""
        return self._described(path)[0]

    def _described(self, path: str) -> tuple[Listed, Mapping[str, str]]:
        """Return the object at a path, and its user metadata."""
        headers = self.call(self._request("HEAD", path, secrets=self._customer_key), path, "read").headers

        def read() -> Listed:
            etag = self.validator(headers)
            if etag is None:
                raise ValueError
            facts = {"etag": etag, "modified": http_time(headers.get("Last-Modified", ""))}
            return Listed(split_path(path)[1], size_of(headers.get("Content-Length", "")), facts=facts)

        return self.valid(path, read, "sent no size, no version, or an invalid time,"), self.properties(headers)

    def list_page(self, path: str, prefix: str, delimiter: str, token: str | None, most: int | None) -> Page:
        """Return a page of the objects in a bucket."""
        request = self._request(
            "GET",
            split_path(path)[0],
            list_type=2,
            prefix=prefix,
            delimiter=delimiter or None,
            continuation_token=token,
            max_keys=most,
            encoding_type="url",
        )
        reply = self.call(request, path, "list")
        try:
            return page_of(parse_xml(reply.body))
        except UnicodeError:
            problem = "sent a listing with names that are not Unicode,"
        except ValueError as error:
            problem = f"sent an invalid listing: {error}"
        raise self.invalid(path, problem)

    def buckets(self) -> list[str]:
        """Return the names of the account's buckets."""
        reply = self.call(self._request("GET", ""), "", "list")
        what = "sent an invalid list of buckets"
        root = self.valid("", lambda: parse_xml(reply.body, "ListAllMyBucketsResult"), what)
        return list(texts_at(root, "Buckets/Bucket/Name"))

    def _xml(self, path: str, reply: Reply) -> Element:
        return self.valid(path, lambda: parse_xml(reply.body))

    # Writing.

    def put(
        self, path: str, data: memoryview, *, exclusive: bool, properties: Mapping[str, str] = NO_PROPERTIES
    ) -> None:
        """Write an object in one request."""
        headers = {**self._written_as, **user_metadata(properties), **only_new(exclusive)}
        request = self._request("PUT", path, headers, data, secrets=self._customer_key)
        reply = self.call(request, path, "write")
        if b"<Error>" in reply.body:
            raise self.refusal(HTTPStatus.OK, code_at(self._xml(path, reply)), path, "write").error
        self._told(path, reply.headers.get("ETag") or "", "ETag")

    def start_upload(
        self,
        path: str,
        *,
        exclusive: bool,  # noqa: ARG002 - the condition is for the end
        properties: Mapping[str, str] = NO_PROPERTIES,
    ) -> str:
        """Start a multipart upload; return its ID."""
        headers = {**self._written_as, **user_metadata(properties)}
        request = self._request("POST", path, headers, b"", secrets=self._customer_key, uploads="")
        reply = self.call(request, path, "write")
        return self._told(path, text_at(self._xml(path, reply), "UploadId"), "UploadId")

    def send_part(self, path: str, upload: str, number: int, data: memoryview, *, last: bool) -> str:  # noqa: ARG002
        """Send a part; return its ETag."""
        key = self._customer_key
        request = self._request("PUT", path, None, data, secrets=key, partNumber=number, uploadId=upload)
        return self._told(path, self.call(request, path, "write").headers.get("ETag", ""), "ETag")

    def complete_upload(self, path: str, upload: str, parts: list[str], *, exclusive: bool) -> None:
        """Create the object from its parts."""
        named = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(parts, 1)
        )
        body = f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{named}</CompleteMultipartUpload>'
        headers, key = only_new(exclusive), self._customer_key
        request = self._request("POST", path, headers, body.encode(), secrets=key, uploadId=upload)
        self._finish(request, path, "write")

    def _finish(self, request: Request, path: str, action: Action) -> str:
        """Send a request whose status does not show success, because S3 sends it before it has done the work.

        Returns:
            The ETag of what was written.
        """
        # Meanwhile it sends white space, for minutes perhaps.
        request, policy = dataclasses.replace(request, patience=_PATIENCE), self.retry_policy()
        while True:
            root = self._xml(path, self.call(request, path, action))
            if root.tag != "Error":
                return self._told(path, text_at(root, "ETag"), "ETag")
            self.wait(self.refusal(HTTPStatus.OK, code_at(root), path, action), policy)

    def _told(self, path: str, value: str, member: str) -> str:
        if not value:
            message = (
                f"S3 sent an invalid response to an upload of {self.shown(path)}: it has no {member}, and the object "
                "may not have been written; write it again"
            )
            raise StorageUnavailable(message)
        return value

    def abort_upload(self, path: str, upload: str) -> None:
        """Drop the parts that were sent."""
        accept = (HTTPStatus.OK, HTTPStatus.NO_CONTENT)
        outcome = self.attempt(self._request("DELETE", path, uploadId=upload), path, "write", accept=accept)
        if isinstance(outcome, Failure) and outcome.code != NO_SUCH_UPLOAD:
            if not outcome.transient:
                raise outcome.error
            self.call(self._request("DELETE", path, uploadId=upload), path, "write", accept=(*accept, 404))

    @property
    def _customer_key(self) -> Hidden | None:
        """The headers of requests for objects that S3 encrypts with the customer's key."""
        key = self._credentials.customer_key
        return None if key is None else customer_key(key)

    @property
    def _written_as(self) -> dict[str, str]:
        """The headers of the request that starts to write an object."""
        return self._credentials.object_headers

    # Whole objects.

    def remove(self, path: str) -> None:
        """Remove an object; S3 itself does not say whether there was one."""
        try:
            self.describe(path)
        except ObjectNotFound:
            raise
        except AccessDenied:
            pass  # removing does not need permission to read
        self.call(self._request("DELETE", path), path, "remove", accept=(HTTPStatus.OK, HTTPStatus.NO_CONTENT))

    def remove_all(self, paths: Sequence[str]) -> None:
        """Remove objects, many per request."""
        for start in range(0, len(paths), _DELETED_AT_ONCE):
            remaining, policy = list(paths[start : start + _DELETED_AT_ONCE]), self.retry_policy()
            while refused := self._remove_some(remaining):
                final = [failure for failure in refused.values() if not failure.transient]
                self.wait((final or list(refused.values()))[0], policy)
                remaining = list(refused)

    def _remove_some(self, paths: Sequence[str]) -> dict[str, Failure]:
        """Remove objects of a bucket in one request; return the failures of those that were not removed."""
        bucket = split_path(paths[0])[0]
        keys = "".join(f"<Object><Key>{in_xml(split_path(path)[1])}</Key></Object>" for path in paths)
        body = f"<Delete><Quiet>true</Quiet>{keys}</Delete>".encode()
        # The reference demands one of the checksums, although the signature covers the body.
        checksum = {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode()}
        reply = self.call(self._request("POST", bucket, checksum, body, delete=""), paths[0], "remove")
        root = self._xml(bucket, reply)
        if root.tag == "Error":
            return {path: self.refusal(HTTPStatus.OK, code_at(root), path, "remove") for path in paths}
        if root.tag != "DeleteResult":
            raise self.invalid(paths[0], "sent an invalid response")
        refused = {}
        for one in root.findall("Error"):
            path = f"{bucket}/{text_at(one, 'Key')}"
            # An error about a key that was not asked for leaves open which of these were removed.
            for about in [path] if path in paths else paths:
                failure = self.refusal(HTTPStatus.OK, code_at(one), about, "remove")
                if not isinstance(failure.error, ObjectNotFound):
                    refused[about] = failure
        return refused

    def copy(self, path: str, target: str) -> None:
        """Copy an object; a large one in parts."""
        try:
            self._copy(path, target)
        except ObjectChanged:
            message = f"{self.shown(path)} was replaced while it was being copied; copy it again"
        else:
            return
        raise ObjectChanged(message)

    def _copy(self, path: str, target: str) -> None:
        found, properties = self._described(path)
        source, keys = {"x-amz-copy-source": quote(path, safe="/~")}, self._copied_key
        if found.facts["etag"]:
            source["x-amz-copy-source-if-match"] = found.facts["etag"]
        if found.size <= _MAX_COPY:
            self._finish(self._request("PUT", target, {**source, **self._written_as}, secrets=keys), target, "copy")
            return
        upload = self.start_upload(
            target, exclusive=False, properties=properties
        )  # a copy in parts has none of its own
        try:
            etags = []
            for number, start in enumerate(range(0, found.size, _COPY_PART), 1):
                span = {"x-amz-copy-source-range": f"bytes={start}-{min(start + _COPY_PART, found.size) - 1}"}
                headers = {**source, **span}
                request = self._request("PUT", target, headers, secrets=keys, partNumber=number, uploadId=upload)
                etags.append(self._finish(request, target, "copy"))
            self.complete_upload(target, upload, etags, exclusive=False)
        except BaseException:
            self._try_to_abort(target, upload)
            raise

    def _try_to_abort(self, path: str, upload: str) -> None:
        try:
            self.abort_upload(path, upload)
        except ConnectorError as reason:  # not raised, because it would hide the error that led to the abort
            _LOG.warning("cannot abort an unfinished copy, whose parts may remain stored and cost money: %s", reason)

    @property
    def _copied_key(self) -> Hidden | None:
        """The headers for a copy of an object that S3 encrypts with the customer's key: for both objects."""
        key = self._customer_key
        return None if key is None else copied_key(key)
