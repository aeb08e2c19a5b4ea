"""Writes an object that is invisible until commit.

A small object is one PutObject. A larger one is a multipart upload, whose parts are invisible until it is completed.
An upload that cannot be completed is aborted: its parts would cost their owner money, and no listing shows them.
"""

from __future__ import annotations

import os
import weakref
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from connectors.errors import (
    AccessDenied,
    NotAnObject,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors_s3.location import shown
from connectors_s3.object_requests import ObjectRequests
from connectors_s3.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors_s3.client import Client

__all__ = ["MAX_PARTS", "MAX_PART_SIZE", "MIN_PART_SIZE", "PART_SIZE", "S3Sink", "size_of_part"]

PART_SIZE = 8 << 20
"""Bytes in the first parts: several are sent at once, so small parts distribute an object over the connections."""
MIN_PART_SIZE = 5 << 20
"""Bytes in the smallest part other than the last: Amazon S3 User Guide, "Amazon S3 multipart upload limits"."""
MAX_PARTS = 10_000
"""The most parts in an upload, according to the same page."""
GROWTH = 800
"""Parts after which the part size doubles, up to `MAX_PART_SIZE`: so 10,000 parts hold 5 TiB, the largest object in S3.
In the first 90 GiB, a part has at most 64 MiB."""
MAX_PART_SIZE = 1 << 30
"""Bytes in the largest part."""


def size_of_part(first: int, before: int) -> int:
    """Return the size of the part after `before` others, the first of which has `first` bytes."""
    return min(first << (before // GROWTH), max(first, MAX_PART_SIZE))


class S3Sink:
    """One object that is being written.

    Args:
        client: the account's client.
        path: ``bucket/key``.
        exclusive: do not replace an object, even one that appears while this one is being written.
        part_size: bytes in the first parts.
        object_options: further arguments of the request that starts to write the object.

    Raises:
        ObjectExists: `exclusive`, and the object exists.
        NotAnObject: the path names a bucket or a folder.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        *,
        exclusive: bool = False,
        part_size: int = PART_SIZE,
        object_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._path = path
        self._condition: dict[str, Any] = {"IfNoneMatch": "*"} if exclusive else {}
        self._part_size = part_size
        self._options = object_options
        self._part = BytesIO()
        self._upload: Upload | None = None
        self._state = "open"
        self._process = os.getpid()
        _, key, _ = client.split_path(path)
        if not key or key.endswith("/"):
            message = f"{shown(path)} is a bucket or a folder; name an object in it"
            raise NotAnObject(message)
        self._requests = ObjectRequests(client, path)
        if exclusive:
            self._check_absent()

    def _check_absent(self) -> None:
        """Fail before anything is sent; the condition on commit is what decides."""
        try:
            self._requests.send("head_object", "list")
        except ObjectNotFound:
            return
        except AccessDenied:
            return  # writing does not need permission to read
        message = f"{shown(self._path)} already exists, and mode 'xb' does not replace it"
        raise ObjectExists(message)

    def renew_by(self, renew: Callable[[Any], Any]) -> None:
        """Continue with renewed credentials if these expire: an upload belongs to the account, not to the session.

        Args:
            renew: takes the filesystem whose credentials have expired; returns one with renewed credentials, or the
                same one if there are none.
        """
        self._requests.renew_by(renew)

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send the parts that are complete: several at once, and in the background.

        Raises:
            StorageError: S3 did not accept this part or an earlier one. The upload is aborted, and the sink accepts
                nothing more.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            while view:
                if self._part.tell() == self._size_of_part():  # complete, and not the last part
                    self._send_part()
                taken = self._part.write(view[: self._size_of_part() - self._part.tell()])
                view = view[taken:]
        except BaseException:
            self.discard()
            raise

    def _size_of_part(self) -> int:
        """Return the size of the part that is being filled."""
        return size_of_part(self._part_size, 0 if self._upload is None else len(self._upload.parts))

    def _send_part(self) -> None:
        if self._upload is None:
            self._upload = Upload(self._requests, **self._options)
            # Also at interpreter exit: this runs before the session is closed, because the latest finalizer runs first.
            weakref.finalize(self, self._upload.abort)
        if len(self._upload.parts) == MAX_PARTS:
            message = f"{shown(self._path)} is too large to be written in {MAX_PARTS} parts; nothing was written"
            raise StorageError(message)
        # Sent as a BytesIO: botocore reads from files, and would copy bytes into one.
        part, self._part = self._part, BytesIO()
        self._upload.parts.put(part, following=size_of_part(self._part_size, len(self._upload.parts) + 1))

    def commit(self) -> None:
        """Make the complete object appear, in place of the previous object.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
            StorageUnavailable: no response came, so the complete object may or may not have appeared.
        """
        self._check_open()
        try:
            if self._upload is None:
                self._requests.send("put_object", Body=self._part, **self._options, **self._condition)
            else:
                self._send_part()
                self._upload.complete(**self._condition)
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._part = BytesIO()
        self._requests.client.invalidate_cache()

    def discard(self) -> None:
        """Keep the previous object and abort the upload. Does nothing when called again, or in a forked child."""
        if self._state != "open" or self._process != os.getpid():
            return
        self._state = "discarded"
        self._part = BytesIO()
        if self._upload is not None:
            self._upload.abort()

    def _check_open(self) -> None:
        if self._process != os.getpid():
            where = shown(self._path)
            message = f"{where} was opened for writing by the parent process; open it again in this one"
            raise StorageUnavailable(message)
        if self._state != "open":
            message = f"{shown(self._path)} was already {self._state}"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)} {self._state}>"
