"""Arrange the boxes of a graph in columns from left to right, with few crossings.

Connected components are arranged separately and then placed side by side. In each, a box is to the right of all boxes
that link to it; a box without incoming links is just left of the first box it links to; and a link that crosses a
column gets its own slot there, so that it is not drawn behind a box. Columns are ordered by the barycenters of their
neighbours, in a few sweeps (Sugiyama, Tagawa and Toda, 1981); then each box moves as close to its neighbours as the
others in its column allow, which is isotonic regression.

The layout is deterministic.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Arrangement", "arrange"]

COLUMN_GAP = 104
ROW_GAP = 22
PART_GAP = 56
SWEEPS = 8
LONGEST = 12
"""Most columns in which a link gets slots; a longer link is drawn behind the boxes on its way."""
ASPECT = 1.5

Link = tuple[str, str]
Item = str | tuple[int, int]
"""An entry of a column: a box, or the slot of a link, given by the numbers of the link and the column."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The positions of all boxes and links.

    Attributes:
        width: the total width.
        height: the total height.
        corners: the upper left corner of each box.
        bends: the points that each link passes between its ends, from left to right.
    """

    width: float
    height: float
    corners: dict[str, tuple[float, float]]
    bends: list[list[tuple[float, float]]]


def arrange(heights: Mapping[str, float], links: Sequence[Link], width: float) -> Arrangement:
    """Arrange boxes.

    Args:
        heights: the heights of the boxes, by name.
        links: pairs of source and target, each once.
        width: the width of every box.
    """
    parts = [_Part(heights, names, links, numbers, width) for names, numbers in _parts(heights, links)]
    parts.sort(key=lambda one: (-one.height, -one.width, one.first))
    area = sum((one.width + PART_GAP) * (one.height + PART_GAP) for one in parts)
    most = max([one.width for one in parts] + [math.sqrt(area * ASPECT)])
    corners: dict[str, tuple[float, float]] = {}
    bends: list[list[tuple[float, float]]] = [[] for _ in links]
    across = down = shelf = widest = 0.0
    for part in parts:
        if across and across + part.width > most:
            across, down, shelf = 0.0, down + shelf + PART_GAP, 0.0
        for name, (x, y) in part.corners.items():
            corners[name] = (x + across, y + down)
        for number, points in part.bends.items():
            bends[number] = [(x + across, y + down) for x, y in points]
        widest, shelf = max(widest, across + part.width), max(shelf, part.height)
        across += part.width + PART_GAP
    return Arrangement(widest, down + shelf, corners, bends)


def _parts(heights: Mapping[str, float], links: Sequence[Link]) -> Iterable[tuple[list[str], list[int]]]:
    """Yield the connected components: the names of their boxes and the numbers of their links."""
    touching: dict[str, list[int]] = {name: [] for name in heights}
    for number, ends in enumerate(links):
        for name in ends:
            touching[name].append(number)
    seen: set[str] = set()
    for start in sorted(heights):
        if start in seen:
            continue
        seen.add(start)
        names, numbers, waiting = [start], set(), deque([start])
        while waiting:
            for number in touching[waiting.popleft()]:
                numbers.add(number)
                for name in links[number]:
                    if name not in seen:
                        seen.add(name)
                        names.append(name)
                        waiting.append(name)
        yield names, sorted(numbers)


class _Part:
    """A connected component, arranged by itself."""

    def __init__(
        self, heights: Mapping[str, float], names: list[str], links: Sequence[Link], numbers: list[int], width: float
    ) -> None:
        self.first = names[0]
        self._heights = heights
        columns = _columns(names, [links[number] for number in numbers])
        self._rows: list[list[Item]] = [[] for _ in range(max(columns.values()) + 1)]
        for name in names:
            self._rows[columns[name]].append(name)
        self._left: dict[Item, list[Item]] = {name: [] for name in names}
        self._right: dict[Item, list[Item]] = {name: [] for name in names}
        passing = {number: self._passes(number, links[number], columns) for number in numbers}
        self._order()
        middles = self._settle()
        top = min(middles[name] - heights[name] / 2 for name in names)
        self.corners = {
            name: (columns[name] * (width + COLUMN_GAP), middles[name] - heights[name] / 2 - top) for name in names
        }
        self.bends = {
            number: [
                point
                for item in items
                for left in [item[1] * (width + COLUMN_GAP)]
                for point in ((left, middles[item] - top), (left + width, middles[item] - top))
            ]
            for number, items in passing.items()
        }
        lowest = max(self.corners[name][1] + heights[name] for name in names)
        self.height = max([lowest, *(y for points in self.bends.values() for _, y in points)])
        self.width = len(self._rows) * (width + COLUMN_GAP) - COLUMN_GAP

    def _passes(self, number: int, link: Link, columns: Mapping[str, int]) -> list[tuple[int, int]]:
        """Give a link slots in the columns that it crosses, and make neighbours of successive items on its way."""
        source, target = link
        span = columns[target] - columns[source]
        if not 0 < span <= LONGEST:
            return []
        items = [(number, column) for column in range(columns[source] + 1, columns[target])]
        for item in items:
            self._rows[item[1]].append(item)
        way: list[Item] = [source, *items, target]
        for here, there in pairwise(way):
            self._right.setdefault(here, []).append(there)
            self._left.setdefault(there, []).append(here)
        return items

    def _order(self) -> None:
        """Order each column by the positions of its items' neighbours."""
        best, fewest = [list(row) for row in self._rows], self._crossings()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            rows, sides = (self._rows, self._left) if sweep % 2 == 0 else (self._rows[::-1], self._right)
            for before, row in pairwise(rows):
                places = {item: place for place, item in enumerate(before)}
                wanted = {
                    item: _mean([places[other] for other in sides.get(item, ())], place)
                    for place, item in enumerate(row)
                }
                row.sort(key=lambda item, wanted=wanted: wanted[item])  # type: ignore[misc]
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self._rows], crossings
        self._rows = best

    def _crossings(self) -> int:
        found = 0
        for row, following in pairwise(self._rows):
            places = {item: place for place, item in enumerate(following)}
            seen: list[int] = []
            for item in row:
                ends = sorted(places[other] for other in self._right.get(item, ()))
                found += sum(len(seen) - bisect_right(seen, end) for end in ends)
                for end in ends:
                    insort(seen, end)
        return found

    def _settle(self) -> dict[Item, float]:
        """Return the middle of each item, as close to its neighbours' as its column allows."""
        middles: dict[Item, float] = {}
        for row in self._rows:
            wanted = _apart([0.0] * len(row), self._distances(row))
            middles.update(zip(row, wanted, strict=True))
        for sweep in range(SWEEPS):
            rows, sides = (self._rows, self._left) if sweep % 2 == 0 else (self._rows[::-1], self._right)
            for row in rows:
                wanted = [_mean([middles[other] for other in sides.get(item, ())], middles[item]) for item in row]
                middles.update(zip(row, _apart(wanted, self._distances(row)), strict=True))
        return middles

    def _distances(self, row: list[Item]) -> list[float]:
        """Return the minimum distances between the middles of successive items of a column."""
        heights = [self._heights[item] if isinstance(item, str) else 0.0 for item in row]
        return [(one + other) / 2 + ROW_GAP for one, other in pairwise(heights)]


