"""Requests to S3 by s3fs, without what makes it dangerous here: secrets in storage options, settings of the machine."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.errors import MachineFailed, StorageUnavailable
from connectors.storage import Guarded
from connectors_s3.location import split_path
from connectors_s3.s3fs_types import AioSession, S3FileSystem, iothread, reset_lock, sync_wrapper
from connectors_s3.sessions import LONGEST, client_config, open_session, region
from connectors_s3.transport import Transport

if TYPE_CHECKING:
    from connectors_s3.credentials import S3Credentials

__all__ = ["Client"]


class Client(Guarded, S3FileSystem):
    """Requests of one account. s3fs is a client and a filesystem in one: `S3` makes it the filesystem that is used.

    The secrets are in a session of its own, never among the storage options, which fsspec hashes, compares, prints,
    pickles and writes as JSON: those are empty. Two instances are equal only if they are one.

    Args:
        credentials: whose account it is.

    Raises:
        MachineFailed: there is no thread for its requests.
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
            # fsspec would keep its event loop, which no thread runs, and whoever asked it would wait for ever.
            reset_lock()
        else:
            return
        message = "there is no thread for the requests to S3: end some, or raise the limit (ulimit -u)"
        raise MachineFailed(message)

    @property
    def loop(self) -> Any:
        """The event loop that runs the requests.

        Raises:
            StorageUnavailable: this is a forked child, in which no thread runs it.
        """
        if self._pid != os.getpid():
            message = "this was opened by the process that this one was forked from, and is its alone; open it here"
            raise StorageUnavailable(message)
        return self._loop

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Make a request, and give it up when nothing comes of it: aiohttp waits for ever until a body is taken.

        Raises:
            TimeoutError: for `LONGEST` seconds there was no answer, and no more of the body was taken.
        """
        body: Any = kwargs.get("Body")
        position = None
        request = asyncio.ensure_future(super()._call_s3(method, *args, **kwargs))
        try:
            while not (await asyncio.wait({request}, timeout=LONGEST))[0]:
                before, position = position, body.tell() if body is not None else None
                if position == before:
                    message = "nothing came of a request"
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
        """Return bucket and key, the key as it stands: s3fs's own takes a ``?versionId=`` in it for a version."""
        return *split_path(path), None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.endpoint_url or 'AWS'}>"
