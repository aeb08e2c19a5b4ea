"""A command's standard streams: captured and passed on, whoever closes them or does not read."""

from __future__ import annotations

import io
import os
import threading

import pytest
from lab import EVERY_BYTE, python, script

from connectors import runner


def test_what_the_command_prints_is_passed_on_as_it_comes(wired):
    first = threading.Event()

    class Watcher(io.BytesIO):
        def write(self, data):
            first.set()
            return super().write(data)

    # The command ends when somebody has seen its first line.
    flag = wired.store / "seen"
    code = """
        import os, sys, time
        print("first", flush=True)
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.01)
        print("last", end="", file=sys.stderr)
    """
    shown, failed = Watcher(), io.BytesIO()
    threading.Thread(target=lambda: first.wait() and flag.touch(), daemon=True).start()
    runner.run(wired.app, python(code, str(flag)), stdout=shown, stderr=failed)
    assert (shown.getvalue(), failed.getvalue()) == (b"first\n", b"last")


def test_both_outputs_can_be_large_at_once(wired):
    code = """
        import sys
        for _ in range(64):
            sys.stderr.buffer.write(b"e" * 65536); sys.stderr.flush()
            sys.stdout.buffer.write(b"o" * 65536); sys.stdout.flush()
    """
    runner.run(wired.app, python(code))
    assert wired.result() == runner.Result(0, b"o" * (4 << 20), b"e" * (4 << 20))


def test_a_command_may_close_its_outputs_and_go_on(wired):
    code = "import os, time; os.write(1, b'bye'); os.close(1); os.close(2); time.sleep(0.3); os._exit(5)"
    assert runner.run(wired.app, python(code), grace=0.01).returncode == 5
    assert wired.result() == runner.Result(5, b"bye", b"")


def test_the_standard_streams_of_the_caller_may_be_closed(wired):
    code = """
        import os
        for descriptor in (0, 1):
            os.close(descriptor)
        done = runner.run(app, ["sh", "-c", "sleep 0.2; echo hello"])
        os.write(2, b"%d" % done.returncode)
    """
    _, problem = script(wired, code).communicate()
    assert problem == b"0"
    assert wired.result().stdout == b"hello\n"


def test_a_reader_who_leaves_does_not_stop_the_command_or_its_capture(wired, caplog):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as closed:
        done = runner.run(wired.app, python("print('x' * 200000)"), stdout=closed)
    assert done.returncode == 0
    assert len(wired.result().stdout) == 200001
    assert caplog.messages == []


def test_full_output_stream_is_reported_and_capture_continues(wired, caplog):
    with open("/dev/full", "wb", buffering=0) as full:
        runner.run(wired.app, python("print('hello')"), stdout=full)
    assert wired.result().stdout == b"hello\n"
    assert "standard output is still captured but no longer shown: " in caplog.text


def test_a_pipe_of_ours_that_does_not_block_gets_everything(wired):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    got = bytearray()

    def read():
        while data := os.read(reading, 1 << 14):
            got.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    with open(writing, "wb", buffering=0) as shown:
        runner.run(wired.app, python("import sys; sys.stdout.buffer.write(bytes(range(256)) * 4096)"), stdout=shown)
    reader.join()
    os.close(reading)
    assert bytes(got) == EVERY_BYTE * 4096


def test_unexpected_error_of_the_callers_stream_is_raised(wired):
    class Broken(io.BytesIO):
        def write(self, _):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runner.run(wired.app, python("print('x', flush=True); import time; time.sleep(600)"), stdout=Broken())
    assert wired.untouched("result")
