"""A process that runs out of file descriptors (really), or of threads (as Python reports it)."""

from __future__ import annotations

import os
import resource
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["few_descriptors", "few_threads"]


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """Let this process open only `count` more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + count + 8, hard))
    held = []
    try:
        while True:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        for _ in range(count):
            os.close(held.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


@contextmanager
def few_threads(allows: Callable[[int], bool]) -> Iterator[list[int]]:
    """Let this process start only the threads that `allows` permits, given how many were requested before.

    The others fail as at a limit of the system (RLIMIT_NPROC, which does not apply to root): in the call that requests
    a thread from the system. The list that is yielded has an entry for each requested thread.
    """
    name = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
    real = getattr(threading, name)
    requested: list[int] = []

    def start(*arguments: object, **options: object) -> object:
        requested.append(len(requested))
        if not allows(requested[-1]):
            message = "can't start new thread"
            raise RuntimeError(message)
        return real(*arguments, **options)

    setattr(threading, name, start)
    try:
        yield requested
    finally:
        setattr(threading, name, real)
