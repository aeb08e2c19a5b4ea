"""Ways to read a dataset, each with what it should give: an adversary may get at one and not at another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import connectors

__all__ = ["WAYS", "Way"]

SPOTS = (-100, 0, 16_380, 70_000, 33_000, 140_000, -40_000)
"""Where something is read: at the end and the start, over a chunk's border, there and back."""
LENGTH = 300


class Way(NamedTuple):
    """A way to read.

    Attributes:
        read: reads a dataset; has an empty folder, in which it must leave nothing if it fails.
        expected: what that is of the plain bytes.
    """

    read: Callable[[connectors.Dataset, Path], bytes]
    expected: Callable[[bytes], bytes]


def _spots(plain: bytes) -> bytes:
    starts = (spot if spot >= 0 else len(plain) + spot for spot in SPOTS)
    return b"".join(plain[start : start + LENGTH] for start in starts)


def _by_seeks(dataset: connectors.Dataset, _: Path) -> bytes:
    pieces = []
    with dataset.open() as file:
        for spot in SPOTS:
            file.seek(spot, os.SEEK_SET if spot >= 0 else os.SEEK_END)
            pieces.append(file.read(LENGTH))
    return b"".join(pieces)


def _by_ranges(dataset: connectors.Dataset, _: Path) -> bytes:
    fs, path = dataset.filesystem()
    first, *others = SPOTS
    ends = [spot + LENGTH if spot >= 0 or spot + LENGTH < 0 else None for spot in others]
    pieces = fs.cat_ranges([path] * len(others), list(others), ends, max_gap=0, on_error="raise")
    return b"".join([fs.cat_file(path, start=first), *pieces])


def _by_download(dataset: connectors.Dataset, folder: Path) -> bytes:
    target = folder / "plain"
    try:
        dataset.download(target)
    except BaseException:
        assert not os.listdir(folder), "a download that failed left something behind"
        raise
    data = target.read_bytes()
    target.unlink()
    return data


WAYS = {
    "read": Way(lambda dataset, _: dataset.read_bytes(), lambda plain: plain),
    "seek": Way(_by_seeks, _spots),
    "ranges": Way(_by_ranges, _spots),
    "download": Way(_by_download, lambda plain: plain),
}
