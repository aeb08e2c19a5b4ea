"""The test that leaves something open is the one that fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

SUPPORT = Path(__file__).resolve().parents[1] / "support"

TESTS = """
import gc, os, socket
import pytest

class Cycle:
    def __init__(self, held):
        self.held, self.me = held, self

@pytest.fixture(scope="module", autouse=True)
def no_chance():
    gc.disable()

def test_file(): Cycle(open(os.devnull))
def test_between(): pass
def test_socket(): Cycle(socket.socket())
def test_after(): pass
"""


def test_a_leak_fails_the_test_that_caused_it(tmp_path: Path) -> None:
    (tmp_path / "test_leaving.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "leaks", "-W", "error", "-rE", "test_leaving.py"]
    env = {**os.environ, "PYTHONPATH": str(SUPPORT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "300"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE)
    failed = re.findall(r"^ERROR test_leaving.py::(\w+) - .*left open: unclosed", done.stdout, re.MULTILINE)
    assert failed == ["test_file", "test_socket"], done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
