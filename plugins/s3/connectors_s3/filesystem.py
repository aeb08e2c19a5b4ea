"""The sealed objects of S3 as an fsspec filesystem, over s3fs: its errors are ours, and its listings are checked."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigError, ConnectorError, NotAnObject, NotSupported, StorageUnavailable
from connectors.storage import ListingGuard
from connectors_s3.client import Client
from connectors_s3.error_mapping import FOREIGN, Action, is_bug, storage_error
from connectors_s3.location import shown
from connectors_s3.s3fs_types import S3FileSystem, sync_wrapper
from connectors_s3.sink import MIN_PART_SIZE, PART_SIZE, S3Sink
from connectors_s3.source import S3Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from connectors_s3.credentials import S3Credentials

__all__ = ["S3"]


def _translated(name: str, action: Action) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return s3fs's coroutine method `name` with our errors in the place of its own.

    What a listing lists lies where it was asked for, or it is an error: with a folder, nothing else is to be removed,
    copied or read.
    """
    method = getattr(S3FileSystem, name)

    @functools.wraps(method)
    async def translated(self: S3, path: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            found = await method(self, path, *args, **kwargs)
            if action == "list":
                _check_below(self._strip_protocol(path), found)
        except ConnectorError:
            raise
        except FOREIGN as error:
            if is_bug(error):
                raise
            where = self._strip_protocol(path)
            ours = storage_error(error, ", ".join(where) if isinstance(where, list) else where, action)
        else:
            return found
        raise ours

    return translated


def _check_below(path: str, found: Iterable[Any]) -> None:
    """Check what is listed at a path: names, or what is told of each.

    Raises:
        StorageUnavailable: it lies elsewhere.
    """
    for one in found if path else ():
        name = one if isinstance(one, str) else one["name"]
        if not f"{name}/".startswith(f"{path}/"):
            message = f"S3 lists what was not asked for, in {shown(path)}"
            raise StorageUnavailable(message)


def _entries(page: dict[str, Any], bucket: str, where: str) -> list[dict[str, Any]]:
    """Return what is told of the objects and folders on a page of a listing, as s3fs does.

    Raises:
        StorageUnavailable: a name or a size is not told.
    """
    folder = {"Size": 0, "StorageClass": "DIRECTORY", "type": "directory"}
    try:
        found = [
            *({**folder, "Key": one["Prefix"][:-1]} for one in page.get("CommonPrefixes", ())),
            *({**one, "type": "file"} for one in page.get("Contents", ())),
        ]
        return [{**one, "Key": (name := f"{bucket}/{one['Key']}"), "name": name, "size": one["Size"]} for one in found]
    except KeyError:
        message = f"S3 lists {where} without names or sizes"
    raise StorageUnavailable(message)


class S3(Client):
    """The sealed objects of S3, as one account sees them.

    Args:
        credentials: whose account it is.
        part_size: bytes in the first parts of a large object.

    Raises:
        ConfigError: parts of this size are not allowed.
        MachineFailed: there is no thread for its requests.
    """

    def __init__(self, credentials: S3Credentials, *, part_size: int = PART_SIZE, **options: Any) -> None:
        if part_size < MIN_PART_SIZE:
            message = f"parts have {MIN_PART_SIZE} bytes at least, not {part_size}"
            raise ConfigError(message)
        self._part_size = part_size
        self._object_options = credentials.object_options
        super().__init__(credentials, **options)

    def open_source(self, path: str) -> S3Source:
        """Return the sealed bytes at ``bucket/key``, to be read by ranges; no request is made yet."""
        return S3Source(self, path)

    def open_sink(self, path: str, *, exclusive: bool = False) -> S3Sink:
        """Return a place for the sealed bytes of a new object at ``bucket/key``.

        Raises:
            ObjectExists: exclusive, and there is one.
            NotAnObject: the path names a bucket or a folder.
        """
        return S3Sink(self, path, exclusive=exclusive, part_size=self._part_size, object_options=self._object_options)

    _info = _translated("_info", "read")
    _exists = _translated("_exists", "read")
    _ls = _translated("_ls", "list")
    _find = _translated("_find", "list")
    _cat_file = _translated("_cat_file", "read")
    _cp_file = _translated("_cp_file", "write")
    _rm = _translated("_rm", "write")
    _rm_file = _translated("_rm_file", "write")
    _isdir = _translated("_isdir", "read")
    _mkdir = _translated("_mkdir", "write")
    _makedirs = _translated("_makedirs", "write")
    _rmdir = _translated("_rmdir", "write")
    # s3fs has made these of its own coroutines, once for all of its subclasses.
    find = sync_wrapper(_find)
    exists = sync_wrapper(_exists)
    isdir = sync_wrapper(_isdir)
    mkdir = sync_wrapper(_mkdir)
    makedirs = sync_wrapper(_makedirs)
    rmdir = sync_wrapper(_rmdir)

    async def _iterdir(
        self, bucket: str, delimiter: str = "/", prefix: str = "", **others: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield what is in a folder, in the place of s3fs's own.

        Many a version of that goes through the pages with botocore's paginator, which goes on for as long as there are
        more, and takes a page that does not say where the next one is for the last.

        Raises:
            NotSupported: other versions than the latest are asked for, or not all that there is.
            StorageUnavailable: the pages lead nowhere.
        """
        if unknown := [name for name, value in others.items() if value]:
            message = f"listings are of the latest versions, and whole; leave out {', '.join(unknown)}"
            raise NotSupported(message)
        where, asked = shown(f"{bucket}/{prefix}"), {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter}
        pages, more = ListingGuard(where), True
        while more:
            page = await self._call_s3("list_objects_v2", **asked)
            more, token = page.get("IsTruncated", False), page.get("NextContinuationToken")
            if more and not token:
                message = f"S3 says that its list of {where} goes on, and not where"
                raise StorageUnavailable(message)
            found = _entries(page, bucket, where)
            pages.check_page(found[0]["name"] if found else None, token if more else None)
            asked["ContinuationToken"] = token
            for entry in found:
                yield entry

    def modified(self, path: str, **kwargs: Any) -> Any:
        """Return when an object was last written, as S3 says.

        Raises:
            NotAnObject: it is a folder or a bucket, of which S3 does not say.
        """
        found = self.info(path, **kwargs)
        if found["type"] != "file":
            message = f"{shown(self._strip_protocol(path))} is a folder, which has no time; name an object in it"
            raise NotAnObject(message)
        return found["LastModified"]
