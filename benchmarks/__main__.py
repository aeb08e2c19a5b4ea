"""python -m benchmarks: measure, and write results.json, RESULTS.md and plots."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from servers import ServerUnavailable

from benchmarks import results
from benchmarks.bench import Bench, NotRun, not_run
from benchmarks.places import describe_machine, fast_folder
from benchmarks.report import write_report
from benchmarks.scale import SCALES
from benchmarks.tables import CASES, rich_table

if TYPE_CHECKING:
    from benchmarks.bench import Row


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that folders and servers are cleaned up
    options = _parse()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 140)
    path = options.output / "results.json"
    found = results.load(path)
    if not options.report:
        found["machine"] = describe_machine()
        for case in options.only or CASES:
            rows, about = _measure(case, options.size, options.rounds, console)
            results.replace(found, case, rows, **about)
            results.save(path, found)  # after each case, so that an interruption loses only the current one
            if not options.json:
                console.print(rich_table(case, rows))
    write_report(options.output, found)
    if options.json:
        print(json.dumps([row for case in options.only or CASES for row in results.rows_of(found, case)]))
    console.print(f"[dim]{path} and {options.output / 'RESULTS.md'}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--size", choices=list(SCALES), default="full", help="full takes about an hour")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON, without tables")
    parser.add_argument("--report", action="store_true", help="measure nothing; write the report of results.json")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="FOLDER")
    return parser.parse_args()


def _measure(case: str, size: str, rounds: int, console: Console) -> tuple[list[Row], dict[str, object]]:
    """Run one case; return its rows, and facts about the run."""
    scale = SCALES[size]
    start = time.perf_counter()
    columns = (SpinnerColumn(), TextColumn("[bold]{task.fields[case]}[/] {task.description}"), TimeElapsedColumn())
    with (
        Progress(*columns, console=console, transient=True) as progress,
        fast_folder(12 * scale.local) as folder,  # the space that the local case needs, in files and in memory
        tempfile.TemporaryDirectory(prefix="benchmarks-") as disk,
    ):
        task = progress.add_task("starting", case=case, total=None)
        report = lambda text: progress.update(task, description=text)  # noqa: E731
        bench = Bench(scale, rounds, folder, Path(disk), report)
        rows: list[Row] = []
        try:
            rows.extend(importlib.import_module(f"benchmarks.cases.{case}").run(bench))
        except (NotRun, ServerUnavailable, ImportError) as error:
            rows.append(not_run("all that is missing", case, str(error)))
    took = round(time.perf_counter() - start, 1)
    return rows, {"size": size, "rounds": rounds, "folder": str(folder.parent), "took": took}


if __name__ == "__main__":
    main()
