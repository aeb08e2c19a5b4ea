"""This package's formats as contenders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import connectors
from benchmarks.plain import KEY, Taker, drain
from benchmarks.scale import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Buffer

    from benchmarks.bench import Run, Take
    from connectors.formats import FormatName
    from connectors.streams import Source

HEX_KEY = KEY.hex()


@dataclass(frozen=True)
class Ours:
    """One format, with its options.

    Attributes:
        format: its name.
        chunk: the approximate size of a chunk; the limit loop seals as many bytes at a time.
        segment_size: tink-gcm-hkdf only.
    """

    format: FormatName
    chunk: int
    segment_size: int | None = None

    @property
    def name(self) -> str:
        return f"{self.format} {shown(self.segment_size)}" if self.segment_size else self.format

    @property
    def options(self) -> Mapping[str, object]:
        """The options for `connectors.open_reader` and similar functions, and for `encryption` in a document."""
        return {"format": self.format} | ({"segment_size": self.segment_size} if self.segment_size else {})

    @property
    def encryption(self) -> Mapping[str, object]:
        """The member `encryption` of a credentials document."""
        return {"key": HEX_KEY, **self.options}

    def sealing(self, plain: Path) -> Run:
        return lambda take: connectors.encrypt(plain, Taker(take), KEY, **self.options)

    def opening(self, sealed: Path | Source) -> Run:
        def run(take: Take) -> None:
            with connectors.open_reader(sealed, KEY, **self.options) as file:
                drain(file, take)

        return run

    def opening_whole(self, sealed: Path, buffer: memoryview) -> Run:
        """Return a run that reads everything in one call."""

        def run(take: Take) -> None:
            with connectors.open_reader(sealed, KEY, **self.options) as file:
                take(buffer[: file.readinto(buffer)])

        return run


def shown(size: int) -> str:
    """Format a number of bytes for people."""
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} B"


COBBLESTONE = Ours("cobblestone-256", 16 * KIB)
TINKS = {size: Ours("tink-gcm-hkdf", size, size) for size in (4 * KIB, 64 * KIB, MIB, 4 * MIB)}
TINK = TINKS[MIB]
GCM = Ours("gcm", MIB)
FORMATS = (COBBLESTONE, TINK, GCM)


class MemorySource:
    """A sealed object in memory, as a `connectors.streams.Source`."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self.size = len(self._data)

    def read_range(self, start: int, stop: int) -> memoryview:
        return self._data[start:stop]

    def close(self) -> None:
        pass


class TakerSink:
    """A `connectors.streams.Sink` that passes its input on."""

    def __init__(self, take: Take) -> None:
        self._take = take

    def write(self, data: Buffer) -> None:
        self._take(data)

    def commit(self) -> None:
        pass

    def discard(self) -> None:
        pass
