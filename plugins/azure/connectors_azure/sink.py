"""A blob in the making: nothing of it can be seen until it is committed.

A small blob is one Put Blob. A larger one is staged block by block, and appears with the list of its blocks. Blocks in
no list are in no listing either. Azure has no request that drops them, and drops them itself: after a week, or when the
next blob is committed under the name.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from io import BytesIO
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.storage.blob import BlobBlock

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    NotAnObject,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import PartsInFlight
from connectors_azure.location import shown, split_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.blob import BlobClient

    from connectors_azure.client import Client

__all__ = ["BLOCK_SIZE", "MAX_BLOCKS", "MAX_BLOCK_SIZE", "AzureSink", "size_of_block"]

BLOCK_SIZE = 8 << 20
"""Bytes in the first blocks: several of them travel at once, so small ones spread a blob over the connections."""
MAX_BLOCK_SIZE = 4000 << 20
"""Bytes in the largest block, and
MAX_BLOCKS, the most blocks: Azure Storage, "Scalability targets for Blob storage"."""
MAX_BLOCKS = 50_000
_MARK = "upload"
"""Metadata of a small blob that was created exclusively: who created it."""
GROWTH = 4_000
"""After so many blocks their size doubles: with the default, 50,000 of them are 69 TiB."""


def _has_md5() -> bool:
    """Tell whether this machine computes MD5, which Azure checks: one in FIPS mode does not."""
    try:
        hashlib.md5(b"")  # noqa: S324 - against accidents on the way; what is stored is sealed
    except ValueError:
        return False
    return True


_HAS_MD5 = _has_md5()


def size_of_block(first: int, before: int) -> int:
    """Return how many bytes a block has that comes after `before` others, the first of which had `first`."""
    return min(first << (before // GROWTH), MAX_BLOCK_SIZE)


class AzureSink:
    """One blob in the making.

    Args:
        client: makes the requests.
        path: ``container/name``.
        exclusive: refuse to replace a blob, also one that appears while this one is being written.
        block_size: bytes in the first blocks.

    Raises:
        ObjectExists: exclusive, and there is one.
        NotAnObject: the path names a container or a folder.
    """

    def __init__(self, client: Client, path: str, *, exclusive: bool = False, block_size: int = BLOCK_SIZE) -> None:
        self._client = client
        self._path = path
        self._exclusive = exclusive
        self._block_size = block_size
        self._filling = BytesIO()
        # Azure wants the ids of a blob's blocks to have one length; these are as long as those of its own tools.
        self._upload = uuid.uuid4().hex
        self._parts = PartsInFlight(self._stage)
        self._state = "open"
        self._process = os.getpid()
        self._container, self._name = split_path(path)
        if not self._name or self._name.endswith("/"):
            message = f"{shown(path)} is a container or a folder; name an object in it"
            raise NotAnObject(message)
        if exclusive:
            self._check_absent()

    def _check_absent(self) -> None:
        """Fail now rather than after all has been sent; the condition on commit is what decides."""
        try:
            self._call(lambda blob: blob.get_blob_properties())
        except (ObjectNotFound, AccessDenied):
            return  # writing does not take the permission to look
        message = f"{shown(self._path)} exists already, and it was to be created"
        raise ObjectExists(message)

    def _call(self, call: Callable[[BlobClient], Any]) -> Any:
        blob = self._client.blob(self._container, self._name)
        return self._client.attempt(self._path, "write", lambda: call(blob))

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send what makes up whole blocks: several at once, and while this returns.

        Raises:
            StorageError: Azure did not take a block, this or an earlier one. Nothing more can be written then.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            while view:
                if self._filling.tell() == self._size_of_block():  # whole, and not the last, as more is there
                    self._send_block()
                taken = self._filling.write(view[: self._size_of_block() - self._filling.tell()])
                view = view[taken:]
        except BaseException:
            self.discard()
            raise

    def _size_of_block(self) -> int:
        """Return how large the block is that is being filled."""
        return size_of_block(self._block_size, len(self._parts))

    def _send_block(self) -> None:
        if len(self._parts) == MAX_BLOCKS:
            message = f"{shown(self._path)} is too large to be written in {MAX_BLOCKS} blocks; nothing was written"
            raise StorageError(message)
        part, self._filling = self._filling, BytesIO()
        self._parts.put(part, following=size_of_block(self._block_size, len(self._parts) + 1))

    def _stage(self, number: int, part: BytesIO) -> str:
        """Send a block; return its id."""
        block = f"{self._upload}{number:016d}"
        data = part.getvalue()  # no copy, of a buffer that nobody else has
        # Its MD5 goes along, which Azure checks.
        self._call(lambda blob: blob.stage_block(block, data, length=len(data), validate_content=_HAS_MD5))
        return block

    def commit(self) -> None:
        """Make the blob appear, whole, in the place of what stood there.

        Raises:
            ObjectExists: exclusive, and there is one.
            StorageError: somebody else wrote the blob meanwhile, which dropped the blocks of this one.
            StorageUnavailable: no answer came. Whether the blob appeared is then not known; all of it or nothing.
        """
        self._check_open()
        try:
            if self._parts:
                self._send_block()
                self._commit_blocks(self._parts.finish())
            else:
                self._put(self._filling.getvalue())
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._filling = BytesIO()

    def _put(self, data: bytes) -> None:
        mark = {"metadata": {_MARK: self._upload}} if self._exclusive else {}
        options: dict[str, Any] = {"overwrite": not self._exclusive, "validate_content": _HAS_MD5, **mark}
        try:
            self._call(lambda blob: blob.upload_blob(data, length=len(data), **options))
        except ObjectExists:
            # An earlier try of this very write may have arrived, and only its answer not.
            if not self._is_put():
                raise

    def _is_put(self) -> bool:
        """Tell whether the blob that stands there bears this one's mark."""
        try:
            found = self._call(lambda blob: blob.get_blob_properties())
        except ConnectorError:
            return False
        return bool((found.metadata or {}).get(_MARK) == self._upload)

    def _commit_blocks(self, ids: list[str]) -> None:
        condition: dict[str, Any] = {"match_condition": MatchConditions.IfMissing} if self._exclusive else {}
        blocks = [BlobBlock(block) for block in ids]
        try:
            self._call(lambda blob: blob.commit_block_list(blocks, **condition))
        except StorageError as error:
            if isinstance(error, StorageUnavailable) or not self._exclusive:
                raise
            refused = error
        else:
            return
        # Exclusive: either an earlier try has arrived, and only its answer not; or somebody else was first.
        if not self._is_committed(ids):
            if type(refused) is StorageError:  # such as that the blocks are gone, which another commit does
                self._check_absent()
            raise refused

    def _is_committed(self, ids: list[str]) -> bool:
        """Tell whether the blob that stands there is made of this one's blocks, whose ids nobody else has."""
        try:
            committed, _ = self._call(lambda blob: blob.get_block_list("committed"))
        except ConnectorError:
            return False
        return [block.id for block in committed] == ids

    def discard(self) -> None:
        """Leave what stood there; drop what was written. Does nothing a second time, or in a forked child."""
        if self._state == "open" and self._process == os.getpid():
            self._state = "discarded"
            self._filling = BytesIO()
            self._parts.abandon()

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
