"""Benchmarks of speed, memory and requests: this package compared with its peers and with its limits.

`python -m benchmarks` runs the cases in `cases/`; `notes.md` says how they are measured.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

# The benchmarks use the same servers as the tests.
sys.path.append(str(ROOT / "tests" / "support"))
