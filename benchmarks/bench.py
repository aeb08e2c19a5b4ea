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
        counting: runs once more, untimed, and returns more columns, such as the number of requests.
        cpu: whether its row has the CPU seconds of a run, in this process with all its threads.
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
    counting: Callable[[], Row] = dict
    cpu: bool = False


@dataclass(frozen=True)
class _Entry:
    """A contender of a race that is set up, and what was measured.

    Attributes:
        contender: the contender.
        run: the function that is timed; None if it cannot run.
        repeats: how often it runs in a sample.
        facts: columns of its row.
        seconds: of each sample, divided by its repeats.
        cpu_seconds: the same, of this process.
    """

    contender: Contender
    run: Run | None = None
    repeats: int = 0
    facts: Row = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)

    def sample(self) -> None:
        self.contender.before()
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(self.repeats):
            self.run(discard)
        took, busy = time.perf_counter() - start, time.process_time() - cpu
        self.seconds.append(took / self.repeats)
        self.cpu_seconds.append(busy / self.repeats)


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
        entries = []
        for contender in contenders:
            self.report(f"{operation}: {contender.name} is prepared")
            entries.append(_ready(contender))
        running = [entry for entry in entries if entry.run is not None]
        for turn in range(self.rounds):
            for entry in running:
                self.report(f"{operation}: round {turn + 1} of {self.rounds}, {entry.contender.name}")
                entry.sample()
        rows = [_row(operation, entry) for entry in entries]
        by_name = {row["contender"]: row for row in rows}
        for row in rows:
            row["ratio"] = speed_ratio(row, by_name[row["reference"]]) if row["reference"] else None
        return rows


def _ready(contender: Contender) -> _Entry:
    """Set a contender up, check it and count; if it cannot run, the facts say why."""
    try:
        run = contender.setup()
        contender.before()
        start = time.perf_counter()
        contender.check(run)
        took = time.perf_counter() - start
        contender.before()
        facts = {**contender.facts, **contender.counting()}
    except Exception as error:  # noqa: BLE001 - its row reports the error
        reason = str(error) if isinstance(error, NotRun) else f"{type(error).__name__}: {error}"
        return _Entry(contender, facts={**contender.facts, "not_run": _short(reason)})
    repeats = int(SAMPLE / took) if contender.repeats else 1
    return _Entry(contender, run, min(max(repeats, 1), MAX_REPEATS), facts)


def _row(operation: str, entry: _Entry) -> Row:
    contender, seconds = entry.contender, entry.seconds
    median = statistics.median(seconds) if seconds else None
    row: Row = {
        "operation": operation,
        "contender": contender.name,
        "size": contender.size,
        "chunk": contender.chunk,
        "seconds": [round(one, 9) for one in seconds],
        "bytes_per_second": round(contender.size / median) if median and contender.size else None,
        "reference": contender.reference,
    }
    if contender.cpu:
        row["cpu_seconds"] = [round(one, 6) for one in entry.cpu_seconds]
    if contender.items:
        row |= {"items": contender.items, "items_per_second": round(contender.items / median, 1) if median else None}
    return row | entry.facts


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
