"""The fsspec filesystem of sealed objects in Google Cloud Storage.

It does not use gcsfs: importing gcsfs unpickles ``~/.gcs_tokens``, before any option can prevent it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.errors import ConfigError
from connectors.storage import BucketFileSystem, PartSizes
from connectors_gcs.location import LOCATION
from connectors_gcs.store import GcsStore

if TYPE_CHECKING:
    from connectors_gcs.credentials import GcsCredentials

__all__ = ["Gcs"]

CHUNK_UNIT = 1 << 18
"""Every chunk's size but the last's is a multiple of this: "Perform resumable uploads", "Multiple chunk upload"."""
CHUNK_SIZE = 1 << 24
"""Bytes in a chunk. An object may have any number of chunks, so they need not grow."""
MAX_SIZE = 5 << 40
"""Bytes in the largest object: Cloud Storage documentation, "Quotas & limits", "Objects"."""


class Gcs(BucketFileSystem):
    """The sealed objects in Google Cloud Storage that one account can see.

    Args:
        credentials: the account's.
        chunk_size: bytes in a chunk of a large object, a multiple of 256 KiB.

    Raises:
        ConfigError: `chunk_size` is not allowed.
    """

    schemes = LOCATION.schemes

    def __init__(self, credentials: GcsCredentials, *, chunk_size: int = CHUNK_SIZE) -> None:
        if chunk_size < CHUNK_UNIT or chunk_size % CHUNK_UNIT:
            message = f"the size of a chunk is a multiple of {CHUNK_UNIT} bytes, not {chunk_size}"
            raise ConfigError(message)
        sizes = PartSizes(chunk_size, least=CHUNK_UNIT, most=chunk_size, count=None, total=MAX_SIZE)
        super().__init__(GcsStore(credentials), sizes)
