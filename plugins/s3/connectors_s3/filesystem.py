"""s3fs, without what makes it dangerous here: secrets in its storage options, and settings of the machine's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.errors import ConfigError, ConnectorError
from connectors.guarded import Guarded
from connectors_s3.direct import DirectSession
from connectors_s3.faults import FOREIGN, Action, storage_error
from connectors_s3.location import split_path
from connectors_s3.s3fs_types import AioSession, S3FileSystem
from connectors_s3.sessions import client_config, open_session, region
from connectors_s3.sink import MIN_PART_SIZE, PART_SIZE, S3Sink
from connectors_s3.source import S3Source

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from connectors_s3.credentials import S3Credentials

__all__ = ["S3"]


def _translated(name: str, action: Action) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return s3fs's coroutine method `name` with our errors in the place of its own."""
    method = getattr(S3FileSystem, name)

    @functools.wraps(method)
    async def translated(self: S3, path: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return await method(self, path, *args, **kwargs)
        except ConnectorError:
            raise
        except FOREIGN as error:
            ours = storage_error(error, self._strip_protocol(path), action)
        raise ours

    return translated


class S3(Guarded, S3FileSystem):
    """The sealed objects of S3, as one account sees them.

    The secrets are in a session of its own, never among the storage options, which fsspec hashes, compares, prints,
    pickles and writes as JSON: those are empty. Two instances are equal only if they are one.

    Args:
        credentials: whose account it is.
        part_size: bytes in the first parts of a large object.

    Raises:
        ConfigError: parts of this size are not allowed.
    """

    # fsspec fills in a constructor's arguments from FSSPEC_S3_* variables and ~/.config/fsspec by the class's
    # protocol. The instance has the real one.
    protocol: ClassVar[tuple[str, ...]] = ()
    # botocore repeats what is worth repeating; s3fs on top of it would multiply the attempts.
    retries = 1

    def __init__(
        self,
        credentials: S3Credentials,
        *,
        part_size: int = PART_SIZE,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if part_size < MIN_PART_SIZE:
            message = f"parts have {MIN_PART_SIZE} bytes at least, not {part_size}"
            raise ConfigError(message)
        self.protocol = ("s3",)  # type: ignore[misc]  # fsspec lets an instance have its own
        self._part_size = part_size
        self._object_options = credentials.object_options
        super().__init__(
            anon=credentials.anonymous,
            endpoint_url=credentials.endpoint_url,
            client_kwargs={"region_name": region(credentials)},
            config_kwargs={**client_config(credentials), "http_session_cls": DirectSession},
            session=open_session(AioSession, credentials),
            use_listings_cache=False,
            asynchronous=asynchronous,
            loop=loop,
        )

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
    _rm_file = _translated("_rm_file", "write")

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Return ``bucket/key`` of a path with or without ``s3://``."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("s3://").rstrip("/")

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Return bucket and key, the key as it stands: s3fs's own takes a ``?versionId=`` in it for a version."""
        return *split_path(path), None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.endpoint_url or 'AWS'}>"
