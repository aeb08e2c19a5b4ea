"""A process that runs out of things: of descriptors, really; of threads, as Python tells of it."""

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
    """Let this process open `count` files more than it has open."""
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
    """Let this process start only those threads that `allows` says, given how many were asked for before.

    The others fail as they do at a limit of the system's (RLIMIT_NPROC, which binds no administrator): in the call that
    asks the system for one. The list that is given has an entry for each that was asked for.
    """
    name = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
    real = getattr(threading, name)
    asked: list[int] = []

    def start(*arguments: object, **options: object) -> object:
        asked.append(len(asked))
        if not allows(asked[-1]):
            message = "can't start new thread"
            raise RuntimeError(message)
        return real(*arguments, **options)

    setattr(threading, name, start)
    try:
        yield asked
    finally:
        setattr(threading, name, real)
