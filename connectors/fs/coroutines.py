"""Coroutines over methods: what asynchronous filesystems have, where the work is a processor's."""

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
"""Calls of asynchronous filesystems that run at once; the others wait for their turn."""


@functools.cache
def _threads(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - threads do not survive a fork
    return ThreadPoolExecutor(_THREADS, "connectors-async")


def in_thread(method: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return a coroutine method that runs a method in a thread.

    Opening sealed bytes is work for a processor: done in the event loop, it would hold up whoever shares the loop.
    """

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        call = functools.partial(method, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), call)

    coroutine.__name__ = f"_{method.__name__}"
    return coroutine
