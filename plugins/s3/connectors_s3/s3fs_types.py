"""The part of s3fs and aiobotocore that this plugin stands on, in one place, with types: they ship none.

`s3fs_types.pyi` beside this file describes it to type checkers.
"""

from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from fsspec.asyn import iothread, reset_lock, sync, sync_wrapper
from s3fs import S3FileSystem

__all__ = ["AIOHTTPSession", "AioSession", "S3FileSystem", "iothread", "reset_lock", "sync", "sync_wrapper"]
