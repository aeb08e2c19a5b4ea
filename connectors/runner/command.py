"""One command: started in its own session, its output captured, its child processes killed when it ends.

The session makes the command and its children one process group. So a terminal's Ctrl-C reaches only this process,
which forwards it once to the whole group, and children that outlive the command can be killed with it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import suppress
from enum import Enum, auto
from typing import IO, TYPE_CHECKING

from connectors.errors import ConfigError, ConnectorError, MachineFailed
from connectors.streams.os_errors import numbered, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from queue import SimpleQueue

    from connectors.streams.sources import BinaryFile
    from connectors.system.stops import Stops

__all__ = ["Capture", "CommandNotStarted", "check_command", "execute"]

_CHUNK = 1 << 16
_TICK = 100
"""Milliseconds between two checks of a pipe with no data."""
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127

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
    program = command[0]
    if shutil.which(program) is None:
        folders = [""] if os.path.dirname(program) else os.get_exec_path()
        if program and any(os.path.exists(os.path.join(folder, program)) for folder in folders):
            raise _not_started(_NOT_EXECUTABLE, f"the command {program!r} is not executable")
        raise _not_started(_NOT_FOUND, f"there is no command {program!r}")


class _Event(Enum):
    EXITED = auto()
    DRAINED = auto()


def _start(work: Callable[[], None], events: SimpleQueue[object], done: _Event) -> None:
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

    def start(self, pipe: IO[bytes], enough: threading.Event, events: SimpleQueue[object]) -> None:
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
            its process group is killed.

    Raises:
        CommandNotStarted: the system cannot start it.
        Stopped: a signal stopped the run; the command has ended.
        ConnectorError: its output cannot be kept, or its exit code was lost.
    """
    stops.check()
    try:
        process = subprocess.Popen(  # noqa: S603 - running what the caller asks for is the point
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, start_new_session=True
        )
    except FileNotFoundError:
        # `check_command` found the program, so it is a script whose interpreter is missing.
        failure = _not_started(_NOT_FOUND, f"the command {command[0]!r} or its interpreter is missing")
    except OSError as error:
        failure = _not_started(_NOT_EXECUTABLE, f"the command {command[0]!r} cannot be run: {error.strerror}")
    else:
        return _Running(process, captures, stops, grace).finish()
    raise failure


class _Running:
    """A running command."""

    def __init__(
        self, process: subprocess.Popen[bytes], captures: tuple[Capture, Capture], stops: Stops, grace: float
    ) -> None:
        self._process = process
        self._captures = captures
        self._stops = stops
        self._grace = grace
        self._enough = threading.Event()
        self._returncode: int | None = None

    def finish(self) -> int:
        try:
            self._listen()
            self._attend()
        finally:
            # Until it is reaped, its process ID and group ID cannot belong to another process.
            self._signal(signal.SIGKILL)
            self._enough.set()
            self._process.wait()
        self._stops.check()
        for capture in self._captures:
            if isinstance(capture.error, OSError):
                message = f"the command's output cannot be kept in $TMPDIR: {reason_of(capture.error)}"
                raise numbered(MachineFailed(message), capture.error, "$TMPDIR") from capture.error
            if capture.error is not None:
                raise capture.error
        if self._returncode is None:
            message = "the command's exit code was lost: other code in this process waits for children it did not start"
            raise ConnectorError(message)
        return self._returncode

    def _listen(self) -> None:
        pipes = [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe is not None]
        for number, (capture, pipe) in enumerate(zip(self._captures, pipes, strict=True)):
            try:
                capture.start(pipe, self._enough, self._stops.events)
            except MachineFailed:
                for unheard in pipes[number:]:
                    unheard.close()
                raise
        _start(self._await_exit, self._stops.events, _Event.EXITED)

    def _await_exit(self) -> None:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            self._returncode = self._process.wait()
            return
        with suppress(ChildProcessError):
            # Left unreaped, so that its process ID stays reserved. `Popen.wait` would take an unknown status for 0.
            status = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            if status is not None:
                self._returncode = status.si_status if status.si_code == os.CLD_EXITED else -status.si_status

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
        try:
            return self._stops.events.get(timeout=None if deadline is None else max(0, deadline - time.monotonic()))
        except queue.Empty:
            return None

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's process group."""
        if self._process.returncode is None:
            # PermissionError: its processes have changed user, or, on macOS, are waiting to be reaped.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
