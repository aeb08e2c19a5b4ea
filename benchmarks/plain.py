"""Creates plain data, and checks that contenders return it."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING

from benchmarks.scale import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Buffer

    from benchmarks.bench import Run, Take

KEY = bytes(range(32))
STEP = 4 * MIB
"""Bytes to read at once, where a caller chooses."""
_BUFFER = memoryview(bytearray(STEP))


class WrongOutput(Exception):
    """The output of a contender is wrong."""


class Taker(io.RawIOBase):
    """A file that passes on what is written to it."""

    def __init__(self, take: Take) -> None:
        self._take = take

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        self._take(data)
        return memoryview(data).nbytes


def digest(run: Run) -> str:
    """Return the SHA-256 of the output of a run."""
    hashed = hashlib.sha256()
    run(hashed.update)
    return hashed.hexdigest()


def gives(expected: str) -> Callable[[Run], None]:
    """Return a check that the output of a run has this digest."""

    def check(run: Run) -> None:
        if digest(run) != expected:
            message = "its output is not the plain data"
            raise WrongOutput(message)

    return check


def drain(file: io.IOBase, take: Take) -> None:
    """Read a file to its end through one 4 MiB buffer, which is reused."""
    while size := file.readinto(_BUFFER):
        take(_BUFFER[:size])


def from_file(path: Path) -> Run:
    """Return a run that passes on the content of a file."""

    def run(take: Take) -> None:
        with path.open("rb", buffering=0) as file:
            drain(file, take)

    return run


def into_file(run: Run, path: Path) -> Path:
    """Write the output of a run to a file."""
    with path.open("wb", buffering=0) as file:
        run(lambda data: _write_all(file, memoryview(data)))
    return path


def _write_all(file: io.FileIO, view: memoryview) -> None:
    while view:
        view = view[file.write(view) :]


def blocks(size: int, block: bytes) -> Iterator[memoryview]:
    """Yield `size` bytes by repeating a block."""
    view = memoryview(block)
    while size > 0:
        yield view[:size]
        size -= len(view[:size])


def random_file(path: Path, size: int) -> tuple[Path, str]:
    """Create a file of random bytes that repeat every 64 MiB; return its path and digest."""
    block = os.urandom(min(size, 64 * MIB))
    hashed = hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        for piece in blocks(size, block):
            hashed.update(piece)
            _write_all(file, piece)
    return path, hashed.hexdigest()
