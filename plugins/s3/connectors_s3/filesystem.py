"""The fsspec filesystem of sealed objects in S3, based on s3fs: it raises our errors, and checks listings."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigError, ConnectorError, NotAnObject, NotSupported, StorageUnavailable
from connectors.storage import ListingGuard
from connectors_s3.client import Client
from connectors_s3.error_mapping import LIBRARY_ERRORS, Action, is_bug, storage_error
from connectors_s3.location import shown
from connectors_s3.s3fs_types import S3FileSystem, sync_wrapper
from connectors_s3.sink import MIN_PART_SIZE, PART_SIZE, S3Sink
from connectors_s3.source import S3Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable

    from connectors_s3.credentials import S3Credentials

__all__ = ["S3"]


def _with_our_errors(name: str, action: Action) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return s3fs's coroutine method `name`, changed to raise our errors instead of its own.

    A listing with names outside the requested folder is an error: otherwise, removing, copying or reading the folder
    would remove, copy or read other objects too.
    """
    method = getattr(S3FileSystem, name)

    @functools.wraps(method)
    async def wrapper(self: S3, path: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            found = await method(self, path, *args, **kwargs)
            if action == "list":
                _check_below(self._strip_protocol(path), found)
        except ConnectorError:
            raise
        except LIBRARY_ERRORS as error:
            if is_bug(error):
                raise
            where = self._strip_protocol(path)
            ours = storage_error(error, ", ".join(where) if isinstance(where, list) else where, action)
        else:
            return found
        raise ours

    return wrapper


def _check_below(path: str, found: Iterable[Any]) -> None:
    """Check that the listed names, or the names of the listed entries, are at or below a path.

    Raises:
        StorageUnavailable: one is not.
    """
    for one in found if path else ():
        name = one if isinstance(one, str) else one["name"]
        if not f"{name}/".startswith(f"{path}/"):
            message = f"S3 sent a listing of {shown(path)} with names outside it"
            raise StorageUnavailable(message)


def _entries(page: dict[str, Any], bucket: str, where: str) -> list[dict[str, Any]]:
    """Return the entries for the objects and folders on a page of a listing, in the form of s3fs.

    Raises:
        StorageUnavailable: a name or a size is missing.
    """
    folder = {"Size": 0, "StorageClass": "DIRECTORY", "type": "directory"}
    try:
        found = [
            *({**folder, "Key": one["Prefix"][:-1]} for one in page.get("CommonPrefixes", ())),
            *({**one, "type": "file"} for one in page.get("Contents", ())),
        ]
        return [{**one, "Key": (name := f"{bucket}/{one['Key']}"), "name": name, "size": one["Size"]} for one in found]
    except KeyError:
        message = f"S3 sent a listing of {where} without names or sizes"
    raise StorageUnavailable(message)


class S3(Client):
    """The sealed objects in S3 that one account can see.

    Args:
        credentials: the account's.
        part_size: bytes in the first parts of a large object.

    Raises:
        ConfigError: `part_size` is not allowed.
        MachineFailed: the thread for its requests cannot be started.
    """

    def __init__(self, credentials: S3Credentials, *, part_size: int = PART_SIZE, **options: Any) -> None:
        if part_size < MIN_PART_SIZE:
            message = f"the size of a part is at least {MIN_PART_SIZE} bytes, not {part_size}"
            raise ConfigError(message)
        self._part_size = part_size
        self._object_options = credentials.object_options
        super().__init__(credentials, **options)

    def open_source(self, path: str) -> S3Source:
        """Return a source that reads the sealed bytes at ``bucket/key`` by ranges; makes no request yet."""
        return S3Source(self, path)

    def open_sink(self, path: str, *, exclusive: bool = False) -> S3Sink:
        """Return a sink for the sealed bytes of a new object at ``bucket/key``.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
            NotAnObject: the path names a bucket or a folder.
        """
        return S3Sink(self, path, exclusive=exclusive, part_size=self._part_size, object_options=self._object_options)

    _info = _with_our_errors("_info", "read")
    _exists = _with_our_errors("_exists", "read")
    _ls = _with_our_errors("_ls", "list")
    _find = _with_our_errors("_find", "list")
    _cat_file = _with_our_errors("_cat_file", "read")
    _cp_file = _with_our_errors("_cp_file", "write")
    _rm = _with_our_errors("_rm", "write")
    _rm_file = _with_our_errors("_rm_file", "write")
    _isdir = _with_our_errors("_isdir", "read")
    _mkdir = _with_our_errors("_mkdir", "write")
    _makedirs = _with_our_errors("_makedirs", "write")
    _rmdir = _with_our_errors("_rmdir", "write")
    # In s3fs, these call the coroutines of S3FileSystem itself, and not those of a subclass.
    find = sync_wrapper(_find)
    exists = sync_wrapper(_exists)
    isdir = sync_wrapper(_isdir)
    mkdir = sync_wrapper(_mkdir)
    makedirs = sync_wrapper(_makedirs)
    rmdir = sync_wrapper(_rmdir)

    async def _iterdir(
        self, bucket: str, delimiter: str = "/", prefix: str = "", **others: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the entries in a folder; replaces the method of s3fs.

        In many versions of s3fs, that method uses botocore's paginator, which continues for as long as the storage
        announces more pages, and takes a page without a continuation token for the last one.

        Raises:
            NotSupported: older versions of objects, or only a part of the listing, are requested.
            StorageUnavailable: the listing is invalid, incomplete or endless.
        """
        if unknown := [name for name, value in others.items() if value]:
            message = f"only complete listings of the latest versions are supported; leave out {', '.join(unknown)}"
            raise NotSupported(message)
        where, arguments = shown(f"{bucket}/{prefix}"), {"Bucket": bucket, "Prefix": prefix, "Delimiter": delimiter}
        pages, more = ListingGuard(where), True
        while more:
            page = await self._call_s3("list_objects_v2", **arguments)
            more, token = page.get("IsTruncated", False), page.get("NextContinuationToken")
            if more and not token:
                message = f"S3 sent an incomplete listing of {where}: it has further pages, but no token for the next"
                raise StorageUnavailable(message)
            found = _entries(page, bucket, where)
            pages.check_page(found[0]["name"] if found else None, token if more else None)
            arguments["ContinuationToken"] = token
            for entry in found:
                yield entry

    def find_all(self, path: str, *, folders: bool) -> dict[str, dict[str, Any]]:
        """Return everything below a folder, or the object itself, by name: all of it, or an error."""
        found: dict[str, dict[str, Any]] = self.find(path, detail=True)
        if not folders:
            return found
        # Not by s3fs, which returns a folder in place of an object of its name.
        top = self._strip_protocol(path)
        for name in list(found):
            parent = name.rpartition("/")[0]
            while len(parent) >= len(top) and parent not in found:
                found[parent] = {"name": parent, "Key": parent, "type": "directory", "size": 0, "Size": 0}
                parent = parent.rpartition("/")[0]
        return dict(sorted(found.items()))

    def modified(self, path: str, **kwargs: Any) -> Any:
        """Return when an object was last written according to S3.

        Raises:
            NotAnObject: it is a bucket or a folder, which has no such time.
        """
        found = self.info(path, **kwargs)
        if found["type"] != "file":
            message = f"{shown(self._strip_protocol(path))} is a bucket or a folder; name an object in it"
            raise NotAnObject(message)
        return found["LastModified"]
