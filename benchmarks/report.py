"""RESULTS.md: what was asked and measured, on which machine, all rows, and plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.plots import write_plots
from benchmarks.results import rows_of
from benchmarks.tables import CASES, cells, markdown_table
from benchmarks.targets import targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.results import Results

NOTES = Path(__file__).parent / "notes.md"
HEAD = """# Results

Made by `python -m benchmarks` from `results.json`; `notes.md` is included. Speeds are of plain bytes. A ratio is
speed over the reference's speed, so more is better: the median of the rounds, in which all contenders take turns.
"""


def write_report(folder: Path, results: Results) -> None:
    """Write RESULTS.md and the plots it shows into a folder."""
    plots = write_plots(folder / "plots", results)
    (folder / "RESULTS.md").write_text("\n".join(_parts(results, plots)))


def _parts(results: Results, plots: dict[str, list[Path]]) -> Iterator[str]:
    yield HEAD
    yield "## Asked and measured\n"
    yield markdown_table(["what", "asked", "measured", ""], [target.verdict(results) for target in targets()])
    yield "## What bounds it\n"
    yield NOTES.read_text()
    yield "## The machine\n"
    yield "\n".join(f"- {name}: {value}" for name, value in results["machine"].items()) + "\n"
    for case, title in CASES.items():
        rows = rows_of(results, case)
        if rows:
            about = results["cases"][case]
            yield f"## {title}\n"
            yield f"{_about(case, about)}\n"
            yield from (f"![{path.stem.replace('-', ' ')}](plots/{path.name})\n" for path in plots.get(case, ()))
            yield markdown_table(*cells(rows))


def _about(case: str, about: dict[str, object]) -> str:
    options = f"--only {case} --size {about['size']} --rounds {about['rounds']}"
    return f"`{options}`, {about['when']}, files in `{about['folder']}`, took {about['took']:.0f} s"
