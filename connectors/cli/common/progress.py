"""A progress bar for a terminal. Apart from `console` because it imports Rich, which few calls need."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from connectors._fsspec import Callback

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bar"]


class _Bar(Callback):
    """An fsspec callback that updates a Rich progress bar."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        super().__init__()
        self._shown = shown
        self._task = task

    def call(self, hook_name: str | None = None, **kwargs: object) -> None:  # noqa: ARG002 - fsspec's signature
        """Update the bar. Every change of a callback calls this."""
        self._shown.update(self._task, total=self.size, completed=self.value)


@contextmanager
def bar(description: str, of: Literal["bytes", "objects"] = "bytes") -> Iterator[Callback]:
    """Yield a callback whose bar is shown on standard error while the block runs."""
    amount = (DownloadColumn(binary_units=True), TransferSpeedColumn()) if of == "bytes" else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *amount, TimeRemainingColumn())
    terminal = Console(file=sys.stderr)
    with Progress(*columns, console=terminal, transient=True, redirect_stdout=False, redirect_stderr=False) as shown:
        yield _Bar(shown, shown.add_task(escape(description), total=None))
