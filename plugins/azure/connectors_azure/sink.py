"""Writes a blob that is invisible until commit.

A small blob is written with one Put Blob. A larger one is staged in blocks, and appears when its block list is
committed. Uncommitted blocks are in no listing. Azure has no request that deletes them, and deletes them itself: after
a week, or when a blob is next committed under that name.
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
"""Bytes in the first blocks; blocks are sent in parallel, and small blocks spread a blob over the connections."""
MAX_BLOCK_SIZE = 4000 << 20
"""Bytes in the largest block: Azure Storage, "Scalability targets for Blob storage"."""
MAX_BLOCKS = 50_000
"""The most blocks in a blob: from the same page."""
_MARK = "upload"
"""The metadata of a small blob created with `exclusive` that names the upload that created it."""
GROWTH = 4_000
"""The block size doubles after this many blocks: with the default size, 50,000 blocks hold 69 TiB."""


def _has_md5() -> bool:
    """Return whether this machine can compute MD5, which Azure checks; in FIPS mode it cannot."""
    try:
        hashlib.md5(b"")  # noqa: S324 - detects transmission errors; the data is sealed
    except ValueError:
        return False
    return True


_HAS_MD5 = _has_md5()


def size_of_block(first: int, before: int) -> int:
    """Return the size in bytes of the block after `before` others, if the first block has `first` bytes."""
    return min(first << (before // GROWTH), MAX_BLOCK_SIZE)


class AzureSink:
    """One blob that is being written.

    Args:
        client: the account's client.
        path: ``container/name``.
        exclusive: do not replace a blob, even one that appears while this one is being written.
        block_size: bytes in the first blocks.

    Raises:
        ObjectExists: `exclusive`, and the blob exists.
        NotAnObject: the path names a container or a folder.
    """

    def __init__(self, client: Client, path: str, *, exclusive: bool = False, block_size: int = BLOCK_SIZE) -> None:
        self._client = client
        self._path = path
        self._exclusive = exclusive
        self._block_size = block_size
        self._pending = BytesIO()
        # All block ids of a blob must have the same length; these are as long as those of Azure's own tools.
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
        """Fail early if the blob exists, before data is sent; only the condition on commit is reliable."""
        try:
            self._call(lambda blob: blob.get_blob_properties())
        except (ObjectNotFound, AccessDenied):
            return  # writing does not need permission to read
        message = f"{shown(self._path)} already exists, and mode 'xb' does not replace it"
        raise ObjectExists(message)

    def _call(self, call: Callable[[BlobClient], Any]) -> Any:
        blob = self._client.blob(self._container, self._name)
        return self._client.attempt(self._path, "write", lambda: call(blob))

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send the blocks that are complete, in parallel and in the background.

        Raises:
            StorageError: Azure did not accept this block or an earlier one. The sink accepts nothing more.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            while view:
                # A complete block is sent only when more data follows, which shows that it is not the last.
                if self._pending.tell() == self._size_of_block():
                    self._send_block()
                taken = self._pending.write(view[: self._size_of_block() - self._pending.tell()])
                view = view[taken:]
        except BaseException:
            self.discard()
            raise

    def _size_of_block(self) -> int:
        """Return the size of the block that is being filled."""
        return size_of_block(self._block_size, len(self._parts))

    def _send_block(self) -> None:
        if len(self._parts) == MAX_BLOCKS:
            message = f"{shown(self._path)} is too large for {MAX_BLOCKS} blocks; nothing was written"
            raise StorageError(message)
        part, self._pending = self._pending, BytesIO()
        self._parts.put(part, following=size_of_block(self._block_size, len(self._parts) + 1))

    def _stage(self, number: int, part: BytesIO) -> str:
        """Send a block, and return its id."""
        block = f"{self._upload}{number:016d}"
        data = part.getvalue()  # makes no copy, because the buffer is not shared
        # validate_content sends the MD5 of the block, which Azure checks.
        self._call(lambda blob: blob.stage_block(block, data, length=len(data), validate_content=_HAS_MD5))
        return block

    def commit(self) -> None:
        """Make the complete blob appear, in place of the previous blob.

        Raises:
            ObjectExists: `exclusive`, and the blob exists.
            StorageError: another client wrote the blob meanwhile, so Azure discarded the blocks of this one.
            StorageUnavailable: no response came, so the complete blob may or may not have appeared.
        """
        self._check_open()
        try:
            if self._parts:
                self._send_block()
                self._commit_blocks(self._parts.finish())
            else:
                self._put(self._pending.getvalue())
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._pending = BytesIO()

    def _put(self, data: bytes) -> None:
        mark = {"metadata": {_MARK: self._upload}} if self._exclusive else {}
        options: dict[str, Any] = {"overwrite": not self._exclusive, "validate_content": _HAS_MD5, **mark}
        try:
            self._call(lambda blob: blob.upload_blob(data, length=len(data), **options))
        except ObjectExists:
            # The stored blob may be from an earlier attempt of this write whose response was lost.
            if not self._was_put():
                raise

    def _was_put(self) -> bool:
        """Return whether the stored blob has the mark of this upload."""
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
            refusal = error
        else:
            return
        # Exclusive: the stored blob is from an earlier attempt whose response was lost, or from another client.
        if not self._was_committed(ids):
            if type(refusal) is StorageError:  # for example, the blocks are gone because of another commit
                self._check_absent()
            raise refusal

    def _was_committed(self, ids: list[str]) -> bool:
        """Return whether the stored blob consists of the blocks of this upload, whose ids no other upload has."""
        try:
            committed, _ = self._call(lambda blob: blob.get_block_list("committed"))
        except ConnectorError:
            return False
        return [block.id for block in committed] == ids

    def discard(self) -> None:
        """Keep the previous blob and drop what was written. Does nothing when called again, or in a forked child."""
        if self._state == "open" and self._process == os.getpid():
            self._state = "discarded"
            self._pending = BytesIO()
            self._parts.abandon()

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
