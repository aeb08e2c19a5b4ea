"""One command: started by a supervisor, its output captured, every process that it leaves killed when it ends.

The command has its own session, so a terminal's Ctrl-C reaches only this process, which forwards it once to the
command's whole process group. The supervisor (`supervisor.py`) is a process between both. On Linux, it adopts processes
that leave the group, and it ends all of them also if this process is killed.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import ExitStack, suppress
from enum import Enum, auto
from typing import IO, TYPE_CHECKING

from connectors.errors import ConfigError, ConnectorError, MachineFailed
from connectors.runner import supervisor
from connectors.system.os_errors import numbered, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from connectors.streams.sources import BinaryFile
    from connectors.system.locks import Mailbox
    from connectors.system.stops import Stops

__all__ = ["Capture", "CommandNotStarted", "check_command", "execute"]

_CHUNK = 1 << 16
_TICK = 100
"""Milliseconds between two checks of a pipe with no data."""
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127

_LEFT_OVER = {
    supervisor.LEFT: "they belong to another user; end them",
    supervisor.UNFINDABLE: "without /proc and prctl, those that left its process group cannot be found",
}

_log = logging.getLogger(__name__)


class CommandNotStarted(ConfigError):
    """The command could not be started.

    Attributes:
        exit_code: as in shells: 127 if there is no such command, 126 if it is not executable.
    """

    exit_code = _NOT_FOUND


def _not_started(exit_code: int, message: str) -> CommandNotStarted:
    error = CommandNotStarted(message)
    error.exit_code = exit_code
    return error


def check_command(command: Sequence[str]) -> None:
    """Check that the program exists, before anything is decrypted for it.

    Raises:
        ConfigError: the command is not a list of words.
        CommandNotStarted: there is no such program, or it is not executable.
    """
    if isinstance(command, (str, bytes)) or not command:
        message = "a command is a list of words, the program's name first"
        raise ConfigError(message)
    if any("\0" in word for word in command):
        message = "a word of the command has a NUL character in it"
        raise ConfigError(message)
    if not sys.executable or getattr(sys, "frozen", False):
        message = "running a command needs a Python interpreter, and sys.executable names none"
        raise ConfigError(message)
    program = command[0]
    if shutil.which(program) is None:
        folders = [""] if os.path.dirname(program) else os.get_exec_path()
        if program and any(os.path.exists(os.path.join(folder, program)) for folder in folders):
            raise _not_started(_NOT_EXECUTABLE, f"the command {program!r} is not executable")
        raise _not_started(_NOT_FOUND, f"there is no command {program!r}")


class _Event(Enum):
    EXITED = auto()
    DRAINED = auto()


def _start(work: Callable[[], None], events: Mailbox[object], done: _Event) -> None:
    """Do `work` in a thread, and put `done` into `events` however it ends."""

    def worker() -> None:
        try:
            work()
        finally:
            events.put(done)

    try:
        threading.Thread(target=worker, name=f"connectors-run-{done.name.lower()}", daemon=True).start()
    except RuntimeError:
        message = "the command was killed: no thread could be started to read its output; raise the limit (ulimit -u)"
    else:
        return
    raise MachineFailed(message)


class Capture:
    """Captures one output stream of a command in an unnamed file, and copies it to another as it arrives.

    Args:
        folder: the folder of the unnamed file.
        shown: a binary file to copy everything to, or None.
        label: the stream's name, for messages.
    """

    def __init__(self, folder: str, shown: BinaryFile | None, label: str) -> None:
        self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by `close`
        self.error: BaseException | None = None
        self._shown = shown
        self._label = label
        # The thread has its own descriptor: if it outlives the run, blocked on a terminal that nobody reads, the
        # number of a closed descriptor may already belong to another file.
        try:
            self._kept: IO[bytes] | None = open(os.dup(self.file.fileno()), "wb", buffering=0)  # noqa: SIM115
        except OSError:
            self.file.close()
            raise

    def close(self) -> None:
        """Discard the captured bytes."""
        self.file.close()
        if self._kept is not None:
            self._kept.close()

    def start(self, pipe: IO[bytes], enough: threading.Event, events: Mailbox[object]) -> None:
        """Start reading `pipe` to its end, or to what it holds once `enough` is set."""
        kept = self._kept
        if kept is None:
            message = "a capture can be used for one command only"
            raise ValueError(message)
        _start(lambda: self._drain(pipe, kept, enough), events, _Event.DRAINED)
        self._kept = None  # owned by the thread, which closes it

    def _drain(self, pipe: IO[bytes], kept: IO[bytes], enough: threading.Event) -> None:
        try:
            with pipe, kept:
                for data in _chunks(pipe.fileno(), enough):
                    _write(kept, data)
                    self._show(data)
        except BaseException as error:  # noqa: BLE001 - raised where the command is waited for
            self.error = error

    def _show(self, data: bytes) -> None:
        if self._shown is None:
            return
        try:
            _write(self._shown, data)
            self._shown.flush()
        except (OSError, ValueError) as error:
            # The reader has gone. The captured bytes are still complete.
            self._shown = None
            if not isinstance(error, BrokenPipeError):
                _log.warning("the command's %s is still captured but no longer shown: %s", self._label, error)


def _write(file: BinaryFile, data: bytes) -> None:
    """Write all of `data`; an unbuffered file may accept part of it, or None if it is full at the moment."""
    view = memoryview(data)
    while view:
        written = file.write(view)
        if written is None:
            select.select([], [file], [])
        view = view[written or 0 :]


def _chunks(descriptor: int, enough: threading.Event) -> Iterator[bytes]:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not enough.is_set():
        if poll.poll(_TICK):
            data = os.read(descriptor, _CHUNK)
            if not data:
                return
            yield data
    # A child process may hold the pipe open forever. What the command itself wrote is in the pipe by now.
    left = int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    while left > 0 and (data := os.read(descriptor, min(left, _CHUNK))):
        left -= len(data)
        yield data


def execute(
    command: Sequence[str],
    environment: Mapping[str, str],
    captures: tuple[Capture, Capture],
    stops: Stops,
    grace: float,
) -> int:
    """Run a command to its end and return its exit code, or -N if signal N ended it.

    Args:
        command: the program and its arguments.
        environment: its environment variables.
        captures: capture its standard output and standard error.
        stops: signals that arrive are forwarded to the command.
        grace: seconds after such a signal, or after the command's exit while children still hold its outputs, before
            all of its processes are killed.

    Raises:
        CommandNotStarted: the system cannot start it.
        MachineFailed: the supervisor cannot be started, or the output cannot be kept.
        Stopped: a signal stopped the run; the command has ended.
        ConnectorError: the command's exit code was lost.
    """
    stops.check()
    return _Running(captures, stops, grace).finish(command, environment)


def _pipe(opened: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Return the ends of a pipe; they never take the place of a standard stream that the caller has closed."""
    with ExitStack() as low:
        ends = [
            low.enter_context(open(end, mode, buffering=0)) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True)
        ]
        reading = opened.enter_context(open(fcntl.fcntl(ends[0], fcntl.F_DUPFD_CLOEXEC, 3), "rb"))
        writing = opened.enter_context(open(fcntl.fcntl(ends[1], fcntl.F_DUPFD_CLOEXEC, 3), "wb", buffering=0))
    return reading, writing


