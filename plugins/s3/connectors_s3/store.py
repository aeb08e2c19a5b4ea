"""The dialect of Amazon S3 and compatible stores: the REST API of the Amazon S3 API Reference."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, unquote_plus, urlencode
from xml.sax.saxutils import escape

from botocore.exceptions import BotoCoreError, ProfileNotFound

from connectors.errors import AccessDenied, ConfigError, ObjectNotFound, StorageUnavailable
from connectors.secrets import SecretText
from connectors.storage import (
    BucketStore,
    Failure,
    HttpClient,
    Listed,
    Page,
    Request,
    Unsigned,
    parse_xml,
    split_path,
    text_at,
    texts_at,
)
from connectors_s3.error_codes import MEANINGS, NO_SUCH_UPLOAD
from connectors_s3.hosts import Hosts
from connectors_s3.location import shown
from connectors_s3.sessions import DEFAULT_REGION, open_session
from connectors_s3.signer import SigV4Signer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from connectors.storage import Action, Headers, Reply
    from connectors_s3.credentials import S3Credentials

__all__ = ["S3Store"]

_AGENT = f"enclave-connectors-s3/{importlib.metadata.version('enclave-connectors-s3')}"
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_DELETED_AT_ONCE = 1000
"""Objects that one request can remove: Amazon S3 API Reference, "DeleteObjects"."""
_MAX_COPY = 5 << 30
"""Bytes that one request can copy: from the same reference, "CopyObject"."""
_COPY_PART = 1 << 30
"""Bytes in the parts of a larger copy."""


class S3Store(BucketStore):
    """One account's buckets.

    Args:
        credentials: the account's.
    """

    name = "S3"
    meanings = MEANINGS
    conditions: ClassVar[frozenset[str]] = frozenset({"PreconditionFailed"})

    def __init__(self, credentials: S3Credentials) -> None:
        self._credentials = credentials
        self.endpoint = credentials.endpoint_url or "AWS"
        self._session: Any = None
        self._found_hosts: Hosts | None = None
        self._regions: dict[str, str] = {}
        signer = Unsigned() if credentials.anonymous else SigV4Signer(self._find_credentials, self._region_of)
        super().__init__(HttpClient(_AGENT), signer)

    def shown(self, path: str) -> str:
        """Return the location of an object."""
        return shown(path)

    # Who asks, and where.

    def _hosts(self) -> Hosts:
        if self._found_hosts is None:
            self._session = _of_profile(lambda: open_session(self._credentials))
            self._found_hosts = _of_profile(lambda: Hosts(self._credentials, self._session))
        return self._found_hosts

    def _find_credentials(self) -> Any:
        self._hosts()
        return _of_profile(self._session.get_credentials)

    def _region_of(self, request: Request) -> str:
        """Return the region to sign a request for: the configured one, or what S3 said about the host's bucket."""
        return self._hosts().region or self._regions.get(request.origin.authority, DEFAULT_REGION)

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
        **query: str | int | None,
    ) -> Request:
        """Return a request for ``bucket/key``, a bucket or the account, without the query's members that are None."""
        bucket, key = split_path(path)
        origin, target = self._hosts().place(bucket)
        target = f"{target}/{quote(key, safe='/~')}" if key or not target else target
        given = {name.replace("_", "-"): value for name, value in query.items() if value is not None}
        if given:
            target += f"?{urlencode(given, quote_via=quote, safe='-_.~')}"
        payer = {"x-amz-request-payer": "requester"} if self._credentials.requester_pays else {}
        return Request(method, origin, SecretText(target), {**payer, **(headers or {})}, body)

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means; a bucket in another region is asked for there, once."""
        failure = super().refusal(status, code, path, action, headers)
        told = headers.get("x-amz-bucket-region", "") if headers is not None else ""
        hosts = self._hosts()
        if hosts.is_aws and hosts.region is None and _REGION.fullmatch(told):
            host = hosts.place(split_path(path)[0])[0].authority
            if self._regions.get(host, DEFAULT_REGION) != told:
                self._regions[host] = told
                return Failure(failure.error, transient=True, status=status, code=code)
        return failure

    def changes_bytes(self, headers: Headers) -> bool:  # noqa: ARG002 - the header is the object's, and S3 never applies it
        """Return False."""
        return False

    # Reading.

    def read_request(self, path: str, span: str | None, validator: str | None) -> Request:
        """Return the request for an object's bytes."""
        headers = {**self._customer_key}
        if span is not None:
            headers["Range"] = span
        if validator is not None:
            headers["If-Match"] = validator
        return self._request("GET", path, headers)

    def describe(self, path: str) -> Listed:
        """Return the object at a path."""
        reply = self.call(self._request("HEAD", path, self._customer_key), path, "read")
        size = reply.headers.get("Content-Length", "")
        if not _SIZE.fullmatch(size):
            raise self.invalid(path, "sent no size")
        return Listed(
            split_path(path)[1],
            int(size),
            facts={"etag": reply.headers.get("ETag"), "modified": _http_time(reply.headers.get("Last-Modified", ""))},
        )

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
            return _page(parse_xml(reply.body))
        except UnicodeError:
            problem = "sent a listing with names that are not Unicode,"
        except ValueError as error:
            problem = f"sent an invalid listing: {error}"
        raise self.invalid(path, problem)

    def buckets(self) -> list[str]:
        """Return the names of the account's buckets."""
        reply = self.call(self._request("GET", ""), "", "list")
        return list(texts_at(self._xml("", reply), "Buckets/Bucket/Name"))

    def _xml(self, path: str, reply: Reply) -> Element:
        try:
            return parse_xml(reply.body)
        except ValueError:
            problem = self.invalid(path, "sent an invalid response")
        raise problem

    # Writing.

    def put(self, path: str, data: memoryview, *, exclusive: bool) -> None:
        """Write an object in one request."""
        self.call(self._request("PUT", path, {**self._written_as, **_only_new(exclusive)}, data), path, "write")

    def start_upload(self, path: str, *, exclusive: bool) -> str:  # noqa: ARG002 - the condition is for the end
        """Start a multipart upload; return its ID."""
        reply = self.call(self._request("POST", path, self._written_as, b"", uploads=""), path, "write")
        return self._told(path, text_at(self._xml(path, reply), "UploadId"), "UploadId")

    def send_part(self, path: str, upload: str, number: int, data: memoryview, *, last: bool) -> str:  # noqa: ARG002
        """Send a part; return its ETag."""
        request = self._request("PUT", path, self._customer_key, data, partNumber=number, uploadId=upload)
        return self._told(path, self.call(request, path, "write").headers.get("ETag", ""), "ETag")

    def complete_upload(self, path: str, upload: str, parts: list[str], *, exclusive: bool) -> None:
        """Create the object from its parts."""
        named = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(parts, 1)
        )
        body = f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{named}</CompleteMultipartUpload>'
        headers = {**_only_new(exclusive), **self._customer_key}
        self._finish(self._request("POST", path, headers, body.encode(), uploadId=upload), path)

    def _finish(self, request: Request, path: str) -> None:
        """Send a request whose status does not show success, because S3 sends it before it has done the work."""
        policy = self.retry_policy()
        while True:
            reply = self.call(request, path, "write")
            root = self._xml(path, reply)
            if root.tag != "Error":
                self._told(path, text_at(root, "ETag"), "ETag")
                return
            code = text_at(root, "Code")
            self.wait(self.refusal(HTTPStatus.OK, code if code.isalnum() else "", path, "write"), policy)

    def _told(self, path: str, value: str, member: str) -> str:
        if not value:
            message = (
                f"S3 sent an invalid response to an upload of {shown(path)}: it has no {member}, and the object may "
                "not have been written; write it again"
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
    def _customer_key(self) -> dict[str, str]:
        """The headers of requests for objects that S3 encrypts with the customer's key."""
        key = self._credentials.customer_key
        if key is None:
            return {}
        raw = base64.b64decode(key.reveal())
        digest = base64.b64encode(hashlib.md5(raw, usedforsecurity=False).digest()).decode()
        start = "x-amz-server-side-encryption-customer"
        return {f"{start}-algorithm": "AES256", f"{start}-key": key.reveal(), f"{start}-key-MD5": digest}

    @property
    def _written_as(self) -> dict[str, str]:
        """The headers of the request that starts to write an object."""
        return {**self._credentials.object_headers, **self._customer_key}

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
            some = paths[start : start + _DELETED_AT_ONCE]
            bucket = split_path(some[0])[0]
            keys = "".join(f"<Object><Key>{_in_xml(split_path(path)[1])}</Key></Object>" for path in some)
            body = f"<Delete><Quiet>true</Quiet>{keys}</Delete>".encode()
            # The reference demands one of the checksums, although the signature covers the body.
            checksum = {"x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode()}
            reply = self.call(self._request("POST", bucket, checksum, body, delete=""), some[0], "remove")
            for refused in self._xml(bucket, reply).findall("Error"):
                code = text_at(refused, "Code")
                raise self.refusal(
                    403, code if code.isalnum() else "", f"{bucket}/{text_at(refused, 'Key')}", "remove"
                ).error

    def copy(self, path: str, target: str) -> None:
        """Copy an object; a large one in parts."""
        found = self.describe(path)
        bucket, key = split_path(path)
        source = {"x-amz-copy-source": quote(f"{bucket}/{key}", safe="/~"), **self._copied_key}
        if found.facts["etag"]:
            source["x-amz-copy-source-if-match"] = found.facts["etag"]
        if found.size <= _MAX_COPY:
            self._finish(self._request("PUT", target, {**source, **self._written_as}), target)
            return
        upload = self.start_upload(target, exclusive=False)
        try:
            etags = []
            for number, start in enumerate(range(0, found.size, _COPY_PART), 1):
                span = {"x-amz-copy-source-range": f"bytes={start}-{min(start + _COPY_PART, found.size) - 1}"}
                headers = {**source, **span, **self._customer_key}
                request = self._request("PUT", target, headers, partNumber=number, uploadId=upload)
                etag = text_at(self._xml(target, self.call(request, target, "copy")), "ETag")
                etags.append(self._told(target, etag, "ETag"))
            self.complete_upload(target, upload, etags, exclusive=False)
        except BaseException:
            self.abort_upload(target, upload)
            raise

    @property
    def _copied_key(self) -> dict[str, str]:
        """The headers for a copied object that S3 encrypts with the customer's key."""
        return {f"x-amz-copy-source-{name[6:]}": value for name, value in self._customer_key.items()}


def _of_profile(call: Any) -> Any:
    """Return the result of `call`, which reads the machine's configuration; botocore's errors quote it."""
    try:
        return call()
    except ConfigError:
        raise
    except ProfileNotFound:
        message = "the profile in the credentials does not exist on this machine"
    except (BotoCoreError, ValueError):
        message = "the credentials are ambient, but this machine's configuration for AWS is invalid"
    raise AccessDenied(message)


def _only_new(exclusive: bool) -> dict[str, str]:  # noqa: FBT001 - the only argument
    return {"If-None-Match": "*"} if exclusive else {}


def _in_xml(key: str) -> str:
    """Return a key as XML text; carriage returns would else be normalised."""
    return escape(key, {"\r": "&#13;"})


def _page(root: Element) -> Page:
    """Return a page of a listing.

    Raises:
        ValueError: it is invalid or incomplete.
    """
    encoded = text_at(root, "EncodingType") == "url"
    decode = (lambda text: unquote_plus(text, errors="strict")) if encoded else str
    objects = []
    for one in root.findall("Contents"):
        key, size = decode(text_at(one, "Key")), text_at(one, "Size")
        if not key or not _SIZE.fullmatch(size):
            message = "it is without names or sizes,"
            raise ValueError(message)
        key.encode()  # a lone surrogate cannot be part of a URL
        facts = {"etag": text_at(one, "ETag"), "modified": _iso_time(text_at(one, "LastModified"))}
        objects.append(Listed(key, int(size), facts=facts))
    prefixes = [decode(text_at(one, "Prefix")) for one in root.findall("CommonPrefixes")]
    if root.tag != "ListBucketResult" or not all(prefixes):
        message = "it is without names or sizes,"
        raise ValueError(message)
    more, following = text_at(root, "IsTruncated") == "true", text_at(root, "NextContinuationToken")
    if more and not following:
        message = "it has further pages, but no token for the next,"
        raise ValueError(message)
    return Page(objects, prefixes, following if more else None)


def _iso_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _http_time(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
