"""Run a command on the inputs of an application, and publish its outputs.

`run` decrypts every dataset of the input port into a file of a private folder, runs the command with the paths of
these files as its last arguments, and writes to the datasets of the output port: either what the command printed, as
the JSON document that `read_result` reads, or a file that the command wrote.

A command needs files, so this is the one place where plain bytes are in a filesystem: below ``$TMPDIR``, in a folder
that only its user can enter. The folder is removed however the run ends, unless this process is killed with SIGKILL;
then the next run removes it. If you do not trust the disk, put ``$TMPDIR`` in memory or on an encrypted filesystem.
"""

from __future__ import annotations

from connectors.runner.command import CommandNotStarted
from connectors.runner.job import INPUTS_VARIABLE, OUTPUTS_VARIABLE, NotPublished, RunResult, run
from connectors.runner.result import RESULT_LIMIT, Result, read_result
from connectors.system.stops import Stopped

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
