"""An S3 object in the making: nothing of it can be seen until it is committed.

A small object is one PutObject. A larger one is a multipart upload, whose parts are nobody's until it is completed,
and which is aborted whenever it cannot be: parts left behind cost their owner money and are in no listing.
"""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from connectors.errors import (
    AccessDenied,
    CredentialsExpired,
    NotAnObject,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors_s3.faults import FOREIGN, UPLOAD_GONE, Action, attempt, code_of, storage_error
from connectors_s3.location import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors_s3.filesystem import S3

__all__ = ["MAX_PARTS", "MAX_PART_SIZE", "MIN_PART_SIZE", "PART_SIZE", "S3Sink"]

_LOG = logging.getLogger(__name__)

PART_SIZE = 1 << 24
"""Bytes in the first parts; one part is held in memory."""
MIN_PART_SIZE = 5 << 20
"""Bytes in the least part but the last, and
MAX_PARTS, the most parts: Amazon S3 User Guide, "Amazon S3 multipart upload limits"."""
MAX_PARTS = 10_000
GROWTH = 900
"""After so many parts their size doubles, up to
MAX_PART_SIZE: so 10,000 parts hold 5 TiB, the most that S3 stores; those of the first 90 GiB have 64 MiB at most."""
MAX_PART_SIZE = 1 << 30


class S3Sink:
    """One object in the making.

    Args:
        fs: the filesystem.
        path: ``bucket/key``.
        exclusive: refuse to replace an object, also one that appears while this one is being written.
        part_size: bytes in the first parts.
        object_options: what the request that begins the object says besides.

    Raises:
        ObjectExists: exclusive, and there is one.
        NotAnObject: the path names a bucket.
    """

    def __init__(
        self,
        fs: S3,
        path: str,
        *,
        exclusive: bool = False,
        part_size: int = PART_SIZE,
        object_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._fs = fs
        self._path = path
        self._condition: dict[str, Any] = {"IfNoneMatch": "*"} if exclusive else {}
        self._part_size = part_size
        self._options = object_options
        self._pending = bytearray()
        self._renew: Callable[[Any], Any] | None = None
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._state = "open"
        bucket, key, _ = fs.split_path(path)
        if not key or key.endswith("/"):
            message = f"{shown(path)} is a bucket or a folder; name an object in it"
            raise NotAnObject(message)
        self._object: dict[str, Any] = {"Bucket": bucket, "Key": key}
        if exclusive:
            self._check_absent()

    def _check_absent(self) -> None:
        """Fail now rather than after all has been sent; the condition on commit is what decides."""
        try:
            self._call("head_object", "list")
        except ObjectNotFound:
            return
        except AccessDenied:
            return  # writing does not take the permission to look
        message = f"{shown(self._path)} exists already, and it was to be created"
        raise ObjectExists(message)

    def renew_by(self, renew: Callable[[Any], Any]) -> None:
        """Go on with renewed credentials when these expire: an upload is the account's, not the session's.

        Args:
            renew: returns the filesystem with renewed credentials, given the one whose own have expired, or that one
                itself if there are none.
        """
        self._renew = renew

    def _call(self, method: str, action: Action = "write", **arguments: Any) -> dict[str, Any]:
        call = {**self._object, **arguments}
        try:
            return attempt(self._path, action, lambda: self._fs.call_s3(method, **call))
        except CredentialsExpired as error:
            expired = error
        fresh = self._fs if self._renew is None else self._renew(self._fs)
        if fresh is self._fs:
            raise expired
        self._fs = fresh
        return attempt(self._path, action, lambda: self._fs.call_s3(method, **call))

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send what makes up whole parts.

        Raises:
            StorageError: S3 did not take a part. The upload is aborted then, and nothing more can be written.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            while view:
                # One byte more than a part has to be there: it shows that the part is not the last.
                room = self._size_of_part() + 1 - len(self._pending)
                self._pending += view[:room]
                view = view[room:]
                if len(self._pending) > self._size_of_part():
                    self._send_part(self._size_of_part())
        except BaseException:
            self.discard()
            raise

    def _size_of_part(self) -> int:
        """Return how large the next part is."""
        return min(self._part_size << (len(self._parts) // GROWTH), max(self._part_size, MAX_PART_SIZE))

    def _send_part(self, size: int) -> None:
        number = len(self._parts) + 1
        if number > MAX_PARTS:
            message = f"{shown(self._path)} is too large to be written in {MAX_PARTS} parts; nothing was written"
            raise StorageError(message)
        if self._upload is None:
            self._upload = str(self._call("create_multipart_upload", **self._options)["UploadId"])
        with memoryview(self._pending) as pending:
            part = bytes(pending[:size])
        self._pending = self._pending[size:]  # what is sent is held once: late parts of the largest objects have a GiB
        answer = self._call("upload_part", UploadId=self._upload, PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def commit(self) -> None:
        """Make the object appear, whole, in the place of what stood there.

        Raises:
            ObjectExists: exclusive, and there is one.
            StorageUnavailable: no answer came. Whether the object appeared is then not known; all of it or nothing.
        """
        self._check_open()
        try:
            if self._upload is None:
                self._call("put_object", Body=bytes(self._pending), **self._options, **self._condition)
            else:
                if self._pending:
                    self._send_part(len(self._pending))
                parts = {"Parts": self._parts}
                self._call("complete_multipart_upload", UploadId=self._upload, MultipartUpload=parts, **self._condition)
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._pending = bytearray()
        self._fs.invalidate_cache()

    def discard(self) -> None:
        """Leave what stood there; abort the upload. Does nothing a second time."""
        if self._state != "open":
            return
        self._state = "discarded"
        self._pending = bytearray()
        if self._upload is not None:
            try:
                self._fs.call_s3("abort_multipart_upload", UploadId=self._upload, **self._object)
            except FOREIGN as error:
                # Not raised: it would take the place of the error for which the object is discarded.
                if code_of(error) != UPLOAD_GONE:
                    reason = storage_error(error, self._path, "write")
                    _LOG.warning("the parts of an unfinished upload stay behind, and may cost: %s", reason)

    def _check_open(self) -> None:
        if self._state != "open":
            message = f"{shown(self._path)} was {self._state} already"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)} {self._state}>"
