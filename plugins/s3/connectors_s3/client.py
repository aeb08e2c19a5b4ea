"""Sends requests to S3 through s3fs, without secrets in storage options and without fsspec's configuration."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.errors import MachineFailed, StorageUnavailable
from connectors.storage import Guarded
from connectors_s3.location import split_path
from connectors_s3.s3fs_types import AioSession, S3FileSystem, iothread, reset_lock, sync_wrapper
from connectors_s3.sessions import STALL_TIMEOUT, client_config, open_session, region
from connectors_s3.transport import Transport

if TYPE_CHECKING:
    from connectors_s3.credentials import S3Credentials

__all__ = ["Client"]


class Client(Guarded, S3FileSystem):
    """Sends requests for one account. s3fs is client and filesystem in one; the subclass `S3` is the filesystem.

    The session holds the secrets. The storage options, which fsspec hashes, compares, prints, pickles and writes as
    JSON, are empty. An instance equals only itself.

    Args:
        credentials: the account's.

    Raises:
        MachineFailed: the thread for its requests cannot be started.
    """

    # fsspec fills in the constructor's arguments from FSSPEC_S3_* variables and ~/.config/fsspec according to the
    # protocol of the class. So the class has none, and each instance has the real one.
    protocol: ClassVar[tuple[str, ...]] = ()
    # botocore already retries what is worth a retry; retries by s3fs would multiply the attempts.
    retries = 1

    def __init__(
        self,
        credentials: S3Credentials,
        *,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.protocol = ("s3",)  # type: ignore[misc]  # fsspec lets an instance have its own
        try:
            super().__init__(
                anon=credentials.anonymous,
                endpoint_url=credentials.endpoint_url,
                client_kwargs={"region_name": region(credentials)},
                config_kwargs={**client_config(credentials), "http_session_cls": Transport},
                session=open_session(AioSession, credentials),
                use_listings_cache=False,
                asynchronous=asynchronous,
                loop=loop,
            )
        except RuntimeError:
            if asynchronous or loop is not None or iothread[0] is not None:
                raise
            # fsspec would keep the event loop that no thread runs, and every later request would wait forever.
            reset_lock()
        else:
            return
        message = "no thread can be started for the requests to S3; end some threads, or raise the limit (ulimit -u)"
        raise MachineFailed(message)

    @property
    def loop(self) -> Any:
        """The event loop that runs the requests.

        Raises:
            StorageUnavailable: this process is a forked child, in which no thread runs the loop.
        """
        if self._pid != os.getpid():
            message = "the connection to S3 was opened by the parent process; open it again in this one"
            raise StorageUnavailable(message)
        return self._loop

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Send a request, and give it up if it stalls: aiohttp itself waits forever for a server to accept a body.

        Raises:
            TimeoutError: no response came and no more of the body was sent for `STALL_TIMEOUT` seconds.
        """
        body: Any = kwargs.get("Body")
        position = None
        request = asyncio.ensure_future(super()._call_s3(method, *args, **kwargs))
        try:
            while not (await asyncio.wait({request}, timeout=STALL_TIMEOUT))[0]:
                before, position = position, body.tell() if body is not None else None
                if position == before:
                    message = "a request stalled"
                    raise TimeoutError(message)
            return request.result()
        finally:
            request.cancel()

    call_s3 = sync_wrapper(_call_s3)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Return ``bucket/key`` of a path with or without ``s3://``."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("s3://").rstrip("/")

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Return the bucket and the literal key: s3fs's own method reads ``?versionId=`` in a key as a version."""
        return *split_path(path), None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.endpoint_url or 'AWS'}>"
