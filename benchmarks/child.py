"""Runs a function in a process of its own."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

from benchmarks import ROOT
from benchmarks.bench import NotRun


def in_child(module: str, function: str, **arguments: object) -> Any:
    """Call a function of a module in a process of its own; its arguments and result must be JSON values."""
    command = [sys.executable, "-m", "benchmarks.child", module, function]
    # Over standard input, because other users can see the arguments of a process, and some contain credentials.
    done = subprocess.run(command, input=json.dumps(arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise NotRun(lines[-1])
    return json.loads(done.stdout)


if __name__ == "__main__":
    _, name, wanted = sys.argv
    print(json.dumps(getattr(importlib.import_module(name), wanted)(**json.load(sys.stdin))))
