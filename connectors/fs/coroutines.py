"""Coroutines that run methods in threads, for asynchronous filesystems."""

from __future__ import annotations

import asyncio
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from connectors._fsspec import AsyncFileSystem, get_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

__all__ = ["ThreadedCoroutines"]

_THREADS = 32
"""Calls of asynchronous filesystems that run at once; others wait."""


@functools.cache
def _threads(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - threads do not survive a fork
    return ThreadPoolExecutor(_THREADS, "connectors-async")


def _in_thread(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return a coroutine method that runs the method `name` in a thread.

    Decryption is CPU-bound: in the event loop, it would block everything else in the loop.
    """

    async def coroutine(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = functools.partial(getattr(self, name), *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), call)

    coroutine.__name__ = f"_{name}"
    return coroutine


class ThreadedCoroutines(AsyncFileSystem):
    """fsspec's coroutines, each of which runs the method of its name in a thread; fsspec's own omit what is refused."""

    async_impl = True
    mirror_sync_methods = False  # fsspec would make the methods from the coroutines, which need a running event loop

    def __init__(
        self, *args: Any, asynchronous: bool = False, loop: asyncio.AbstractEventLoop | None = None, **kwargs: Any
    ) -> None:
        # With asynchronous=False, fsspec would start the thread of its own event loop, which none of these methods
        # needs, and which cannot be had everywhere: under gevent, or at the limit of threads.
        super().__init__(*args, asynchronous=True, **kwargs)
        self.asynchronous = asynchronous
        self._own_loop = loop

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that was given, or else fsspec's own."""
        return self._own_loop or get_loop()

    _info = _in_thread("info")
    _exists = _in_thread("exists")
    _isdir = _in_thread("isdir")
    _isfile = _in_thread("isfile")
    _size = _in_thread("size")
    _sizes = _in_thread("sizes")
    _ls = _in_thread("ls")
    _find = _in_thread("find")
    _glob = _in_thread("glob")
    _du = _in_thread("du")
    _expand_path = _in_thread("expand_path")
    _cat_file = _in_thread("cat_file")
    _cat_ranges = _in_thread("cat_ranges")
    _cat = _in_thread("cat")
    _pipe_file = _in_thread("pipe_file")
    _pipe = _in_thread("pipe")
    _get_file = _in_thread("get_file")
    _get = _in_thread("get")
    _put_file = _in_thread("put_file")
    _put = _in_thread("put")
    _cp_file = _in_thread("cp_file")
    _copy = _in_thread("copy")
    _mv_file = _in_thread("mv")
    _mkdir = _in_thread("mkdir")
    _makedirs = _in_thread("makedirs")
    _rm_file = _in_thread("rm_file")
    _rm = _in_thread("rm")
    _created = _in_thread("created")
    _modified = _in_thread("modified")
    _walked = _in_thread("walked")

    async def _walk(self, path: str, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Yield the folders below a path as `walk` does; all of them are listed before the first is yielded."""
        for found in await self._walked(path, *args, **kwargs):
            yield found
