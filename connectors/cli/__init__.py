"""The ``connectors`` command: verbs for data owners and applications.

Each verb or group of verbs has a module with a function `register`. `command` imports the module that a command line
names, and turns every error into one line and an exit code. `common.console` alone writes to the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: the words after ``connectors``; the default is this process's own.
    """
    try:
        from connectors.cli.command import run  # noqa: PLC0415 - takes long enough to be interrupted
    except KeyboardInterrupt:
        return 130
    return run(arguments)
