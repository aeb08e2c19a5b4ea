"""The titles of the cases, and their rows as table cells."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from benchmarks.ours import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Row

CASES = {
    "crypto": "Memory to memory",
    "local": "A local file",
    "http": "An object over HTTP",
    "s3": "An object on S3",
    "azure": "An object on Azure Blob Storage",
    "gcs": "An object on Google Cloud Storage",
    "link": "An object on S3, 20 ms away, at 80 MB/s for each connection",
    "random_reads": "4 KiB at random offsets",
    "small_objects": "Many objects of 4 KiB",
    "parquet": "Two of twenty columns of a Parquet file on S3",
    "processes": "Processes, from start to end",
    "memory": "Peak memory beyond the imports",
    "workers": "16 objects among worker processes",
    "workflows": "Workflows by size, with fifty approvers",
}

_COLUMNS: Sequence[tuple[str, str, Callable[[object], str]]] = (
    ("operation", "operation", str),
    ("contender", "contender", str),
    ("size", "size", shown),
    ("workers", "workers", str),
    ("items", "items", lambda count: f"{count:,}"),
    ("median", "seconds", lambda seconds: f"{seconds:.4g}"),
    ("beyond", "more than Python alone", lambda seconds: f"{seconds:.3f} s"),
    ("bytes_per_second", "GB/s", lambda speed: f"{speed / 1e9:.3f}"),
    ("items_per_second", "items/s", lambda speed: f"{speed:,.0f}"),
    ("cpu", "CPU s", lambda seconds: f"{seconds:.3g}"),
    ("requests", "requests", lambda count: f"{count:.4g}"),
    ("fetched", "fetched", lambda count: shown(round(count))),
    ("peak", "peak", shown),
    ("times", "times as long", lambda ratio: f"{ratio:.2f}"),
    ("ratio", "ratio", lambda ratio: f"{ratio:.2f}"),
    ("reference", "to", str),
)
_TEXT = {"operation", "contender", "to", "what", "target", ""}


def cells(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the titles of the columns that at least one row has, and the cells of each row."""
    full = [row | {"median": _median(row.get("seconds")), "cpu": _median(row.get("cpu_seconds"))} for row in rows]
    used = [column for column in _COLUMNS if any(row.get(column[0]) is not None for row in full)]
    lines = []
    for row in full:
        line = ["" if row.get(name) is None else show(row[name]) for name, _, show in used]
        if "not_run" in row:
            line[1] += f" (not run: {row['not_run']})"
        lines.append(line)
    return [title for _, title, _ in used], lines


def _median(seconds: Sequence[float] | None) -> float | None:
    return statistics.median(seconds) if seconds else None


def is_text(title: str) -> bool:
    return title in _TEXT


def rich_table(case: str, rows: Sequence[Row]) -> Table:
    titles, lines = cells(rows)
    table = Table(title=f"{CASES[case]} ({case})", title_justify="left", box=box.SIMPLE)
    for title in titles:
        table.add_column(title, justify="left" if is_text(title) else "right")
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        table.add_row(*line, end_section=following is None or following[0] != line[0])
    return table


def markdown_table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---" if is_text(title) else "---:" for title in titles]
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(titles), rule, *escaped]) + "\n"
