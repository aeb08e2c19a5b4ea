"""The performance targets of this package, and whether the measurements meet them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import speed_ratio
from benchmarks.cases import azure, gcs, link, small_objects
from benchmarks.cases.http import PEER as REQUESTS
from benchmarks.cases.local import FLOOR, PLAIN
from benchmarks.cases.processes import IMPORT, USED
from benchmarks.cases.s3 import OBSTORE, OBSTORE_RANGES
from benchmarks.cases.s3 import PEER as S3FS
from benchmarks.limits import limit_name
from benchmarks.ours import COBBLESTONE, GCM, TINK, shown
from benchmarks.peers import Age, AwsEncryptionSdk, OneShotScript, TinkPython
from benchmarks.results import rows_of
from benchmarks.scale import GIB, KIB, MIB

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
    yield _faster("local", "decrypt", COBBLESTONE.name, PLAIN, 0.75)
    yield from _over_networks()
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


def _over_networks() -> Iterator[Target]:
    sealed = COBBLESTONE.name
    yield _faster("http", "read", sealed, REQUESTS, 0.95)
    yield _faster("s3", "read", sealed, S3FS, 2.2)
    yield _faster("s3", "read", sealed, (OBSTORE, OBSTORE_RANGES), 1)
    yield _faster("s3", "write", sealed, S3FS, 1)
    yield _faster("s3", "write", sealed, OBSTORE, 1)
    yield Target(f"s3, read: CPU seconds of {sealed} relative to {S3FS}", 0.35, _cpu_ratio, most=True)
    count = "{:.0f}".format
    for case in ("s3", "http"):
        row = partial(_row_of_a_gibibyte, case=case, operation="read", contender=sealed)
        yield Target(f"{case}, read: requests for 1 GiB", 8, partial(_fact, row, "requests"), most=True, show=count)
    yield _faster("azure", "read", sealed, tuple(azure.READERS), 1)
    yield _faster("gcs", "read", sealed, tuple(gcs.READERS), 1)
    yield _faster("link", "read", sealed, link.PEERS, 0.95)
    row = partial(_row, case="link", operation="read", contender=sealed)
    yield Target("link, read: peak memory", 128 * MIB, partial(_fact, row, "peak"), most=True, show=shown)
    for job in (small_objects.WRITE, small_objects.READ):
        yield _faster("small_objects", f"S3: {job}", small_objects.SEALED, small_objects.OBSTORE, 0.5)


def _faster(case: str, operation: str, contender: str, against: str | tuple[str, ...], bound: float) -> Target:
    """Return the target of a speed relative to that of a peer, or of the fastest of several ways of a peer."""
    peers = (against,) if isinstance(against, str) else against

    def measured(results: Results) -> float | None:
        ours = _row(results, case, operation, contender)
        theirs = [row for name in peers if (row := _row(results, case, operation, name)) and row["seconds"]]
        if not ours or not theirs:
            return None
        return speed_ratio(ours, min(theirs, key=lambda row: statistics.median(row["seconds"])))

    fastest = peers[0] if len(peers) == 1 else f"the fastest of: {'; '.join(peers)}"
    return Target(f"{case}, {operation}: {contender} relative to {fastest}", bound, measured)


def _cpu_ratio(results: Results) -> float | None:
    """Return the median of the rounds' ratios."""
    ours, theirs = (_row(results, "s3", "read", name) for name in (COBBLESTONE.name, S3FS))
    if not ours or not theirs or not ours.get("cpu_seconds") or not theirs.get("cpu_seconds"):
        return None
    return statistics.median(our / their for our, their in zip(ours["cpu_seconds"], theirs["cpu_seconds"], strict=True))


def _row_of_a_gibibyte(results: Results, **wanted: str) -> Row | None:
    """Return the row if its object is as large as the target says: smaller ones take fewer requests."""
    row = _row(results, **wanted)
    return row if row and row["size"] == GIB else None


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
