"""Processes that die while they write, hundreds of them: forked from one that has everything loaded already.

Run as a program this is that one. It reads a job per line, forks a process that does it, ends it with a signal at a given
moment, and says how that went. It starts no thread, so that what it forks is as good as new.
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

import connectors
import connectors.runner
from connectors.cli import command

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["REFUSED", "Death", "Mortals", "content", "mortals"]

REFUSED = 7
"""The exit code of a job that ended with an error of ours."""
PATIENCE = 60.0
"""Seconds after which a process that does not end is taken to hang."""
WRITING, CLOSING, DONE = b"w", b"c", b"d"
"""What a job says when it begins to write, when all is written and is about to be published, and when it is done."""


def content(size: int, seed: int) -> bytes:
    """Return bytes that are the same for the same arguments, in every process."""
    return random.Random(seed).randbytes(size)


@dataclass(frozen=True)
class Death:
    """How a process ended.

    Attributes:
        status: its exit code, or -N if signal N ended it.
        done: whether it had said that all was done.
        times: seconds from the start of its writing to the start of its closing, and from there to its end.
    """

    status: int
    done: bool
    times: tuple[float, float]


@dataclass
class Mortals:
    """The processes' parent, as tests see it.

    Attributes:
        process: the program.
    """

    process: subprocess.Popen[str]
    _measured: dict[str, tuple[float, float]] = field(default_factory=dict)

    def do(self, job: str, **arguments: Any) -> Death:
        """Let a process do a job to its end."""
        return self._order(job, arguments, None, "", 0.0)

    def end(self, job: str, number: signal.Signals, chance: random.Random, **arguments: Any) -> Death:
        """Let a process begin with a job, and send it a signal at a moment that `chance` picks.

        Half of the moments lie in the writing, half in the closing; both may be over by then. How long they take is
        measured once for each job.
        """
        if job not in self._measured:
            told = self.do(job, **arguments)
            assert told.done, f"{job} failed by itself with exit code {told.status}"
            self._measured[job] = told.times
        phase = chance.choice([0, 1])
        moment = chance.uniform(0, 1.1 * self._measured[job][phase])
        return self._order(job, arguments, number, (WRITING, CLOSING)[phase].decode(), moment)

    def _order(self, job: str, arguments: Any, number: int | None, phase: str, moment: float) -> Death:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([job, arguments, number, phase, moment]) + "\n")
        self.process.stdin.flush()
        status, done, times = json.loads(self.process.stdout.readline())
        assert status is not None, f"{job} did not end"
        return Death(status, done, tuple(times))


@contextmanager
def mortals(**environment: str) -> Iterator[Mortals]:
    """Run the program for the duration of the block."""
    command = [sys.executable, __file__]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        yield Mortals(process)
    finally:
        process.communicate()


# The program.


def _dataset(arguments: dict[str, Any]) -> Any:
    return connectors.Dataset(arguments["location"], arguments["document"])


def _write(arguments: dict[str, Any], say: Callable[[bytes], None]) -> None:
    """Write to an open dataset in pieces, and close it."""
    data = memoryview(content(arguments["size"], arguments["seed"]))
    dataset = _dataset(arguments)
    say(WRITING)
    with dataset.open(arguments.get("mode", "wb")) as file:
        for start in range(0, len(data), 700_000):
            file.write(data[start : start + 700_000])
        say(CLOSING)


def _encrypt(arguments: dict[str, Any], say: Callable[[bytes], None]) -> None:
    """Seal a file; its first half is called writing, which nobody can tell from the other."""
    say(WRITING)
    say(CLOSING)
    connectors.encrypt(arguments["source"], arguments["target"], arguments["key"])


def _upload(arguments: dict[str, Any], say: Callable[[bytes], None]) -> None:
    dataset = _dataset(arguments)
    say(WRITING)
    say(CLOSING)
    dataset.upload(arguments["source"])


def _folder(arguments: dict[str, Any], say: Callable[[bytes], None]) -> None:
    """Write every object of a folder anew, in a transaction."""
    fs, path = _dataset(arguments).filesystem()
    say(WRITING)
    with fs.transaction:
        for number, name in enumerate(arguments["names"]):
            fs.pipe_file(f"{path}/{name}", content(arguments["size"], arguments["seed"] + number))
        say(CLOSING)


def _one_by_one(arguments: dict[str, Any], say: Callable[[bytes], None]) -> None:
    """Write every object of a folder anew, one after the other."""
    fs, path = _dataset(arguments).filesystem()
    say(WRITING)
    say(CLOSING)
    for number, name in enumerate(arguments["names"]):
        fs.pipe_file(f"{path}/{name}", content(arguments["size"], arguments["seed"] + number))


def _command(arguments: dict[str, Any], say: Callable[[bytes], None]) -> None:
    """Run the command line; it is over when it has been left."""
    say(WRITING)
    say(CLOSING)
    code = command.run(arguments["words"])
    if code:
        sys.exit(code)


KEPT: list[Any] = []
"""What is still open when the interpreter ends."""


def _leave(arguments: dict[str, Any], say: Callable[[bytes], None]) -> None:
    """Come to the end of the program in the middle of something."""
    dataset, data = _dataset(arguments), content(arguments["size"], arguments["seed"])
    say(WRITING)
    LEAVING[arguments["what"]](dataset, data, arguments)
    say(CLOSING)


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


def _read_on_and_on(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    def read() -> None:
        while dataset.read_bytes() == data:
            begun.set()

    begun = threading.Event()
    threading.Thread(target=read, daemon=True).start()
    begun.wait()


def _write_on_and_on(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    def write() -> None:
        with dataset.open("wb") as file:
            while True:
                file.write(data)
                begun.set()

    begun = threading.Event()
    threading.Thread(target=write, daemon=True).start()
    begun.wait()


def _write_in_a_thread(dataset: connectors.Dataset, data: bytes, _: dict[str, Any]) -> None:
    threading.Thread(target=lambda: dataset.write_bytes(data)).start()


LEAVING: dict[str, Callable[[connectors.Dataset, bytes, dict[str, Any]], None]] = {
    "a reader is open": _keep_reader,
    "a writer is open": _keep_writer,
    "atexit closes a writer": _close_at_exit,
    "atexit writes": _write_at_exit,
    "atexit reads": _read_at_exit,
    "atexit seals a file": _seal_at_exit,
    "a daemon thread reads": _read_on_and_on,
    "a daemon thread writes": _write_on_and_on,
    "another thread writes": _write_in_a_thread,
}
"""What a program is in the middle of at its end."""


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
    gc.freeze()  # so that those who end in good order do not look through all that was loaded
    for line in sys.stdin:
        job, arguments, number, phase, moment = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _live(job, arguments, writing)
        os.close(writing)
        sys.stdout.write(json.dumps(_attend(child, reading, number, phase.encode(), moment)) + "\n")
        sys.stdout.flush()
        os.close(reading)


def _live(job: str, arguments: dict[str, Any], writing: int) -> None:
    """Do a job in the process that was forked for it, and end as every program does."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # with its parent's streams it has nothing to do
        os.dup2(nothing, stream)
    if "stderr" in arguments:
        os.dup2(os.open(arguments["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
    try:
        for name, value in arguments.get("environment", {}).items():
            os.environ[name] = value
        if arguments.get("named"):  # as on a system whose files have names from the start
            del os.O_TMPFILE
        JOBS[job](arguments, lambda word: os.write(writing, word))
    except KeyboardInterrupt:
        sys.exit(130)
    except connectors.errors.ConnectorError:
        sys.exit(REFUSED)
    os.write(writing, DONE)
    sys.exit(0)


def _attend(child: int, reading: int, number: int | None, phase: bytes, moment: float) -> tuple[Any, bool, list[float]]:
    heard: dict[bytes, float] = {}
    deadline = time.monotonic() + PATIENCE
    ended = False
    while not ended and time.monotonic() < deadline:
        if select.select([reading], [], [], 0.5)[0]:
            for word in (words := os.read(reading, 16)):
                heard[bytes([word])] = time.monotonic()
            ended = not words
        if number is not None and (phase in heard or ended):
            if not ended:
                time.sleep(moment)
            os.kill(child, number)  # it has not been waited for, so it is still its number
            number = None
    now = time.monotonic()
    if not ended:
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    closing = heard.get(CLOSING, now)
    times = [closing - heard.get(WRITING, closing), heard.get(DONE, now) - closing]
    return (status if ended else None), DONE in heard, times


def _load() -> None:
    """Import what the jobs will need."""
    connectors.backends()
    for plugin in ("connectors_s3.filesystem", "connectors_azure.filesystem", "connectors_https.filesystem"):
        __import__(plugin)


if __name__ == "__main__":
    _load()
    _serve()
