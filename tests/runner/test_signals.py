"""Signals to the runner: they are passed on, nothing is published, and the handlers are put back."""

from __future__ import annotations

import signal
import textwrap
import threading

import pytest
from lab import RUN, gone, python, script
from patience import PATIENCE

from connectors import errors, runner


def test_in_another_thread_it_runs_without_handling_signals(wired):
    done: list[runner.RunResult] = []
    thread = threading.Thread(target=lambda: done.append(runner.run(wired.app, python("print(1)"))))
    thread.start()
    thread.join()
    assert done == [runner.RunResult(0, ("output/result",))]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_nothing_is_published(wired, number):
    code = f"""
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def stop(n, _):
    # Not by print: the signal may come while "ready" is still on its way through the same buffer.
    os.write(1, b"told %d %d" % (n, child.wait()))
    sys.exit(0)
signal.signal({int(number)}, stop)
print("ready", child.pid, flush=True)
while True:  # Python handles a signal that arrives just before the sleep only after it
    time.sleep(0.1)
"""
    process = script(wired, RUN, code, "20")
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    process.send_signal(number)
    out, problem = process.communicate()
    assert process.returncode == 128 + number, problem.decode()
    # The command's own child was told, too, and the command could wait for it.
    assert out.split()[:2] == [b"told", b"%d" % number]
    assert out.split()[2] in (b"-%d" % number, b"1")
    assert len(out.split()) == 3
    assert gone(child)
    assert wired.untouched("result")


def test_a_command_that_does_not_listen_is_killed_when_its_time_is_over(wired):
    code = "import os, signal; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); signal.pause()"
    process = script(wired, RUN, code + ";signal.pause()" * 9, "0.2")
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert gone(pid)
    assert wired.untouched("result")


def test_a_signal_while_nobody_reads_our_output_still_ends_the_run(wired):
    code = "import os, sys; os.write(2, b'ready'); os.write(1, bytes(10 << 20))"
    process = script(
        wired, RUN.replace(", grace", ", stderr=open(2, 'wb', buffering=0, closefd=False), grace"), code, "0.2"
    )
    assert process.stderr is not None
    assert process.stderr.read(5) == b"ready"
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 143
    process.communicate()
    assert wired.untouched("result")


def test_a_signal_while_an_input_is_read_ends_the_run_at_once(wired):
    process = script(
        wired,
        """
        from contextlib import contextmanager
        from connectors._fsspec import Callback
        import time
        @contextmanager
        def stuck(_):
            print("ready", flush=True)
            time.sleep(600)
            yield Callback()
        runner.run(app, ["true"], progress=stuck)
        """,
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert len(wired.left()) == 1
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert wired.left() == []
    assert wired.untouched("result")


def test_a_signal_while_an_output_is_written_leaves_what_stood_there(wired):
    process = script(
        wired,
        """
        from connectors.runner import job, supervisor
        import time
        real = job.result_pieces
        def slow(*args):
            pieces = real(*args)
            yield next(pieces)
            print("ready", flush=True)
            time.sleep(600)
            yield from pieces
        job.result_pieces = slow
        runner.run(app, ["true"])
        """,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert wired.untouched("result")


def test_a_signal_that_was_ignored_stays_ignored_as_nohup_wants_it(wired):
    nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code = "import time; print('ready', flush=True); time.sleep(0.3); print('end', flush=True)"
    process = script(wired, nohup + textwrap.dedent(RUN), code, "5")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out == b"end\npublished\n"
    assert wired.result().stdout == b"ready\nend\n"


def test_a_process_that_ignores_its_children_still_learns_of_their_failure(wired):
    ignoring = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    code = ignoring + "print(runner.run(app, [sys.executable, '-c', 'raise SystemExit(9)']).returncode)"
    out, problem = script(wired, code).communicate()
    assert (out, problem) == (b"9\n", b"")


def test_the_handlers_are_put_back(wired):
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    runner.run(wired.app, python("pass"))
    with pytest.raises(errors.UnknownDataset):
        runner.run(wired.app, python("pass"), input_port="none")
    with pytest.raises(runner.CommandNotStarted):
        runner.run(wired.app, ["no-such-program"])
    assert [signal.getsignal(number) for number in numbers] == before
