"""Chooses the inputs to keep: those that take a step in this project's code that no other input takes."""

from __future__ import annotations

import os
import sys
import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import connectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["keep"]

_HOME = os.path.dirname(os.path.dirname(connectors.__file__))

Step = tuple[str, int, int]


def keep(check: Callable[[bytes], object], found: Iterable[Path], kept: Path) -> int:
    """Copy inputs to the kept ones, the smallest first, if they take steps that no previous input takes.

    Args:
        check: the target.
        found: the inputs to choose from.
        kept: the folder of kept inputs; none is removed.

    Returns:
        The number of copied inputs.
    """
    known: set[Step] = set()
    for path in sorted(kept.iterdir()):
        known |= _steps(check, path.read_bytes())
    copied = 0
    for path in sorted(found, key=lambda one: (one.stat().st_size, one.name)):
        data = path.read_bytes()
        new = _steps(check, data) - known
        # A step may occur only the first time, such as an import.
        if new and _steps(check, data) - known:
            known |= new
            (kept / sha256(data).hexdigest()[:16]).write_bytes(data)
            copied += 1
    return copied


def _steps(check: Callable[[bytes], object], data: bytes) -> set[Step]:
    """Return the steps between lines that an input takes in this project's packages."""
    steps: set[Step] = set()

    def trace(frame: Any, event: str, _: object) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(_HOME) or f"{os.sep}fuzz{os.sep}" in file.removeprefix(_HOME):
            return None
        before = frame.f_lineno if event == "call" else 0

        def line(frame: Any, event: str, _: object) -> Any:
            nonlocal before
            if event == "line":
                steps.add((file, before, frame.f_lineno))
                before = frame.f_lineno
            return line

        return line

    threading.settrace(trace)
    sys.settrace(trace)
    try:
        check(data)
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
    return steps