def _supervisor(requests: IO[bytes], reports: IO[bytes]) -> subprocess.Popen[bytes]:
    # Isolated and without site packages or this package, it starts fast, and no variable of the user's changes it.
    # Imported, unlike as a script, it is compiled only once.
    start = "import sys; sys.path.append(sys.argv.pop(1)); import supervisor; sys.exit(supervisor.main())"
    program = [sys.executable, "-I", "-S", "-c", start, os.path.dirname(supervisor.__file__), str(os.getpid())]
    descriptors = requests.fileno(), reports.fileno()
    return subprocess.Popen(  # noqa: S603 - it has no shell, and its words are ours
        [*program, *map(str, descriptors)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=descriptors,
        start_new_session=True,
    )


class _Running:
    """A running command."""

    def __init__(self, captures: tuple[Capture, Capture], stops: Stops, grace: float) -> None:
        self._captures = captures
        self._stops = stops
        self._grace = grace
        self._enough = threading.Event()
        self._returncode: int | None = None
        with ExitStack() as theirs:
            try:
                # Each stack closes the ends that it has, also if there is no descriptor left for the next.
                with ExitStack() as made:
                    requests, self._requests = _pipe(made)
                    self._reports, reports = _pipe(made)
                    self._process = _supervisor(requests, reports)
                    theirs.push(requests)
                    theirs.push(reports)
                    made.pop_all()
            except OSError as error:
                message = f"the command was not started, because {sys.executable} cannot be run: {reason_of(error)}"
                failure = numbered(MachineFailed(message), error, sys.executable)
            else:
                return
        raise failure

    def finish(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        try:
            self._listen(*self._start(command, environment))
            self._attend()
        finally:
            self._signal(signal.SIGKILL)
            self._requests.close()
            self._enough.set()
            if ended := self._process.wait():
                problem = _LEFT_OVER.get(ended, "their supervisor has failed")
                _log.warning("processes that the command started may still run: %s", problem)
        self._stops.check()
        for capture in self._captures:
            if isinstance(capture.error, OSError):
                message = f"the command's output cannot be kept in $TMPDIR: {reason_of(capture.error)}"
                raise numbered(MachineFailed(message), capture.error, "$TMPDIR") from capture.error
            if capture.error is not None:
                raise capture.error
        if self._returncode is None:
            message = "the command's exit code was lost, and processes of it may still run: its supervisor was killed"
            raise ConnectorError(message)
        return self._returncode

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> list[IO[bytes]]:
        """Start the command; return its pipes and that of the supervisor's reports."""
        opened = [pipe for pipe in (self._process.stdout, self._process.stderr, self._reports) if pipe is not None]
        words = [os.fsencode(word) for word in command]
        variables = {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}
        with suppress(BrokenPipeError):
            _write(self._requests, supervisor.packed(words, variables))
        started = self._reports.readline()
        if started == b"0\n":
            return opened
        for pipe in opened:
            pipe.close()
        if not started:
            message = "the command was not started: its supervisor failed"
            raise MachineFailed(message)
        if int(started) == errno.ENOENT:
            # `check_command` found the program, so it is a script whose interpreter is missing.
            raise _not_started(_NOT_FOUND, f"the command {command[0]!r} or its interpreter is missing")
        reason = os.strerror(int(started))
        raise _not_started(_NOT_EXECUTABLE, f"the command {command[0]!r} cannot be run: {reason}")

    def _listen(self, *pipes: IO[bytes]) -> None:
        unheard = list(pipes)
        try:
            for capture, pipe in zip(self._captures, pipes, strict=False):
                capture.start(pipe, self._enough, self._stops.events)
                unheard.remove(pipe)
            _start(self._await_exit, self._stops.events, _Event.EXITED)
            unheard.remove(self._reports)
        finally:
            for pipe in unheard:
                pipe.close()

    def _await_exit(self) -> None:
        with self._reports:
            line = self._reports.readline()
        if line:
            self._returncode = int(line)

    def _attend(self) -> None:
        """Wait for the command's exit and the end of its outputs, and forward signals."""
        exited, over, open_pipes = False, False, len(self._captures)
        deadline: float | None = None
        while not (exited and open_pipes == 0):
            event = self._next_event(deadline)
            if event is _Event.DRAINED:
                open_pipes -= 1
                if any(capture.error for capture in self._captures):
                    self._signal(signal.SIGKILL)
                continue
            if event is None:
                self._signal(signal.SIGKILL)
                over, deadline = True, None
            elif event is _Event.EXITED:
                exited = True
            elif isinstance(event, signal.Signals):
                self._signal(event)
            if deadline is None and not over:
                deadline = time.monotonic() + self._grace
            if over and exited:
                self._enough.set()
                if self._stops.received:
                    return

    def _next_event(self, deadline: float | None) -> object | None:
        """Return the next event, or None at the deadline."""
        return self._stops.events.get(timeout=None if deadline is None else max(0, deadline - time.monotonic()))

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's process group; SIGKILL ends all processes that come from the command."""
        with suppress(BrokenPipeError):  # the supervisor has ended, and with it everything else
            _write(self._requests, bytes([number]))
