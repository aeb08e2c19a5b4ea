"""Memory stays bounded, whatever the size: measured by the benchmark, each case in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "formats.py"
LIMIT = 200
"""MiB beyond what the imports take."""


@pytest.mark.parametrize("size", [64, pytest.param(2048, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_sealing_and_opening_a_file_takes_bounded_memory(size, tmp_path):
    command = [sys.executable, str(BENCHMARK), "--size", str(size), "--rounds", "1", "--json"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    rows = json.loads(done.stdout)
    assert {(row["format"], row["case"]) for row in rows} == {
        (name, case) for name in ("cobblestone-256", "tink-gcm-hkdf", "gcm") for case in ("seal", "open")
    }
    assert all(row["peak_mib"] < LIMIT for row in rows), rows
