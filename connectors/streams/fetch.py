"""Fetch ranges of an object in order, several at once if that is faster than one by one."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from connectors.streams.executor import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

__all__ = ["came_from_memory", "fetch_in_order"]

FASTEST = 40e9
"""Bytes per second above which the data was not even copied."""


def came_from_memory(size: int, seconds: float) -> bool:
    """Return whether `size` bytes arrived so fast that they were in memory, where prefetching only costs time."""
    return size >= FASTEST * seconds


def fetch_in_order(
    fetch: Callable[[int, int], memoryview], spans: Iterable[tuple[int, int]], at_once: int
) -> Iterator[memoryview]:
    """Yield the result of `fetch` for each span, while up to `at_once` threads prefetch the next ones.

    The caller fetches the first two itself, and all of them if the bytes are in memory already.
    """
    spans = iter(spans)
    at_hand = at_once == 0
    for number, span in enumerate(spans):
        start = time.perf_counter()
        fetched = fetch(*span)
        at_hand = at_hand or came_from_memory(len(fetched), time.perf_counter() - start)
        yield fetched
        if number and not at_hand:
            break
    else:
        return
    threads = ThreadPoolExecutor(at_once or 1, "connectors-ahead")
    coming: deque[Future[memoryview]] = deque()
    try:
        for span in spans:
            coming.append(submit(threads, fetch, *span))
            if len(coming) > at_once:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
