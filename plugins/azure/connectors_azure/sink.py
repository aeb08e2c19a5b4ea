"""A blob in the making: nothing of it can be seen until it is committed.

A small blob is one Put Blob. A larger one is staged block by block, and appears with the list of its blocks. Blocks in
no list are in no listing either. Azure has no request that drops them, and drops them itself: after a week, or when the
next blob is committed under the name.
"""

from __future__ import annotations

import hashlib
import uuid
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
from connectors_azure.location import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.blob import BlobClient

    from connectors_azure.filesystem import AzureFileSystem

__all__ = ["BLOCK_SIZE", "MAX_BLOCKS", "MAX_BLOCK_SIZE", "AzureSink"]

BLOCK_SIZE = 1 << 24
"""Bytes in the first blocks."""
MAX_BLOCK_SIZE = 4000 << 20
"""Bytes in the largest block, and
MAX_BLOCKS, the most blocks: Azure Storage, "Scalability targets for Blob storage"."""
MAX_BLOCKS = 50_000
_MARK = "upload"
"""Metadata of a small blob that was created exclusively: who created it."""
GROWTH = 5_000
"""After so many blocks their size doubles: with the default, 50,000 of them are 57 TiB."""


def _has_md5() -> bool:
    """Tell whether this machine computes MD5, which Azure checks: one in FIPS mode does not."""
    try:
        hashlib.md5(b"")  # noqa: S324 - against accidents on the way; what is stored is sealed
    except ValueError:
        return False
    return True


_HAS_MD5 = _has_md5()


class AzureSink:
    """One blob in the making.

    Args:
        fs: the filesystem.
        path: ``container/name``.
        exclusive: refuse to replace a blob, also one that appears while this one is being written.
        block_size: bytes in the first blocks.

    Raises:
        ObjectExists: exclusive, and there is one.
        NotAnObject: the path names a container or a folder.
    """

    def __init__(
        self, fs: AzureFileSystem, path: str, *, exclusive: bool = False, block_size: int = BLOCK_SIZE
    ) -> None:
        self._fs = fs
        self._path = path
        self._exclusive = exclusive
        self._block_size = block_size
        self._pending = bytearray()
        # Azure wants the ids of a blob's blocks to have one length; these are as long as those of its own tools.
        self._upload = uuid.uuid4().hex
        self._blocks: list[str] = []
        self._state = "open"
        self._container, self._name = fs.split_path(path)
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
        blob = self._fs.service().get_blob_client(self._container, self._name)
        return self._fs.attempt(self._path, "write", lambda: call(blob))

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send what makes up whole blocks.

        Raises:
            StorageError: Azure did not take a block. Nothing more can be written then.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            while view:
                # One byte more than a block has to be there: it shows that the block is not the last.
                room = self._size_of_block() + 1 - len(self._pending)
                self._pending += view[:room]
                view = view[room:]
                if len(self._pending) > self._size_of_block():
                    self._send_block(self._size_of_block())
        except BaseException:
            self.discard()
            raise

    def _size_of_block(self) -> int:
        """Return how large the next block is."""
        return min(self._block_size << (len(self._blocks) // GROWTH), MAX_BLOCK_SIZE)

    def _send_block(self, size: int) -> None:
        number = len(self._blocks)
        if number >= MAX_BLOCKS:
            message = f"{shown(self._path)} is too large to be written in {MAX_BLOCKS} blocks; nothing was written"
            raise StorageError(message)
        block = f"{self._upload}{number:016d}"
        with memoryview(self._pending) as pending:
            data = bytes(pending[:size])
        del self._pending[:size]
        # Its MD5 goes along, which Azure checks.
        self._call(lambda blob: blob.stage_block(block, data, length=len(data), validate_content=_HAS_MD5))
        self._blocks.append(block)

    def commit(self) -> None:
        """Make the blob appear, whole, in the place of what stood there.

        Raises:
            ObjectExists: exclusive, and there is one.
            StorageError: somebody else wrote the blob meanwhile, which dropped the blocks of this one.
            StorageUnavailable: no answer came. Whether the blob appeared is then not known; all of it or nothing.
        """
        self._check_open()
        try:
            if self._blocks:
                if self._pending:
                    self._send_block(len(self._pending))
                self._commit_blocks()
            else:
                self._put(bytes(self._pending))
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._pending = bytearray()

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

    def _commit_blocks(self) -> None:
        condition: dict[str, Any] = {"match_condition": MatchConditions.IfMissing} if self._exclusive else {}
        blocks = [BlobBlock(block) for block in self._blocks]
        try:
            self._call(lambda blob: blob.commit_block_list(blocks, **condition))
        except StorageError as error:
            if isinstance(error, StorageUnavailable) or not self._exclusive:
                raise
            refused = error
        else:
            return
        # Exclusive: either an earlier try has arrived, and only its answer not; or somebody else was first.
        if not self._is_committed():
            if type(refused) is StorageError:  # such as that the blocks are gone, which another commit does
                self._check_absent()
            raise refused

    def _is_committed(self) -> bool:
        """Tell whether the blob that stands there is made of this one's blocks, whose ids nobody else has."""
        try:
            committed, _ = self._call(lambda blob: blob.get_block_list("committed"))
        except ConnectorError:
            return False
        return [block.id for block in committed] == self._blocks

    def discard(self) -> None:
        """Leave what stood there; drop what was written. Does nothing a second time."""
        if self._state == "open":
            self._state = "discarded"
            self._pending = bytearray()

    def _check_open(self) -> None:
        if self._state != "open":
            message = f"{shown(self._path)} was {self._state} already"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self._path)} {self._state}>"
