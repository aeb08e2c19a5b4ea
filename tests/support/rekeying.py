"""What the tests of rekeying share: two keys, folders of objects under the first one, and callbacks that interfere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec

import connectors
from connectors.errors import ConnectorError

__all__ = ["NEW", "OLD", "OTHER", "Counted", "document", "fill", "interrupt_at", "stored"]

OLD, NEW, OTHER = "0a" * 32, "0b" * 32, "0c" * 32


def document(key: str, **encryption: Any) -> dict[str, Any]:
    return {"encryption": {"key": key, **encryption}}


def stored(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def fill(location: str, count: int, **encryption: Any) -> dict[str, bytes]:
    """Write a folder under the old key; return the plain bytes of its objects."""
    plain = {f"ward {number % 3}/{number:04}.csv": b"%d" % number * (number % 40) for number in range(count)}
    fs, path = connectors.Dataset(location, document(OLD, **encryption)).filesystem()
    with fs.transaction:
        for name, data in plain.items():
            fs.pipe_file(f"{path}/{name}", data)
    return plain


class Counted(fsspec.Callback):
    """Calls a function whenever bytes are counted."""

    def __init__(self, function: Callable[[], object]) -> None:
        super().__init__()
        self.function = function

    def relative_update(self, inc: int = 1) -> None:
        """Count."""
        super().relative_update(inc)
        self.function()


def interrupt_at(count: int) -> Callable[[], None]:
    """Return a function that raises when it is called for the last of so many times."""
    calls = [0]

    def interrupt() -> None:
        calls[0] += 1
        if calls[0] == count:
            raise ConnectorError("stopped")

    return interrupt
