"""The supervisor: no process that a command started outlives the run, and its exit code is not lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab import RUN, Lab, gone, python, script

from connectors import errors, runner
from connectors.runner import folder as folder_module
from connectors.runner import supervisor


def ended(pid: int) -> bool:
    """Return whether a process has ended by now, when the run has returned; elsewhere than on Linux, wait for it."""
    return not os.path.exists(f"/proc/{pid}") if sys.platform == "linux" else gone(pid)


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt others")
LEAVE_BEHIND = """
    import os, subprocess, sys
    sleep = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session={session})
    os.write(1, b"%d" % sleep.pid)
    os.write(2, b"e" * 60000)
"""


def test_children_left_running_are_killed_and_do_not_block_the_run(wired):
    runner.run(wired.app, python(LEAVE_BEHIND.format(session=False)), grace=0.2)
    assert wired.result().stderr == b"e" * 60000
    assert ended(int(wired.result().stdout))


def test_a_daemon_that_keeps_the_pipe_open_is_killed_and_does_not_keep_the_run(wired):
    runner.run(wired.app, python(LEAVE_BEHIND.format(session=True)), grace=0.2)
    assert ended(int(wired.result().stdout))
    assert wired.result().stderr == b"e" * 60000


def test_a_daemon_that_never_stops_writing_does_not_keep_the_run(wired):
    code = """
        import os, subprocess, sys
        chatter = "import os\\nwhile True: os.write(1, b'.')"
        print(subprocess.Popen([sys.executable, "-c", chatter], start_new_session=True, stderr=2).pid, file=sys.stderr)
    """
    runner.run(wired.app, python(code), grace=0.2)
    assert ended(int(wired.result().stderr.split()[0]))
    assert set(wired.result().stdout) <= {ord(".")}


LEAVE = """
import os, signal, sys, time
told, held = sys.argv[1:]
def leave():
    "Fork twice, as daemons do; return True in the grandchild, which holds the input and no pipe of ours."
    if os.fork():
        os.wait()
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    open_still.append(open(held, "rb"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    return True
def tell():
    with open(told + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(told + ".new", told)
open_still = []
{daemon}
while not os.path.exists(told):
    time.sleep(0.01)
{then}
"""
DAEMONS = {
    "daemon": "if leave(): tell(); time.sleep(600)",
    "daemon that ignores SIGTERM": "if leave(): signal.signal(15, signal.SIG_IGN); tell(); time.sleep(600)",
    "daemon of a daemon": "if leave():\n    if leave(): tell()\n    time.sleep(600)",
    "stopped daemon": "if leave(): tell(); os.kill(os.getpid(), signal.SIGSTOP)",
}


def leaving(wired: Lab, daemon: str, then: str) -> list[str]:
    """Return a command that leaves a daemon behind, which tells its process ID, and then does something."""
    return [sys.executable, "-c", LEAVE.format(daemon=daemon, then=then), str(wired.store / "told")]


@LINUX
@pytest.mark.parametrize("daemon", DAEMONS.values(), ids=DAEMONS)
def test_no_process_that_the_command_leaves_outlives_the_run(wired, daemon):
    assert runner.run(wired.app, leaving(wired, daemon, "sys.exit(3)")).returncode == 3
    assert ended(int((wired.store / "told").read_text()))


@LINUX
def test_a_process_that_forks_and_leaves_again_and_again_is_caught(wired):
    again = """
if leave():
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()
        tell()
"""
    assert runner.run(wired.app, leaving(wired, again, "")).returncode == 0
    last = (wired.store / "told").read_text()
    assert ended(int(last))
    assert (wired.store / "told").read_text() == last


@LINUX
def test_a_run_that_is_killed_leaves_no_process_behind(wired):
    daemon = DAEMONS["daemon"]
    command = leaving(wired, daemon, "print(os.getpid(), flush=True); time.sleep(600)")
    process = script(wired, RUN.replace('[sys.executable, "-c", sys.argv[2]]', "sys.argv[4:]"), "", "5", *command)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate()
    assert gone(pid)
    assert gone(int((wired.store / "told").read_text()))
    folder_module._sweep(str(wired.private))


@LINUX
def test_the_caller_s_other_children_are_not_touched(wired):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with other:
        runner.run(wired.app, leaving(wired, DAEMONS["daemon"], ""))
        assert other.poll() is None
        other.kill()


def test_a_supervisor_that_is_killed_is_an_error_and_ends_the_command(wired):
    code = """
        import os, signal, time
        os.write(1, b"%d" % os.getpid())
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    """
    shown = io.BytesIO()
    with pytest.raises(errors.ConnectorError, match=r"exit code was lost, and processes of it may still run"):
        runner.run(wired.app, python(code), stdout=shown, grace=0.2)
    assert gone(int(shown.getvalue()))
    assert wired.untouched("result")


def test_a_supervisor_that_does_not_start_is_an_error(wired, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(errors.MachineFailed, match="the command was not started"):
        runner.run(wired.app, ["true"])
    monkeypatch.setattr(sys, "executable", str(wired.store / "none"))
    with pytest.raises(errors.MachineFailed, match=r"not started, because .*none cannot be run: No such file"):
        runner.run(wired.app, ["true"])
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(errors.ConfigError, match="needs a Python interpreter"):
        runner.run(wired.app, ["true"])
    assert wired.untouched("result")


@contextmanager
def supervised_as(monkeypatch, home: Path, change: str):
    """Let the supervisor run under a Python that lacks something."""
    (home / "changed").write_text(
        f"#!{sys.executable} -IS\nimport sys; sys.path.append({os.path.dirname(supervisor.__file__)!r})\n"
        f"import os, supervisor\n{change}\nsys.argv[:] = ['', *sys.argv[-3:]]\nsys.exit(supervisor.main())\n"
    )
    (home / "changed").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(home / "changed"))
        yield


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_where_processes_cannot_be_adopted_the_group_is_killed(wired, tmp_path, monkeypatch, caplog, platform):
    change = f"sys.platform = {platform!r}; supervisor._prctl = lambda *_: False"
    leave = [*python(LEAVE_BEHIND.format(session=False))]
    leave[2] = leave[2].replace("sys.executable", repr(sys.executable))
    with supervised_as(monkeypatch, tmp_path, change):
        assert runner.run(wired.app, leave, grace=0.2).returncode == 0
    assert gone(int(wired.result().stdout))
    assert ("those that left its process group cannot be found" in caplog.text) == (platform == "linux")


def test_without_waitid_the_exit_code_is_the_same(wired, tmp_path, monkeypatch):
    code = [sys.executable, "-c", "raise SystemExit(4)"]
    with supervised_as(monkeypatch, tmp_path, "sys.platform = 'darwin'; del os.waitid"):
        assert runner.run(wired.app, code).returncode == 4
    assert wired.result().returncode == 4


def test_the_command_gets_its_environment_unchanged_in_the_c_locale(wired, monkeypatch):
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ODD", "a=b\n\udcff")
    runner.run(wired.app, ["sh", "-c", "env -0"])
    names = {entry.partition(b"=")[0] for entry in wired.result().stdout.split(b"\0")} - {b"_", b"PWD", b"SHLVL", b""}
    expected = {os.fsencode(name) for name in os.environ} | {b"CONNECTORS_INPUTS", b"CONNECTORS_OUTPUTS"}
    assert names == expected - {b"_", b"PWD", b"SHLVL"}
    assert b"ODD=a=b\n\xff" in wired.result().stdout.split(b"\0")


def test_other_code_that_waits_for_all_children_does_not_take_the_exit_code(wired):
    code = """
        import os, threading
        def take():
            while True:
                try:
                    os.waitpid(-1, 0)
                except ChildProcessError:
                    pass
        threading.Thread(target=take, daemon=True).start()
        print(runner.run(app, ["sh", "-c", "exit 9"]).returncode)
    """
    out, problem = script(wired, code).communicate()
    assert (out, problem) == (b"9\n", b"")
