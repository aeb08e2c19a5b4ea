"""Records what a Python process exposes, in the folder $ONLOOKER. Tests put this module on the process's path.

``logs`` has everything that was logged, at every level; ``started`` has a line for each started process, with its
arguments and environment; ``removed-N`` is the content of a removed file, and ``names`` has the names of these files.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys

_FOLDER = os.environ["ONLOOKER"]
_numbers = itertools.count()


def _note(name: str, text: str) -> None:
    descriptor = os.open(os.path.join(_FOLDER, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, text.encode("utf-8", "backslashreplace") + b"\n")
    os.close(descriptor)


class _Logs(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _note("logs", f"{record.name}: {record.getMessage()} {vars(record)}")


def _keep(path: str, folder: int) -> None:
    if folder >= 0:
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
    if os.path.dirname(os.path.abspath(path)) == os.getcwd() and path.endswith(".part"):
        return  # a requested output is staged next to its target
    if os.path.isfile(path) and not os.path.islink(path):
        _note("names", path)
        with open(path, "rb") as removed, open(f"{_FOLDER}/removed-{os.getpid()}-{next(_numbers)}", "wb") as kept:
            kept.write(removed.read())


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen":
        _, words, _, environment = arguments
        _note("started", f"{words} {dict(os.environ) if environment is None else environment}")
    elif event == "os.remove":
        path, folder = arguments
        _keep(os.fsdecode(path), folder)  # type: ignore[arg-type]


logging.getLogger().setLevel(1)
logging.getLogger().addHandler(_Logs(1))
sys.addaudithook(_watch)
