"""The parent process of a command: it adopts every process that the command leaves, and ends all of them.

`command.py` runs this module as a program, so that the processes of the command become children of it alone, and not
of the program that uses this package. It imports little, so that it starts fast. The arguments are the runner's process
ID and two file descriptors. The first brings the command and its environment, then signals: each byte is a signal for
the command's process group, but SIGKILL, or the end of the pipe, ends all processes. The second reports in lines: the
``errno`` of the start, 0 if the command runs, and the command's exit code, as `subprocess` has it.

The exit code is 0 if all processes have ended, `LEFT` if some belong to another user, and `UNFINDABLE` if a Linux
system lacks what is needed to adopt processes. Other systems have nothing like it: there, only the command's process
group is ended.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LEFT", "UNFINDABLE", "main", "packed"]

LEFT, UNFINDABLE = 3, 4
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_COUNT = 8
"""The length of the numbers in the first message."""


def packed(words: list[bytes], environment: dict[bytes, bytes]) -> bytes:
    """Return the message that says what to start."""
    variables = [name + b"=" + value for name, value in environment.items()]
    body = b"\0".join([b"%d" % len(words), *words, *variables])
    return len(body).to_bytes(_COUNT, "big") + body


def _unpacked(requests: int) -> tuple[list[bytes], dict[bytes, bytes]]:
    """Read that message. The inherited environment cannot be used: Python adds a variable to it in the C locale."""
    with open(requests, "rb", buffering=0, closefd=False) as file:
        left, body = int.from_bytes(file.read(_COUNT), "big"), b""
        while len(body) < left and (data := file.read(left - len(body))):
            body += data
    count, *fields = body.split(b"\0")
    words, variables = fields[: int(count)], fields[int(count) :]
    return words, dict(variable.split(b"=", 1) for variable in variables)


def _prctl(option: int, value: int) -> bool:
    """Set an attribute of this process; return whether the system has it."""
    try:
        import ctypes  # noqa: PLC0415 - not every Python has it

        done: int = ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3)
    except (ImportError, OSError, AttributeError):
        return False
    return done == 0


def _children() -> Iterator[int]:
    """Yield the process IDs of this process's children, the newest first: the oldest may end meanwhile."""
    mine = b"%d" % os.getpid()
    for pid in sorted(map(int, filter(str.isdigit, os.listdir("/proc"))), reverse=True):
        parent = None
        with suppress(OSError), open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            parent = file.read(4096).rpartition(b") ")[2].split()[1]
        if parent == mine:
            yield pid


class _Supervisor:
    """A running command and everything that it starts."""

    def __init__(self, runner: int, requests: int, reports: int) -> None:
        self._runner, self._requests, self._reports = runner, requests, reports
        self._command = 0
        self._reaped = self._over = False
        self._adopts = sys.platform == "linux" and os.path.exists("/proc/self/stat")
        self._adopts = self._adopts and _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._wakes, wake = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        # A signal that was ignored stays ignored for the command. The others are for the runner, which passes them on.
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        self._mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        # If the runner is killed, this process wakes up. The end of the pipe is not enough: a fork may hold it open.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGCHLD)

    def _report(self, number: int) -> None:
        with suppress(BrokenPipeError):
            os.write(self._reports, b"%d\n" % number)

    def start(self, words: list[bytes], environment: dict[bytes, bytes]) -> bool:
        """Start the command, report the outcome, and return whether it runs."""
        failed, failure = os.pipe()
        try:
            self._command = os.fork()
        except OSError as error:
            self._report(error.errno or 1)
            return False
        if self._command == 0:
            self._become(words, environment, failure)
        os.close(failure)
        # Only the command holds its pipes: their end is seen when it closes them.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        with open(failed, "rb") as file:
            number = int(file.read() or b"0")
        self._report(number)
        return number == 0

    def _become(self, words: list[bytes], environment: dict[bytes, bytes], failure: int) -> None:
        """Turn this new process into the command."""
        supervisor = os.getppid()
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == supervisor:
                os.execvpe(words[0], words, environment)  # noqa: S606 - as its caller wants it
        except OSError as error:
            os.write(failure, b"%d" % (error.errno or 1))
        finally:
            os._exit(127)

    def attend(self) -> None:
        """Pass signals on until the end is requested or the runner has ended."""
        poll = select.poll()
        poll.register(self._requests, select.POLLIN)
        poll.register(self._wakes, select.POLLIN)
        while os.getppid() == self._runner:
            self._reap()
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wakes in ready:
                os.read(self._wakes, 4096)
            if self._requests in ready:
                numbers = os.read(self._requests, 4096)
                if not numbers or signal.SIGKILL in numbers:
                    return
                for number in numbers:
                    self._signal(number)

    def _signal(self, number: int) -> None:
        """Send a signal to the command's process group, whose ID is reserved until the command is reaped."""
        if not self._reaped:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._command, number)

    def _ended(self, pid: int, code: int) -> None:
        if pid == self._command and not self._over:
            self._over = True
            self._report(code)

    def _reap(self) -> None:
        """Report the command's exit and leave it unreaped; reap the orphans that have ended before."""
        while not self._over:
            if not hasattr(os, "waitid"):  # macOS before Python 3.13
                pid, status = os.waitpid(self._command, os.WNOHANG)
                if pid:
                    self._reaped = True
                    self._ended(pid, os.waitstatus_to_exitcode(status))
                return
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return
            if found.si_pid == self._command:
                self._ended(found.si_pid, found.si_status if found.si_code == os.CLD_EXITED else -found.si_status)
            else:
                os.waitpid(found.si_pid, 0)

    def end(self) -> int:
        """End all processes and return this process's exit code."""
        self._signal(signal.SIGKILL)
        ended = self._end_children()
        if not self._over:  # it belongs to another user
            self._wait(self._command, 0)
            ended = self._end_children()
        if not self._adopts and sys.platform == "linux":  # elsewhere, it is documented
            return UNFINDABLE
        return 0 if ended else LEFT

    def _end_children(self) -> bool:
        """Kill children until there are none, and return whether that succeeded.

        Only children are killed, because their process IDs cannot pass to other processes before they are reaped here.
        The children of a killed process become children of this one. A process that forks and exits again and again
        is caught: its newest process is among the children, or its parent is, which cannot fork once it is killed.
        """
        while True:
            try:
                while self._wait(-1, os.WNOHANG):
                    pass
                if not (self._adopts and sum(map(self._killed, _children()))):
                    return False
                self._wait(-1, 0)
            except ChildProcessError:
                return True

    def _wait(self, which: int, options: int) -> int:
        pid, status = os.waitpid(which, options)
        self._reaped = self._reaped or pid == self._command
        self._ended(pid, os.waitstatus_to_exitcode(status))
        return pid

    def _killed(self, pid: int) -> bool:
        try:
            os.kill(pid, signal.SIGKILL)
        except PermissionError:
            return False
        return True


def main() -> int:
    """Supervise one command."""
    runner, requests, reports = map(int, sys.argv[1:])
    for descriptor in (requests, reports):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keywords
    supervisor = _Supervisor(runner, requests, reports)
    if not supervisor.start(*_unpacked(requests)):
        return 0
    supervisor.attend()
    return supervisor.end()
