"""The benchmarks run: every case at sizes that a test can afford, and the report that is made of them."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {
    "crypto": {"cobblestone-256", "tink-gcm-hkdf 4 KiB", "tink-gcm-hkdf 1 MiB", "gcm"},
    "local": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "gcm", "cobblestone-256, one read", "gcm, from memory"},
    "http": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "not sealed"},
    "s3": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "not sealed"},
    "random_reads": {"cobblestone-256", "tink-gcm-hkdf 64 KiB"},
    "small_objects": {"sealed"},
    "parquet": {"cobblestone-256", "tink-gcm-hkdf 1 MiB"},
    "processes": {"import connectors", "connectors --version"},
    "memory": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "gcm"},
    "workers": {"local, sealed", "S3, sealed"},
    "workflows": {"20 datasets, 4 applications", "40 datasets, 8 applications"},
}
"""The contenders of each case that are this package's own."""


def run(output: Path, *options: str) -> str:
    command = [sys.executable, "-m", "benchmarks", "--output", str(output), *options]
    environment = {**os.environ, "TMPDIR": str(output)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize("case", OURS)
def test_every_case_runs_and_is_reported(case, tmp_path):
    rows = json.loads(run(tmp_path, "--only", case, "--size", "tiny", "--rounds", "1", "--json"))
    ours = [row for row in rows if row["contender"] in OURS[case]]
    assert {row["contender"] for row in ours} == OURS[case]
    for row in ours:
        assert "not_run" not in row, row
        assert row["case"] == case
        assert row["seconds"], row
        numbers = [*row["seconds"], *(row[name] for name in ("bytes_per_second", "ratio", "peak") if row.get(name))]
        assert all(math.isfinite(number) and number > 0 for number in numbers), row

    report = (tmp_path / "RESULTS.md").read_text()
    assert f"--only {case} " in report
    for row in rows:
        assert row["contender"] in report
        assert f"not run: {row['not_run']}" in report if "not_run" in row else True
    shown = {line.partition("(")[2].rstrip(")") for line in report.splitlines() if line.startswith("![")}
    assert shown == {f"plots/{path.name}" for path in (tmp_path / "plots").iterdir()}


def test_report_needs_no_measuring_and_a_run_replaces_only_its_rows(tmp_path):
    run(tmp_path, "--only", "processes", "--size", "tiny", "--rounds", "1")
    results, report = (tmp_path / "results.json").read_bytes(), (tmp_path / "RESULTS.md").read_text()
    (tmp_path / "RESULTS.md").unlink()
    run(tmp_path, "--report")
    assert (tmp_path / "results.json").read_bytes() == results
    assert (tmp_path / "RESULTS.md").read_text() == report

    before = json.loads(results)
    before["cases"]["http"] = {**before["cases"]["processes"], "rows": []}
    (tmp_path / "results.json").write_text(json.dumps(before))
    run(tmp_path, "--only", "processes", "--size", "tiny", "--rounds", "2")
    after = json.loads((tmp_path / "results.json").read_text())
    assert after["cases"]["http"] == before["cases"]["http"]
    assert all(len(row["seconds"]) == 2 for row in after["cases"]["processes"]["rows"])
