"""Runs contenders in turns, and returns their measurements as rows."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from typing_extensions import Buffer

    from benchmarks.scale import Scale

    Row = dict[str, Any]
    Take = Callable[[Buffer], object]
    """Takes the output of a run, piece by piece."""
    Run = Callable[[Take], object]
    """The function that is timed: it does the whole job, and passes its output on."""

SAMPLE = 0.1
"""The approximate minimum duration of a sample in seconds: shorter runs are repeated."""
MAX_REPEATS = 2_000


class NotRun(Exception):
    """A contender cannot run here; the message says why."""


def discard(_: Buffer) -> None:
    """Take a piece, and discard it."""


def unchecked(run: Run) -> None:
    """Run once, for contenders that check themselves."""
    run(discard)


@dataclass(frozen=True)
class Contender:
    """One way to do the job.

    Attributes:
        name: its name in the tables.
        setup: prepares it, and returns the function that is timed.
        check: runs it once, untimed, and raises an error if its output is wrong.
        size: plain bytes that one run processes; None if bytes do not matter.
        chunk: bytes of a chunk of its format.
        items: objects or reads in one run.
        reference: the contender of the same race that it is compared with.
        before: called before each sample, untimed.
        repeats: whether short runs may be repeated within a sample.
        facts: more columns of its row.
    """

    name: str
    setup: Callable[[], Run]
    check: Callable[[Run], object] = unchecked
    size: int | None = None
    chunk: int | None = None
    items: int | None = None
    reference: str | None = None
    before: Callable[[], object] = gc.collect
    repeats: bool = True
    facts: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """The parameters of every case.

    Attributes:
        scale: the sizes and counts.
        rounds: how often each contender runs.
        folder: the folder for files; in memory, if there is enough.
        disk: the folder for files that are too large for that.
        report: is called with the progress.
    """

    scale: Scale
    rounds: int
    folder: Path
    disk: Path
    report: Callable[[str], object]

    def race(self, operation: str, contenders: Iterable[Contender]) -> list[Row]:
        """Run the contenders in turns, round by round; return a row for each."""
        entered = []
        for contender in contenders:
            self.report(f"{operation}: {contender.name} is prepared")
            entered.append((contender, *_ready(contender)))
        running = [(contender, run, repeats) for contender, run, repeats, _ in entered if run is not None]
        seconds: dict[str, list[float]] = {contender.name: [] for contender, *_ in entered}
        for turn in range(self.rounds):
            for contender, run, repeats in running:
                self.report(f"{operation}: round {turn + 1} of {self.rounds}, {contender.name}")
                contender.before()
                start = time.perf_counter()
                for _ in range(repeats):
                    run(discard)
                seconds[contender.name].append((time.perf_counter() - start) / repeats)
        rows = [_row(operation, contender, seconds[contender.name], reason) for contender, _, _, reason in entered]
        by_name = {row["contender"]: row for row in rows}
        for row in rows:
            row["ratio"] = speed_ratio(row, by_name[row["reference"]]) if row["reference"] else None
        return rows


def _ready(contender: Contender) -> tuple[Run | None, int, str | None]:
    """Set a contender up and check it; return its run, the repeats in a sample, and the error if it cannot run."""
    try:
        run = contender.setup()
        contender.before()
        start = time.perf_counter()
        contender.check(run)
        took = time.perf_counter() - start
    except Exception as error:  # noqa: BLE001 - its row reports the error
        return None, 0, str(error) if isinstance(error, NotRun) else f"{type(error).__name__}: {error}"
    repeats = int(SAMPLE / took) if contender.repeats else 1
    return run, min(max(repeats, 1), MAX_REPEATS), None


def _row(operation: str, contender: Contender, seconds: list[float], reason: str | None) -> Row:
    median = statistics.median(seconds) if seconds else None
    row: Row = {
        "operation": operation,
        "contender": contender.name,
        "size": contender.size,
        "chunk": contender.chunk,
        "seconds": [round(one, 9) for one in seconds],
        "bytes_per_second": round(contender.size / median) if median and contender.size else None,
        "reference": contender.reference,
        **contender.facts,
    }
    if contender.items:
        row |= {"items": contender.items, "items_per_second": round(contender.items / median, 1) if median else None}
    return row if reason is None else row | {"not_run": _short(reason)}


def not_run(operation: str, contender: str, reason: str) -> Row:
    """Return the row of a contender that could not be measured."""
    row: Row = {"operation": operation, "contender": contender, "size": None, "chunk": None, "seconds": []}
    return row | {"bytes_per_second": None, "reference": None, "ratio": None, "not_run": _short(reason)}


def _short(reason: str) -> str:
    return " ".join(reason.split())[:200]


def speed_ratio(row: Row, reference: Row) -> float | None:
    """Return how many times as fast `row` is as `reference`: the median of the ratios of all rounds.

    Both ran in each round, one soon after the other, so that a temporary slowdown of the machine affects both.
    """
    if not row["seconds"] or not reference["seconds"]:
        return None
    scale = (row["size"] or 1) / (reference["size"] or 1)
    pairs = zip(row["seconds"], reference["seconds"], strict=True)
    return round(statistics.median(theirs / ours for ours, theirs in pairs) * scale, 4)
