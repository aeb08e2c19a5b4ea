"""The ``connectors`` command: what data owners and applications do, one verb for each step.

One module per group of verbs, each with a `register` that adds them; `entry` puts them together and turns whatever goes
wrong into one line and an exit code; `console` is the only one that writes to the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: the words after ``connectors``; this process's own if not given.
    """
    try:
        from connectors.cli.command import run  # noqa: PLC0415 - takes long enough to be interrupted
    except KeyboardInterrupt:
        return 130
    return run(arguments)
