"""An S3 object in the making: nothing of it can be seen until it is committed.

A small object is one PutObject. A larger one is a multipart upload, whose parts are nobody's until it is completed,
and which is aborted whenever it cannot be: parts left behind cost their owner money and are in no listing.
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
from connectors_s3.calls import Calls
from connectors_s3.location import shown
from connectors_s3.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors_s3.client import Client

__all__ = ["MAX_PARTS", "MAX_PART_SIZE", "MIN_PART_SIZE", "PART_SIZE", "S3Sink", "size_of_part"]

PART_SIZE = 8 << 20
"""Bytes in the first parts: several of them travel at once, so small ones spread an object over the connections."""
MIN_PART_SIZE = 5 << 20
"""Bytes in the least part but the last, and
MAX_PARTS, the most parts: Amazon S3 User Guide, "Amazon S3 multipart upload limits"."""
MAX_PARTS = 10_000
GROWTH = 800
"""After so many parts their size doubles, up to
MAX_PART_SIZE: so 10,000 parts hold 5 TiB, the most that S3 stores; those of the first 90 GiB have 64 MiB at most."""
MAX_PART_SIZE = 1 << 30


def size_of_part(first: int, before: int) -> int:
    """Return how many bytes a part has that comes after `before` others, the first of which had `first`."""
    return min(first << (before // GROWTH), max(first, MAX_PART_SIZE))


class S3Sink:
    """One object in the making.

    Args:
        client: makes the requests.
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
        self._filling = BytesIO()
        self._upload: Upload | None = None
        self._state = "open"
        self._process = os.getpid()
        _, key, _ = client.split_path(path)
        if not key or key.endswith("/"):
            message = f"{shown(path)} is a bucket or a folder; name an object in it"
            raise NotAnObject(message)
        self._calls = Calls(client, path)
        if exclusive:
            self._check_absent()

    def _check_absent(self) -> None:
        """Fail now rather than after all has been sent; the condition on commit is what decides."""
        try:
            self._calls("head_object", "list")
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
        self._calls.renew_by(renew)

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send what makes up whole parts: several at once, and while this returns.

        Raises:
            StorageError: S3 did not take a part, this or an earlier one. The upload is aborted then, and nothing more
                can be written.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            while view:
                if self._filling.tell() == self._size_of_part():  # whole, and not the last, as more is there
                    self._send_part()
                taken = self._filling.write(view[: self._size_of_part() - self._filling.tell()])
                view = view[taken:]
        except BaseException:
            self.discard()
            raise

    def _size_of_part(self) -> int:
        """Return how large the part is that is being filled."""
        return size_of_part(self._part_size, 0 if self._upload is None else len(self._upload.parts))

    def _send_part(self) -> None:
        if self._upload is None:
            self._upload = Upload(self._calls, **self._options)
            # At the interpreter's end as well: before the session is closed, as what was made last comes first.
            weakref.finalize(self, self._upload.abort)
        if len(self._upload.parts) == MAX_PARTS:
            message = f"{shown(self._path)} is too large to be written in {MAX_PARTS} parts; nothing was written"
            raise StorageError(message)
        # Sent as it was collected: botocore, which reads from files, would copy bytes into one.
        part, self._filling = self._filling, BytesIO()
        self._upload.parts.put(part, following=size_of_part(self._part_size, len(self._upload.parts) + 1))

    def commit(self) -> None:
        """Make the object appear, whole, in the place of what stood there.

        Raises:
            ObjectExists: exclusive, and there is one.
            StorageUnavailable: no answer came. Whether the object appeared is then not known; all of it or nothing.
        """
        self._check_open()
        try:
            if self._upload is None:
                self._calls("put_object", Body=self._filling, **self._options, **self._condition)
            else:
                self._send_part()
                self._upload.complete(**self._condition)
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._filling = BytesIO()
        self._calls.client.invalidate_cache()

    def discard(self) -> None:
        """Leave what stood there; abort the upload. Does nothing a second time, or in a forked child."""
        if self._state != "open" or self._process != os.getpid():
            return
        self._state = "discarded"
        self._filling = BytesIO()
        if self._upload is not None:
            self._upload.abort()

    def _check_open(self) -> None:
        if self._process != os.getpid():
            where = shown(self._path)
            message = f"{where} was opened for writing by the process that this one was forked from; open it here"
            raise StorageUnavailable(message)
        if self._state != "open":
            message = f"{shown(self._path)} was {self._state} already"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)} {self._state}>"
