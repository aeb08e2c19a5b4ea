"""The plots of RESULTS.md, from its rows."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.ours import shown
from benchmarks.results import rows_of
from benchmarks.scale import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.bench import Row
    from benchmarks.results import Results

mpl.use("Agg")
mpl.rcParams.update({"svg.hashsalt": "benchmarks", "axes.grid": True, "grid.alpha": 0.3, "legend.fontsize": 7})


def write_plots(folder: Path, results: Results) -> dict[str, list[Path]]:
    """Draw the plots that have rows; return the files of each case."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, list[Path]] = {}
    for case, name, draw in PLOTS:
        rows = [row for row in rows_of(results, case) if "not_run" not in row]
        if rows:
            path = folder / f"{name}.svg"
            draw(rows).savefig(path, metadata={"Date": None})
            made.setdefault(case, []).append(path)
    return made


def _by_size(rows: Sequence[Row]) -> Figure:
    figure, axes = _panels("encrypt", "decrypt")
    for ax, operation in zip(axes, ("encrypt", "decrypt"), strict=True):
        found = [row for row in rows if row["operation"] == operation and row["size"]]
        _lines(ax, found, "size", "bytes_per_second", 1e9)
        _sizes(ax, {row["size"] for row in found})
        ax.set(xlabel="size of the object", ylabel="GB/s", ylim=(0, None))
    axes[-1].legend(bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def _by_chunk(rows: Sequence[Row]) -> Figure:
    """Draw the largest size at which all chunk sizes were measured."""
    figure, axes = _panels("encrypt", "decrypt")
    for ax, operation in zip(axes, ("encrypt", "decrypt"), strict=True):
        found = [row for row in rows if row["operation"] == operation and row["size"]]
        size = max(row["size"] for row in found)
        for family in ("limit loop", "tink-gcm-hkdf", "cobblestone-256", "gcm"):
            line = [row for row in found if row["size"] == size and row["contender"].startswith(family)]
            points = sorted({row["chunk"]: row["bytes_per_second"] / 1e9 for row in line}.items())
            ax.plot(*zip(*points, strict=True), marker="o", label=family)
        _sizes(ax, {row["chunk"] for row in found})
        ax.set(xlabel=f"chunk, in an object of {shown(size)}", ylabel="GB/s", ylim=(0, None))
    axes[-1].legend(bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def _by_workers(rows: Sequence[Row]) -> Figure:
    figure, (ax,) = _panels("16 objects, all workers together")
    _lines(ax, rows, "workers", "bytes_per_second", 1e9)
    ax.set(xlabel="worker processes", ylabel="GB/s", ylim=(0, None), xticks=sorted({row["workers"] for row in rows}))
    ax.legend()
    return figure


def _memory(rows: Sequence[Row]) -> Figure:
    figure, (ax,) = _panels("peak memory beyond the imports")
    named = [row | {"contender": f"{row['operation']}, {row['contender']}"} for row in rows]
    ax.set_prop_cycle(color=mpl.color_sequences["tab20"][: len({row["contender"] for row in named})])
    _lines(ax, named, "size", "peak", MIB)
    _sizes(ax, {row["size"] for row in rows})
    ax.set(xlabel="size of the object", ylabel="MiB", ylim=(0, None))
    ax.legend(bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def _random_reads(rows: Sequence[Row]) -> Figure:
    figure, axes = _panels("requests per read", "KiB fetched per read")
    found = [row for row in rows if ": read " in row["operation"]][::-1]
    names = [f"{row['operation'].replace(': read', ',')}: {row['contender']}" for row in found]
    for ax, fact, unit in zip(axes, ("requests", "fetched"), (1, KIB), strict=True):
        values = [row[fact] / unit for row in found]
        bars = ax.barh(range(len(found)), values)
        ax.bar_label(bars, [f"{value:.3g}" for value in values], padding=2, fontsize=7)
        ax.set_yticks(range(len(found)), names if ax is axes[0] else [""] * len(names), fontsize=7)
        ax.margins(x=0.15)
    axes[1].set_xscale("symlog", linthresh=4)
    return figure


def _workflows(rows: Sequence[Row]) -> Figure:
    figure, (ax,) = _panels("workflows")
    for operation in dict.fromkeys(row["operation"] for row in rows):
        points = sorted((row["items"], median(row["seconds"])) for row in rows if row["operation"] == operation)
        ax.plot(*zip(*points, strict=True), marker=".", label=operation)
    sizes = sorted({row["items"] for row in rows})
    ax.set(xlabel="datasets and applications", ylabel="seconds", xscale="log", yscale="log")
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    ax.legend(bbox_to_anchor=(1, 1), loc="upper left")
    return figure


PLOTS: Sequence[tuple[str, str, Callable[[Sequence[Row]], Figure]]] = (
    ("crypto", "throughput-by-size", _by_size),
    ("crypto", "throughput-by-chunk", _by_chunk),
    ("random_reads", "random-reads", _random_reads),
    ("memory", "memory-by-size", _memory),
    ("workers", "throughput-by-workers", _by_workers),
    ("workflows", "workflows-by-size", _workflows),
)


def _panels(*titles: str) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(3 + 4 * len(titles), 4), layout="constrained")
    axes = list(figure.subplots(1, len(titles), squeeze=False)[0])
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=10)
    return figure, axes


def _lines(ax: Axes, rows: Sequence[Row], across: str, up: str, unit: float) -> None:
    """Draw a line for each contender, dotted for limits; of several races, show the best result."""
    for name in dict.fromkeys(row["contender"] for row in rows):
        points: dict[int, float] = {}
        for row in rows:
            if row["contender"] == name:
                points[row[across]] = max(points.get(row[across], 0), row[up] / unit)
        style = ":" if "limit" in name or "floor" in name else "-"
        ax.plot(*zip(*sorted(points.items()), strict=True), style, marker=".", label=name)


def _sizes(ax: Axes, sizes: Iterator[int] | set[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(sorted(sizes), [shown(size) for size in sorted(sizes)], fontsize=7, rotation=45)
    ax.minorticks_off()
