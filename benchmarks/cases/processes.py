"""The start-up time of a process that imports this package, or runs its command."""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Contender

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bench import Row, Run

BARE = "python -c pass"
NEEDED = "what it stands on: pydantic, fsspec, AESGCM"
IMPORT = "import connectors"
USED = "import connectors, and name Dataset"
COMMANDS = {
    BARE: ["-c", "pass"],
    NEEDED: ["-c", "import pydantic, fsspec, cryptography.hazmat.primitives.ciphers.aead"],
    IMPORT: ["-c", "import connectors"],
    USED: ["-c", "import connectors; connectors.Dataset"],
    "connectors --version": ["-m", "connectors", "--version"],
    "connectors --help": ["-m", "connectors", "--help"],
}


def run(bench: Bench) -> Iterator[Row]:
    contenders = (
        Contender(name, partial(_starting, command), reference=None if name == BARE else NEEDED, repeats=False)
        for name, command in COMMANDS.items()
    )
    rows = bench.race("whole process", contenders)
    bare, needed = (_row(rows, name) for name in (BARE, NEEDED))
    for row in rows:
        row["beyond"] = _beyond(row, bare) if row["seconds"] else None
        row["ratio"] = None  # it compares the time beyond a bare Python; less is better
        if row["reference"] and row["beyond"] and needed["seconds"]:
            row["times"] = row["beyond"] / _beyond(needed, bare)
    return iter(rows)


def _starting(command: Sequence[str]) -> Run:
    return lambda _: subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)


def _row(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row["contender"] == name)


def _beyond(row: Row, bare: Row) -> float:
    return statistics.median(ours - theirs for ours, theirs in zip(row["seconds"], bare["seconds"], strict=True))