def _columns(names: Sequence[str], links: Sequence[Link]) -> dict[str, int]:
    """Return the column of each box: right of all boxes that link to it, except for links that close a cycle."""
    following: dict[str, list[str]] = {name: [] for name in names}
    entered = dict.fromkeys(names, 0)
    for source, target in links:
        following[source].append(target)
        entered[target] += 1
    sources = [name for name in names if not entered[name]]
    order, onward = _without_circles([*sorted(sources), *sorted(names)], following)
    columns = dict.fromkeys(names, 0)
    for name in order:
        for target in onward[name]:
            columns[target] = max(columns[target], columns[name] + 1)
    for name in sources:
        columns[name] = min((columns[target] for target in onward[name]), default=1) - 1
    leftmost = min(columns.values())
    return {name: column - leftmost for name, column in columns.items()}


def _without_circles(
    starts: Iterable[str], following: Mapping[str, list[str]]
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the boxes in topological order, and the targets of each without links that close a cycle."""
    onward: dict[str, list[str]] = {name: [] for name in following}
    done: list[str] = []
    state: dict[str, bool] = {}  # False while the targets of a box are being visited
    for start in starts:
        if start in state:
            continue
        state[start] = False
        stack = [(start, iter(following[start]))]
        while stack:
            name, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                stack.pop()
                state[name] = True
                done.append(name)
            elif state.get(target, True):
                onward[name].append(target)
                if target not in state:
                    state[target] = False
                    stack.append((target, iter(following[target])))
    return done[::-1], onward


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _apart(wanted: Sequence[float], distances: Sequence[float]) -> list[float]:
    """Return the positions nearest to the wanted ones (least squares) that keep the order and the distances.

    Once the distances are subtracted, this is isotonic regression: neighbours in the wrong order share the mean of
    their wanted positions.
    """
    offsets = [0.0]
    for distance in distances:
        offsets.append(offsets[-1] + distance)
    pools: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=False):
        total, count = place - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            earlier = pools.pop()
            total, count = total + earlier[0], count + earlier[1]
        pools.append((total, count))
    means = [total / count for total, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]
