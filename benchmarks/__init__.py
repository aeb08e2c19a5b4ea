"""How fast, in how much memory and at the cost of how many requests: this package beside its peers and its limits.

`python -m benchmarks` runs the cases in `cases/`; `notes.md` says how it measures.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

# The servers that the tests run against are those that the benchmarks do.
sys.path.append(str(ROOT / "tests" / "support"))
