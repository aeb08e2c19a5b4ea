"""Run a command on the inputs of an application, and publish what comes of it.

`run` puts every dataset of the input port, plain, into a file of a private folder, runs the command with those paths
as its last arguments, and writes to the datasets of the output port: what the command printed, as the JSON that
`read_result` reads, or a file that the command wrote.

A command asks for files, so this is the one place where plain bytes lie in a filesystem: below ``$TMPDIR``, in a
folder that only its user can enter, and that is removed whatever happens, short of this process being killed
outright. Let ``$TMPDIR`` be in memory, or encrypted, where disks are not trusted.
"""

from __future__ import annotations

from connectors.runner.command import CommandNotStarted
from connectors.runner.job import INPUTS_VARIABLE, OUTPUTS_VARIABLE, NotPublished, RunResult, run
from connectors.runner.result import RESULT_LIMIT, Result, read_result
from connectors.runner.stops import Stopped

__all__ = [
    "INPUTS_VARIABLE",
    "OUTPUTS_VARIABLE",
    "RESULT_LIMIT",
    "CommandNotStarted",
    "NotPublished",
    "Result",
    "RunResult",
    "Stopped",
    "read_result",
    "run",
]
