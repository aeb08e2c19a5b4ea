"""The dialect of Azure Blob Storage: its requests, and what its error codes mean."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    ObjectChanged,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.secrets import SecretText
from connectors.storage import (
    BucketStore,
    HttpClient,
    ListingGuard,
    Origin,
    PartSizes,
    Request,
    query_of,
    range_headers,
)
from connectors_azure import responses
from connectors_azure.identity import AGENT
from connectors_azure.location import LOCATION
from connectors_azure.meanings import MEANINGS
from connectors_azure.signers import COPY_SOURCE, signer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Headers, Listed, Page, Reply
    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["PART_SIZES", "VERSION", "AzureStore"]

VERSION = "2023-11-03"
"""The version of the REST API: blocks of 4000 MiB need 2019-12-12, names with any character in listings 2021-02-12."""
_MIB = 1 << 20
PART_SIZES = PartSizes(first=8 * _MIB, least=1, most=4000 * _MIB, count=50_000, total=50_000 * 4000 * _MIB)
"""The sizes of blocks: "Scalability and performance targets for Blob storage"."""
_MAX_PAGE = 64 << 20
"""Bytes in the largest page of a listing, which may have 5,000 blobs with 8 KiB of metadata each."""
_MARK = "x-ms-meta-upload"
"""The metadata of a small blob created with `exclusive` that names the upload that created it."""
_MAX_POLL_INTERVAL = 5.0
"""The longest time in seconds between two requests for the status of a copy."""
_MAX_IDLE_COPY = 3600.0
"""Seconds in which a copy must make progress."""
_MAX_COPY = 14 * 24 * 3600.0
"""Seconds after which Azure itself gives a copy up: "Copy Blob"."""
_COPIED = re.compile(r"([0-9]{1,18})/[0-9]{1,18}", re.ASCII)
"""The bytes that a copy has copied, and the bytes of its source."""
_STRONG_ETAG = re.compile(r'"[!#-~]{1,1000}"')
_COPY_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


def _has_md5() -> bool:
    """Return whether this machine can compute MD5, which Azure checks; in FIPS mode it cannot."""
    try:
        hashlib.md5(b"", usedforsecurity=False)
    except ValueError:
        return False
    return True


_HAS_MD5 = _has_md5()


def _digest_of(data: memoryview) -> dict[str, str]:
    """Return the header with which Azure detects errors in transit; the data is sealed."""
    if not _HAS_MD5:
        return {}
    return {"Content-MD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}


class AzureStore(BucketStore):
    """The blobs of an account.

    Args:
        account: the account.
        credentials: the account's credentials.

    Attributes:
        account: the account.

    Raises:
        ConfigError: azure-identity is needed and not installed.
    """

    name = "Azure"
    location = LOCATION
    meanings = MEANINGS
    conditions = frozenset({"BlobAlreadyExists", "BlobModifiedWhileReading", "BlobOverwritten", "ConditionNotMet"})

    def __init__(self, account: Account, credentials: AzureCredentials) -> None:
        client = HttpClient(AGENT)
        super().__init__(client, signer_of(account, credentials, client), credentials.expires_at)
        self.account = account
        self.endpoint = account.endpoint
        self._origin = Origin.of(account.endpoint)
        self._base = urlsplit(account.endpoint).path.rstrip("/")
        sas = parse_qs(account.sas.reveal()) if account.sas else {}
        # A SAS for one blob, or without the permission to list. One with a stored access policy does not tell.
        self.lists = sas.get("sr") != ["b"] and "l" in sas.get("sp", ["l"])[0]

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | None] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
    ) -> Request:
        """Return a request, unsigned.

        Args:
            method: such as GET.
            path: ``container/name``, ``container``, or nothing for the account.
            query: its parameters, without those of a SAS; those that are None are left out.
            headers: its headers, without the version.
            body: its body, or None.

        Raises:
            InvalidLocation: the path is invalid.
        """
        container, name = LOCATION.split(path)
        target = f"{self._base}/{container}" + (f"/{quote(name, safe='~/')}" if name else "")
        target += query_of(query or {})
        return Request(method, self._origin, SecretText(target), {"x-ms-version": VERSION, **(headers or {})}, body)

    # Reading.

    def read_request(self, path: str, span: str | None, validator: str | None) -> Request:
        """Return the request for a blob's bytes."""
        return self.request("GET", path, headers=range_headers(span, validator))

    def validator(self, headers: Headers) -> str | None:
        """Return the ETag."""
        etag = headers.get("ETag", "")
        return etag if _STRONG_ETAG.fullmatch(etag) else None

    def changes_bytes(self, headers: Headers) -> bool:
        """Return whether a response was recoded; Azure itself repeats the encoding of a blob, and sends its bytes."""
        length = headers.get("Content-Length")
        # A part of that length is as it is stored; so is an empty blob.
        as_stored = length == "0" or (length is not None and headers.get("Content-Range") is not None)
        return not as_stored and super().changes_bytes(headers)

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:
        """Return the code in an error response; one to a HEAD has it only in a header."""
        return headers.get("x-ms-error-code", "") or super().error_code(status, headers, body)

    def describe(self, path: str) -> Listed:
        """Return the blob at a path."""
        return self.valid(path, partial(responses.described, LOCATION.split(path)[1], self._head(path)))

    def _head(self, path: str) -> Headers:
        """Return what Azure says about a blob; anything between it and this machine may say 200 to a HEAD."""
        headers = self.call(self.request("HEAD", path), path, "read").headers
        if not headers.get("x-ms-blob-type") or self.validator(headers) is None:
            raise self.invalid(path, "sent an invalid response")
        return headers

    def list_page(self, path: str, prefix: str, delimiter: str, token: str | None, most: int | None) -> Page:
        """Return a page of the blobs in a container."""
        container = LOCATION.split(path)[0]
        query = {"restype": "container", "comp": "list", "include": "metadata", "prefix": prefix or None}
        query |= {"delimiter": delimiter or None, "marker": token or None, "maxresults": str(most) if most else None}
        request = self.request("GET", container, query)
        reply = self.call(request, path, "list", limit=_MAX_PAGE)
        return self.valid(path, lambda: responses.page(reply.body))

    def buckets(self) -> list[str]:
        """Return the names of the account's containers."""
        found: list[str] = []
        guard, token = ListingGuard(self.shown("")), None
        while True:
            reply = self.call(self.request("GET", "", {"comp": "list", "marker": token or None}), "", "list")
            read = partial(responses.names, reply.body, responses.LISTING, "Containers/Container")
            some, token = self.valid("", read)
            guard.check_page(next(iter(some), None), token)
            found += some
            if not token:
                return found

    # Writing. Uncommitted blocks are in no listing. Azure has no request that removes them: they vanish after a week,
    # or when a blob is next committed under that name.

    def check_object(self, path: str) -> None:
        """Check that a path names a blob."""
        LOCATION.split(path)
        super().check_object(path)

    def put(self, path: str, data: memoryview, *, exclusive: bool) -> None:
        """Write a blob with one Put Blob."""
        headers = {"x-ms-blob-type": "BlockBlob", **_digest_of(data)}
        mark = uuid.uuid4().hex
        if exclusive:
            headers |= {"If-None-Match": "*", _MARK: mark}
        try:
            self._write(path, {}, headers, data)
        except ObjectExists as error:
            refusal = error
        else:
            return
        # The stored blob may be from an earlier attempt of this write whose response was lost.
        if not exclusive or not self._was_put(path, mark):
            raise refusal

    def _write(
        self, path: str, query: Mapping[str, str | None], headers: dict[str, str], body: bytes | memoryview
    ) -> Reply:
        return self.call(self.request("PUT", path, query, headers, body), path, "write", accept=(201,))

    def _was_put(self, path: str, mark: str) -> bool:
        """Return whether the stored blob has the mark of this upload."""
        try:
            return self._head(path).get(_MARK) == mark
        except ConnectorError:
            return False

    def start_upload(self, path: str, *, exclusive: bool) -> str:  # noqa: ARG002
        """Return the start of the names of an upload's blocks; makes no request."""
        return uuid.uuid4().hex

    def send_part(self, path: str, upload: str, number: int, data: memoryview, *, last: bool) -> str:  # noqa: ARG002
        """Send a block; return its id. All ids of a blob must have the same length."""
        block = base64.b64encode(f"{upload}{number:016d}".encode()).decode()
        self._write(path, {"comp": "block", "blockid": block}, _digest_of(data), data)
        return block

    def complete_upload(self, path: str, upload: str, parts: list[str], *, exclusive: bool) -> None:  # noqa: ARG002
        """Commit the blocks.

        Raises:
            ObjectExists: `exclusive`, and the blob exists.
            StorageError: another client wrote the blob meanwhile, so Azure discarded the blocks of this one.
        """
        headers = {"If-None-Match": "*"} if exclusive else {}
        try:
            self._write(path, {"comp": "blocklist"}, headers, responses.block_list(parts))
        except StorageError as error:
            if not exclusive or type(error) not in (ObjectExists, StorageError):
                raise
            refusal = error
        else:
            return
        # The stored blob is from an earlier attempt whose response was lost, or from another client.
        if self._was_committed(path, parts):
            return
        if type(refusal) is StorageError and self._is_stored(path):  # its commit has dropped these blocks
            message = f"{self.shown(path)} already exists, and mode 'xb' does not replace it"
            refusal = ObjectExists(message)
        raise refusal

    def _was_committed(self, path: str, parts: list[str]) -> bool:
        """Return whether the stored blob consists of the blocks of this upload, whose ids no other upload has."""
        request = self.request("GET", path, {"comp": "blocklist", "blocklisttype": "committed"})
        try:
            reply = self.call(request, path, "read")
            return responses.names(reply.body, responses.BLOCKS, "CommittedBlocks/Block")[0] == parts
        except (ConnectorError, ValueError):
            return False

    def _is_stored(self, path: str) -> bool:
        try:
            self.find_object(path)
        except (ObjectNotFound, AccessDenied):
            return False
        return True

    def abort_upload(self, path: str, upload: str) -> None:
        """Do nothing: Azure drops uncommitted blocks itself."""

    def remove(self, path: str) -> None:
        """Remove a blob."""
        self.call(self.request("DELETE", path), path, "remove", accept=(202,))

    def copy(self, path: str, target: str) -> None:
        """Copy a blob within the account, and return when the copy is complete.

        Raises:
            StorageError: Azure did not finish the copy.
            StorageUnavailable: the copy made no progress for an hour, or took two weeks, and was cancelled.
            ObjectChanged: another client wrote the target meanwhile.
        """
        # The signer adds a SAS to this URL, so that no traceback has it.
        source = {COPY_SOURCE: self.account.url_of(*LOCATION.split(path))}
        headers = self.call(self.request("PUT", target, headers=source), path, "copy", accept=(202,)).headers
        copy = headers.get("x-ms-copy-id", "")
        try:
            state = self._await_copy(target, headers)
        except BaseException:
            self._abort_copy(target, copy)
            raise
        if state == "success":
            return
        if state == "pending":
            self._abort_copy(target, copy)
        self._remove_copy(target, copy)
        if state == "pending":
            message = (
                f"Azure makes no progress with the copy to {self.shown(target)}, so it was cancelled; copy it again"
            )
            raise StorageUnavailable(message)
        message = f"Azure did not finish the copy to {self.shown(target)}; copy it again"
        raise StorageError(message)

    def _await_copy(self, path: str, headers: Headers) -> str | None:
        """Wait for the end of a copy, and return its state, which is ``pending`` if it takes too long.

        Args:
            path: the target of the copy.
            headers: those of the response that started it.

        Raises:
            ObjectChanged: another client wrote the target, or copied to it.
        """
        copy = headers.get("x-ms-copy-id", "")
        copied, interval, started = -1, 0.1, time.monotonic()
        grown = started
        while (state := headers.get("x-ms-copy-status")) == "pending":
            # Only more bytes are progress: a count that goes up and down could do so forever.
            progress, now = _COPIED.fullmatch(headers.get("x-ms-copy-progress", "")), time.monotonic()
            if progress and int(progress[1]) > copied:
                copied, grown = int(progress[1]), now
            if now - grown > _MAX_IDLE_COPY or now - started > _MAX_COPY:
                break
            time.sleep(interval)
            interval = min(interval * 2, _MAX_POLL_INTERVAL)
            headers = self._head(path)
            if headers.get("x-ms-copy-id", "") != copy:
                message = f"{self.shown(path)} was replaced while a blob was being copied to it; copy it again"
                raise ObjectChanged(message)
        return state

    def _abort_copy(self, path: str, copy: str) -> None:
        if _COPY_ID.fullmatch(copy):
            query, headers = {"comp": "copy", "copyid": copy}, {"x-ms-copy-action": "abort"}
            with contextlib.suppress(ConnectorError):  # it would hide the error that led to this
                self.call(self.request("PUT", path, query, headers), path, "copy", accept=(204,))

    def _remove_copy(self, path: str, copy: str) -> None:
        """Remove the empty blob that a failed copy leaves; without the copy's id, it may be another client's blob."""
        if not _COPY_ID.fullmatch(copy):
            return
        left = self._head(path)
        etag = self.validator(left)
        if etag is not None and left.get("x-ms-copy-id", "") == copy:
            request = self.request("DELETE", path, headers={"If-Match": etag})
            self.call(request, path, "remove", accept=(202,))
