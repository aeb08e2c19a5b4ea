"""Memory stays bounded, whatever the size: measured by the benchmark, each case in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 128
"""MiB beyond what the imports take."""


@pytest.mark.parametrize("size", ["small", pytest.param("full", marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_sealing_and_opening_takes_bounded_memory(size, tmp_path):
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--only",
        "memory",
        "--size",
        size,
        "--output",
        str(tmp_path),
        "--json",
    ]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    rows = json.loads(done.stdout)
    measured = {(row["contender"], row["operation"]) for row in rows if "not_run" not in row}
    formats, operations = ("cobblestone-256", "tink-gcm-hkdf 1 MiB", "gcm"), ("encrypt", "read", "decrypt")
    assert measured >= {(name, operation) for name in formats for operation in operations}
    assert all(row["peak"] < LIMIT << 20 for row in rows if "not_run" not in row), rows
