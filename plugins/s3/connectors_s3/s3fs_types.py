"""Imports what this plugin uses of s3fs, aiobotocore and fsspec's event loop, which ship no types.

`s3fs_types.pyi` in the same folder declares the types.
"""

from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from fsspec.asyn import iothread, reset_lock, sync, sync_wrapper
from s3fs import S3FileSystem

__all__ = ["AIOHTTPSession", "AioSession", "S3FileSystem", "iothread", "reset_lock", "sync", "sync_wrapper"]
