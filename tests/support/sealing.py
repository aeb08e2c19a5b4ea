"""What the tests of formats and streams share: cases to seal with, plain bytes to seal, sources that lie."""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import connectors
from connectors.formats import Format, Layout, select
from connectors.streams import SealedReader

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


@dataclass(frozen=True)
class Case:
    """One way to seal and open."""

    name: str
    write: str
    read: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def seal(self, plain: bytes, key: bytes = KEY) -> bytes:
        sealed = io.BytesIO()
        connectors.encrypt(io.BytesIO(plain), sealed, key, format=self.write, **self.options)
        return sealed.getvalue()

    def open(self, source: Any, key: bytes = KEY) -> io.BufferedReader:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        return connectors.open_reader(file, key, format=self.read, **self.options)

    def unseal(self, source: Any, key: bytes = KEY) -> bytes:
        with self.open(source, key) as file:
            return file.read()

    def codec(self, key: bytes = KEY) -> Format:
        return select(self.read, key, **self.options)

    @property
    def layout(self) -> Layout:
        layout = select(self.write, KEY, **self.options).layout
        return layout or select("cobblestone-256", KEY).layout

    def __str__(self) -> str:
        return self.name


def reading(case: Case, source: Any) -> SealedReader:
    """Return the raw reader over a source."""
    return SealedReader(source, case.codec())


def tink(segment_size: int, **options: Any) -> Case:
    return Case(f"tink-{segment_size}", "tink-gcm-hkdf", "tink-gcm-hkdf", {"segment_size": segment_size, **options})


COBBLESTONE = Case("cobblestone", "cobblestone-256", "cobblestone-256")
BOUND = Case("cobblestone-context", "cobblestone-256", "auto", {"context": b"input/conditions"})
AUTO = Case("auto", "auto", "auto")
GCM = Case("gcm", "gcm", "gcm")
AUTO_GCM = Case("gcm-by-auto", "gcm", "auto")
TINK_TINY = tink(57)
TINK_SMALL = tink(100, context=b"ward")
TINK_4K = tink(4096)
TINK_1M = tink(1 << 20)

CASES = [COBBLESTONE, BOUND, AUTO, GCM, AUTO_GCM, TINK_TINY, TINK_SMALL, TINK_4K, TINK_1M]


@functools.cache
def plain_bytes(size: int, seed: int = 0) -> bytes:
    """Bytes like a text's: lines, some of them empty, and every other value too."""
    generator = random.Random(f"{size} {seed}")
    data = bytearray(generator.randbytes(size))
    for _ in range(size // 60):
        data[generator.randrange(size)] = 10
    return bytes(data)


def boundary_sizes(layout: Layout, chunks: int = 3) -> list[int]:
    """Sizes at, just before and just after the borders of the first few chunks."""
    starts = [layout.plain_start(index) for index in range(1, chunks + 1)]
    around = {start + step for start in starts for step in (-1, 0, 1)}
    return sorted({0, 1, starts[0] // 2, starts[-1] + layout.chunk // 2} | {size for size in around if size >= 0})


class Recorded:
    """A source that counts, and that may lie: about its size, or in what it gives."""

    def __init__(
        self,
        data: bytes,
        *,
        size: int | None = None,
        change: Callable[[int, int, bytes], bytes] = lambda start, count, data: data,
    ) -> None:
        self.data = data
        self.size = len(data) if size is None else size
        self.change = change
        self.ranges: list[tuple[int, int]] = []
        self.closed = False

    def read_range(self, start: int, stop: int) -> bytes:
        self.ranges.append((start, stop))
        return self.change(start, len(self.ranges), self.data[start:stop])

    def close(self) -> None:
        self.closed = True
