"""The file of results: the latest measurements of each case."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench import Row

    Results = dict[str, Any]


def load(path: Path) -> Results:
    return json.loads(path.read_text()) if path.is_file() else {"machine": {}, "cases": {}}


def save(path: Path, results: Results) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


def replace(results: Results, case: str, rows: list[Row], **about: object) -> None:
    """Replace the rows of one case, and the facts about the run."""
    results["cases"][case] = {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        **about,
        "rows": [{"case": case, **row} for row in rows],
    }


def rows_of(results: Results, case: str) -> list[Row]:
    found: list[Row] = results["cases"].get(case, {}).get("rows", [])
    return found
