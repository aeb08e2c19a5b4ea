"""The fsspec filesystem of sealed objects in S3, which keeps secrets out of its storage options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import ConfigError
from connectors.storage import BucketFileSystem, PartSizes
from connectors_s3.location import LOCATION
from connectors_s3.store import S3Store

if TYPE_CHECKING:
    from connectors_s3.credentials import S3Credentials

__all__ = ["MAX_PARTS", "MAX_PART_SIZE", "MIN_PART_SIZE", "PART_SIZE", "S3"]

PART_SIZE = 8 << 20
"""Bytes in the first parts: several are sent at once, so small parts distribute an object over the connections."""
MIN_PART_SIZE = 5 << 20
"""Bytes in the smallest part other than the last: Amazon S3 User Guide, "Amazon S3 multipart upload limits"."""
MAX_PARTS = 10_000
"""The most parts in an upload, according to the same page."""
MAX_PART_SIZE = 1 << 30
"""Bytes in the largest part; S3 allows 5 GiB, but a part is held in memory."""
MAX_SIZE = 5 << 40
"""Bytes in the largest object, according to the same page."""


class S3(BucketFileSystem):
    """The sealed objects in S3 that one account can see.

    Args:
        credentials: the account's.
        part_size: bytes in each part of a large object; None for `PART_SIZE`, and larger ones for large objects.

    Raises:
        ConfigError: `part_size` is not allowed.
    """

    schemes = LOCATION.schemes
    store: S3Store

    def __init__(self, credentials: S3Credentials, *, part_size: int | None = None) -> None:
        size = part_size or credentials.part_size
        if size is not None and not MIN_PART_SIZE <= size <= 5 << 30:
            message = f"the size of a part is {MIN_PART_SIZE} to {5 << 30} bytes, not {size}"
            raise ConfigError(message)
        sizes = PartSizes(size or PART_SIZE, MIN_PART_SIZE, MAX_PART_SIZE, MAX_PARTS, MAX_SIZE, fixed=size is not None)
        super().__init__(S3Store(credentials), sizes)
