"""The performance targets of this package, and whether the measurements meet them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import speed_ratio
from benchmarks.cases.http import PEER as REQUESTS
from benchmarks.cases.local import FLOOR
from benchmarks.cases.processes import IMPORT, USED
from benchmarks.cases.s3 import PEER as S3FS
from benchmarks.limits import limit_name
from benchmarks.ours import COBBLESTONE, GCM, TINK, shown
from benchmarks.peers import Age, AwsEncryptionSdk, OneShotScript, TinkPython
from benchmarks.results import rows_of
from benchmarks.scale import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Row
    from benchmarks.results import Results


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        what: a description of the comparison.
        bound: the bound.
        measured: returns the measured number; None if there is none.
        most: whether it is an upper bound.
        show: formats the number.
    """

    what: str
    bound: float
    measured: Callable[[Results], float | None]
    most: bool = False
    show: Callable[[float], str] = "{:.2f}".format

    def verdict(self, results: Results) -> list[str]:
        """Return the cells of its line: what, target, measured, and a tick or by how much it misses the target."""
        text = f"at {'most' if self.most else 'least'} {self.show(self.bound)}"
        value = self.measured(results)
        if value is None:
            return [self.what, text, "not measured", ""]
        short = value - self.bound if self.most else self.bound - value
        verdict = "✓" if short <= 0 else f"✗ {'over' if self.most else 'short'} by {short / self.bound:.0%}"
        return [self.what, text, self.show(value), verdict]


def targets() -> Iterator[Target]:
    """Yield all targets. Ratios are the speed of the first divided by the speed of the second."""
    small, large = limit_name(16 * KIB), limit_name(MIB)
    for operation, bounds in (("decrypt", (0.90, 0.85)), ("encrypt", (0.85, 0.85))):
        for ours, against, least in ((COBBLESTONE, small, bounds[0]), (TINK, large, bounds[1])):
            yield _faster("local", operation, ours.name, against, least)
    for ours, against in ((COBBLESTONE, small), (TINK, large)):
        yield _faster("local", "encrypt", f"{ours.name}, from memory", against, 0.85)
    yield _faster("local", "decrypt", GCM.name, FLOOR, 0.8)
    for operation, tink in (("decrypt", 1.2), ("encrypt", 8)):
        yield _faster("local", operation, TINK.name, TinkPython.name, tink)
        for peer, least in ((Age, 5), (AwsEncryptionSdk, 6), (OneShotScript, 4)):
            yield _faster("local", operation, COBBLESTONE.name, peer.name, least)
    yield _faster("http", "read", COBBLESTONE.name, REQUESTS, 1)
    for operation in ("read", "write"):
        yield _faster("s3", operation, COBBLESTONE.name, S3FS, 1)
    for store in ("S3", "HTTP"):
        for place in ("pages", "anywhere"):
            row = partial(_row, case="random_reads", operation=f"{store}: read {place}", contender=COBBLESTONE.name)
            what = f"4 KiB at random offsets over {store}, {place}"
            yield Target(f"{what}: requests", 1, partial(_fact, row, "requests"), most=True)
            chunk = 16 * KIB + 16
            show = lambda count: shown(round(count))  # noqa: E731
            yield Target(f"{what}: bytes, one chunk", chunk, partial(_fact, row, "fetched"), most=True, show=show)
    yield Target("peak memory, any format and size", 128 * MIB, _peak, most=True, show=shown)
    yield Target("peak memory, local: the largest object minus the smallest", 16 * MIB, _growth, most=True, show=shown)
    for name in (IMPORT, USED):
        row = partial(_row, case="processes", operation="whole process", contender=name)
        yield Target(f"time of `{name}` relative to its dependencies", 1.3, partial(_fact, row, "times"), most=True)


def _faster(case: str, operation: str, contender: str, against: str, bound: float) -> Target:
    def measured(results: Results) -> float | None:
        ours, theirs = (_row(results, case, operation, name) for name in (contender, against))
        return speed_ratio(ours, theirs) if ours and theirs else None

    return Target(f"{case}, {operation}: {contender} relative to {against}", bound, measured)


def _row(results: Results, case: str, operation: str, contender: str) -> Row | None:
    wanted = (operation, contender)
    return next((row for row in rows_of(results, case) if (row["operation"], row["contender"]) == wanted), None)


def _fact(find: Callable[[Results], Row | None], name: str, results: Results) -> float | None:
    row = find(results)
    return row.get(name) if row else None


def _peaks(results: Results) -> Iterator[Row]:
    return (row for row in rows_of(results, "memory") if row.get("peak") is not None)


def _peak(results: Results) -> int | None:
    return max((row["peak"] for row in _peaks(results)), default=None)


def _growth(results: Results) -> int | None:
    """Return the largest difference between the peaks of the largest and the smallest object."""
    by_kind: dict[tuple[str, str], list[Row]] = {}
    for row in _peaks(results):
        if row["operation"].startswith(("HTTP", "S3")):
            continue  # bytes in flight are bounded, and small objects do not reach the bound
        by_kind.setdefault((row["operation"], row["contender"]), []).append(row)
    ends = ((min(rows, key=_size), max(rows, key=_size)) for rows in by_kind.values())
    return max((max(0, largest["peak"] - smallest["peak"]) for smallest, largest in ends), default=None)


def _size(row: Row) -> int:
    size: int = row["size"]
    return size
