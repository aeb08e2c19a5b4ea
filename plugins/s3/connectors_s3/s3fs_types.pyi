import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from connectors.storage import AbstractFileSystem

_T = TypeVar("_T")

class AioSession: ...

class AIOHTTPSession:
    async def send(self, request: Any) -> Any: ...
    async def _get_session(self, proxy_url: str | None) -> Any: ...

class S3FileSystem(AbstractFileSystem):
    retries: int
    endpoint_url: str | None
    session: AioSession
    _pid: int
    _loop: asyncio.AbstractEventLoop
    def __init__(
        self,
        anon: bool = False,
        endpoint_url: str | None = None,
        *,
        client_kwargs: dict[str, Any] | None = None,
        config_kwargs: dict[str, Any] | None = None,
        session: AioSession | None = None,
        use_listings_cache: bool = True,
        asynchronous: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any: ...
    def call_s3(self, method: str, **kwargs: Any) -> dict[str, Any]: ...
    def split_path(self, path: str) -> tuple[str, str, str | None]: ...
    def to_json(self, *, include_password: bool = True) -> str: ...
    def to_dict(self, *, include_password: bool = True) -> dict[str, Any]: ...
    @property
    def _fs_token(self) -> str: ...

def sync(
    loop: asyncio.AbstractEventLoop, func: Callable[..., Awaitable[_T]], *args: object, timeout: float | None = None
) -> _T: ...
def sync_wrapper(func: Callable[..., Awaitable[_T]]) -> Callable[..., _T]: ...

iothread: list[threading.Thread | None]

def reset_lock() -> None: ...
