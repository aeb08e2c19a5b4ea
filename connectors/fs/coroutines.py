"""Coroutines that run methods in threads, for asynchronous filesystems."""

from __future__ import annotations

import asyncio
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["in_thread"]

_THREADS = 32
"""Calls of asynchronous filesystems that run at once; others wait."""


@functools.cache
def _threads(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - threads do not survive a fork
    return ThreadPoolExecutor(_THREADS, "connectors-async")


def in_thread(method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return a coroutine method that runs a method in a thread.

    Decryption is CPU-bound: in the event loop, it would block everything else in the loop.
    """

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        call = functools.partial(method, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), call)

    coroutine.__name__ = f"_{method.__name__}"
    return coroutine
