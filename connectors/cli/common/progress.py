"""A progress bar for a terminal. Apart from `console` because it loads Rich, which few calls need."""

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
    """Passes on to a bar of Rich's what an fsspec callback is told."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        super().__init__()
        self._shown = shown
        self._task = task

    def call(self, hook_name: str | None = None, **kwargs: object) -> None:  # noqa: ARG002 - fsspec's signature
        """Draw where it stands; every change of a callback ends here."""
        self._shown.update(self._task, total=self.size, completed=self.value)


@contextmanager
def bar(description: str, of: Literal["bytes", "objects"] = "bytes") -> Iterator[Callback]:
    """Yield a callback whose bar stands on standard error while the block runs, and is gone afterwards."""
    amount = (DownloadColumn(binary_units=True), TransferSpeedColumn()) if of == "bytes" else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *amount, TimeRemainingColumn())
    terminal = Console(file=sys.stderr)
    with Progress(*columns, console=terminal, transient=True, redirect_stdout=False, redirect_stderr=False) as shown:
        yield _Bar(shown, shown.add_task(escape(description), total=None))
