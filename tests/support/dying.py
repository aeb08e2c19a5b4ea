"""Processes that are ended while they write, forked from a parent that has imported everything.

Run as a program, this module is the parent. For each line of its input, it forks a process that does a job, sends it a
signal at a given moment, and prints how it ended. The parent starts no thread, so that the forked processes are safe.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from patience import PATIENCE

import connectors
import connectors.runner
from connectors.cli import command

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AT_EXIT", "REFUSED", "Exit", "Parent", "content", "start_parent"]

REFUSED = 7
"""The exit code of a job that ended with one of our errors."""
TIMEOUT = PATIENCE
"""Seconds after which a process counts as hanging."""
WRITING, CLOSING, DONE = b"w", b"c", b"d"
"""What a job reports when it starts to write, when it has written all and starts to publish, and when it is done."""


def content(size: int, seed: int) -> bytes:
    """Return bytes that are the same for the same arguments, in every process."""
    return random.Random(seed).randbytes(size)


@dataclass(frozen=True)
class Exit:
    """How a process ended.

    Attributes:
        status: its exit code, or -N if signal N ended it.
        done: whether it reported that it was done.
        times: seconds from the start of its writing to the start of its closing, and from there to its end.
    """

    status: int
    done: bool
    times: tuple[float, float]


@dataclass
class Parent:
    """The parent of the processes, as tests use it.

    Attributes:
        process: the program.
    """

    process: subprocess.Popen[str]
    _measured: dict[str, tuple[float, float]] = field(default_factory=dict)

    def do(self, job: str, **arguments: Any) -> Exit:
        """Let a process complete a job."""
        return self._order(job, arguments, None, "", 0.0)

    def end(self, job: str, number: signal.Signals, chance: random.Random, **arguments: Any) -> Exit:
        """Let a process start a job, and send it a signal at a random moment from `chance`.

        Half of the moments are while it writes, half while it closes; it may be done earlier. The durations are
        measured once for each job.
        """
        if job not in self._measured:
            ended = self.do(job, **arguments)
            assert ended.done, f"{job} failed by itself with exit code {ended.status}"
            self._measured[job] = ended.times
        phase = chance.choice([0, 1])
        moment = chance.uniform(0, 1.1 * self._measured[job][phase])
        return self._order(job, arguments, number, (WRITING, CLOSING)[phase].decode(), moment)

    def _order(self, job: str, arguments: Any, number: int | None, phase: str, moment: float) -> Exit:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([job, arguments, number, phase, moment]) + "\n")
        self.process.stdin.flush()
        status, done, times = json.loads(self.process.stdout.readline())
        assert status is not None, f"{job} did not end"
        return Exit(status, done, tuple(times))


@contextmanager
def start_parent(**environment: str) -> Iterator[Parent]:
    """Run the program for the duration of the block."""
    command = [sys.executable, __file__]
    here = os.path.dirname(__file__)  # with PYTHONSAFEPATH, a program does not find the modules beside it
    paths = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    told = {**os.environ, "PYTHONPATH": paths, **environment}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=told)
    try:
        yield Parent(process)
    finally:
        process.communicate()


# The program.


def _dataset(arguments: dict[str, Any]) -> Any:
    return connectors.Dataset(arguments["location"], arguments["document"])


def _write(arguments: dict[str, Any], report: Callable[[bytes], None]) -> None:
    """Write to an open dataset in pieces, and close it."""
    data = memoryview(content(arguments["size"], arguments["seed"]))
    dataset = _dataset(arguments)
    report(WRITING)
    with dataset.open(arguments.get("mode", "wb")) as file:
        for start in range(0, len(data), 700_000):
            file.write(data[start : start + 700_000])
        report(CLOSING)


def _encrypt(arguments: dict[str, Any], report: Callable[[bytes], None]) -> None:
    """Encrypt a file; writing and closing cannot be told apart."""
    report(WRITING)
    report(CLOSING)
    connectors.encrypt(arguments["source"], arguments["target"], arguments["key"])


def _upload(arguments: dict[str, Any], report: Callable[[bytes], None]) -> None:
    dataset = _dataset(arguments)
    report(WRITING)
    report(CLOSING)
    dataset.upload(arguments["source"])


def _folder(arguments: dict[str, Any], report: Callable[[bytes], None]) -> None:
    """Rewrite every object of a folder in a transaction."""
    fs, path = _dataset(arguments).filesystem()
    report(WRITING)
    with fs.transaction:
        for number, name in enumerate(arguments["names"]):
            fs.pipe_file(f"{path}/{name}", content(arguments["size"], arguments["seed"] + number))
        report(CLOSING)


def _one_by_one(arguments: dict[str, Any], report: Callable[[bytes], None]) -> None:
    """Rewrite every object of a folder, one after the other."""
    fs, path = _dataset(arguments).filesystem()
    report(WRITING)
    report(CLOSING)
    for number, name in enumerate(arguments["names"]):
        fs.pipe_file(f"{path}/{name}", content(arguments["size"], arguments["seed"] + number))


def _command(arguments: dict[str, Any], report: Callable[[bytes], None]) -> None:
    """Run the command line."""
    report(WRITING)
    report(CLOSING)
    code = command.run(arguments["words"])
    if code:
        sys.exit(code)


KEPT: list[Any] = []
"""What is still open when the interpreter exits."""


def _leave(arguments: dict[str, Any], report: Callable[[bytes], None]) -> None:
    """Exit the program while something is in progress."""
    dataset, data = _dataset(arguments), content(arguments["size"], arguments["seed"])
    report(WRITING)
    AT_EXIT[arguments["what"]](dataset, data, arguments)
    report(CLOSING)


def _keep_reader(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    file = dataset.open("rb")
    KEPT.append(file)
    for start in range(0, len(data) // 2, 1 << 20):
        if file.read(1 << 20) != data[start : start + (1 << 20)]:
            sys.exit(1)


def _keep_writer(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    file = dataset.open("wb")
    KEPT.append(file)
    file.write(data)


def _close_at_exit(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    file = dataset.open("wb")
    atexit.register(file.close)
    file.write(data)


def _write_at_exit(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    atexit.register(lambda: dataset.write_bytes(data))


def _read_at_exit(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    atexit.register(lambda: None if dataset.read_bytes() == data else os._exit(1))


def _seal_at_exit(_: connectors.Dataset, __: bytes, arguments: dict[str, Any]) -> None:
    atexit.register(lambda: connectors.encrypt(arguments["source"], arguments["target"], arguments["key"]))


def _read_repeatedly(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    def read() -> None:
        while dataset.read_bytes() == data:
            started.set()

    started = threading.Event()
    threading.Thread(target=read, daemon=True).start()
    started.wait()


def _write_repeatedly(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    def write() -> None:
        with dataset.open("wb") as file:
            while True:
                file.write(data)
                started.set()

    started = threading.Event()
    threading.Thread(target=write, daemon=True).start()
    started.wait()


def _write_in_a_thread(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    threading.Thread(target=lambda: dataset.write_bytes(data)).start()


AT_EXIT: dict[str, Callable[[connectors.Dataset, bytes, dict[str, Any]], None]] = {
    "a reader is open": _keep_reader,
    "a writer is open": _keep_writer,
    "atexit closes a writer": _close_at_exit,
    "atexit writes": _write_at_exit,
    "atexit reads": _read_at_exit,
    "atexit seals a file": _seal_at_exit,
    "a daemon thread reads": _read_repeatedly,
    "a daemon thread writes": _write_repeatedly,
    "another thread writes": _write_in_a_thread,
}
"""What is in progress when a program exits."""


JOBS = {
    "leave": _leave,
    "write": _write,
    "encrypt": _encrypt,
    "upload": _upload,
    "folder": _folder,
    "one by one": _one_by_one,
    "command": _command,
}


def _serve() -> None:
    gc.freeze()  # so that the collection at exit does not visit everything that was loaded
    for line in sys.stdin:
        job, arguments, number, phase, moment = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _run_job(job, arguments, writing)
        os.close(writing)
        sys.stdout.write(json.dumps(_wait(child, reading, number, phase.encode(), moment)) + "\n")
        sys.stdout.flush()
        os.close(reading)


def _run_job(job: str, arguments: dict[str, Any], writing: int) -> None:
    """Do a job in the forked process, and exit as every program does."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # it must not use its parent's streams
        os.dup2(nothing, stream)
    if "stderr" in arguments:
        os.dup2(os.open(arguments["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
    try:
        for name, value in arguments.get("environment", {}).items():
            os.environ[name] = value
        if arguments.get("named"):  # as on a system without unnamed files
            del os.O_TMPFILE
        JOBS[job](arguments, lambda word: os.write(writing, word))
    except KeyboardInterrupt:
        sys.exit(130)
    except connectors.errors.ConnectorError:
        sys.exit(REFUSED)
    os.write(writing, DONE)
    sys.exit(0)


def _wait(child: int, reading: int, number: int | None, phase: bytes, moment: float) -> tuple[Any, bool, list[float]]:
    received: dict[bytes, float] = {}
    deadline = time.monotonic() + TIMEOUT
    ended = False
    while not ended and time.monotonic() < deadline:
        if select.select([reading], [], [], 0.5)[0]:
            for word in (words := os.read(reading, 16)):
                received[bytes([word])] = time.monotonic()
            ended = not words
        if number is not None and (phase in received or ended):
            if not ended:
                time.sleep(moment)
            os.kill(child, number)  # it has not been waited for, so its PID is still valid
            number = None
    now = time.monotonic()
    if not ended:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    closing = received.get(CLOSING, now)
    times = [closing - received.get(WRITING, closing), received.get(DONE, now) - closing]
    return (status if ended else None), DONE in received, times


def _load() -> None:
    """Import what the jobs need."""
    connectors.backends()
    for plugin in ("connectors_s3.filesystem", "connectors_azure.filesystem", "connectors_https.filesystem"):
        __import__(plugin)


if __name__ == "__main__":
    _load()
    _serve()
