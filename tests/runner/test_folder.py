"""The private folder of a run: nothing stays in it, whatever the command did and however the run ended."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from lab import python
from patience import PATIENCE

from connectors import errors, runner
from connectors.runner import command as command_module
from connectors.runner import folder as folder_module


def test_a_full_disk_stops_the_command_and_publishes_nothing(wired, monkeypatch):
    real = command_module._write

    def full(file, data):
        if os.fstat(file.fileno()).st_nlink == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file, data)

    monkeypatch.setattr(command_module, "_write", full)
    with pytest.raises(errors.ConnectorError, match=r"cannot be kept in \$TMPDIR: No space left"):
        runner.run(wired.app, python("import time; print('x', flush=True); time.sleep(600)"))
    assert wired.untouched("result")


def test_no_room_for_the_inputs_says_what_to_do(wired, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(wired.store / "none"))
    with pytest.raises(errors.ConnectorError, match=r"cannot be kept in \$TMPDIR \(No such file.*set it to a folder"):
        runner.run(wired.app, python("pass"))


def test_whatever_the_command_leaves_in_the_private_folder_goes_with_it(wired, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o755)
    (outside / "keep").touch()
    code = """
        import os, sys
        os.chdir(os.environ["CONNECTORS_OUTPUTS"])
        os.makedirs("deep/er/still")
        open("deep/er/file", "w").close()
        os.symlink(sys.argv[1], "link")
        os.symlink(sys.argv[1], "deep/link")
        os.mkfifo("deep/pipe")
        os.chmod("deep/er/file", 0)
        os.chmod("deep/er", 0)
        os.chmod("deep", 0o500)
        os.chmod(os.environ["CONNECTORS_INPUTS"], 0o500)
    """
    runner.run(wired.app, python(code, str(outside)))
    assert wired.left() == []
    assert (outside / "keep").exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, whom permissions bind")
def test_folders_without_permissions_are_removed_by_an_ordinary_user(monkeypatch):
    outside = tempfile.mkdtemp(dir="/tmp")
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    os.chmod(outside, 0o755)
    os.seteuid(65534)
    try:
        with folder_module.PrivateFolder() as folder:
            path = folder.make("outputs")
            os.makedirs(f"{path}/deep/er")
            Path(f"{path}/deep/er/file").touch()
            os.symlink(outside, f"{path}/link")
            for closed in (f"{path}/deep/er", f"{path}/deep", path, folder.path):
                os.chmod(closed, 0)
        assert not os.path.exists(folder.path)
    finally:
        os.seteuid(0)
    assert stat.S_IMODE(os.stat(outside).st_mode) == 0o755
    os.rmdir(outside)


def killed_run(lab) -> Path:
    """Kill a run while its command is at work; return the folder that it leaves."""
    code = f"""
        import os
        import connectors
        from connectors import runner
        app = connectors.load({str(lab.root)!r})
        command = ["sh", "-c", f"kill -KILL {{os.getpid()}}"]
        runner.run(app, command)
    """
    before = set(lab.private.iterdir())
    done = subprocess.run(python(code), env={**os.environ, "TMPDIR": str(lab.private)}, check=False, timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL
    (left,) = set(lab.private.iterdir()) - before
    return left


def test_what_a_killed_run_leaves_is_removed_by_the_next(wired, caplog):
    left = killed_run(wired)
    assert any(path.is_file() for path in left.rglob("*"))
    (left / "inputs").chmod(0)
    runner.run(wired.app, python("pass"))
    assert wired.left() == []
    assert caplog.messages == [f"removed {left}, with the plain files of a run that was killed"]


def test_runs_leave_one_another_alone(wired):
    code = "import sys, time, os; time.sleep(1); print(os.listdir(os.environ['CONNECTORS_INPUTS']))"
    outcomes = []

    def one() -> None:
        outcomes.append(runner.run(wired.app, python(code)).returncode)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [0, 0, 0]
    assert wired.left() == []


def test_only_what_a_run_of_this_user_left_is_removed(wired, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (wired.private / "connectors-run-link").symlink_to(outside)
    (wired.private / "connectors-run-file").touch()
    (wired.private / "others").mkdir()
    if os.geteuid() == 0:
        (wired.private / "connectors-run-other").mkdir()
        os.chown(wired.private / "connectors-run-other", 65534, 65534)
    before = sorted(wired.left())
    runner.run(wired.app, python("pass"))
    assert sorted(wired.left()) == before
    assert (outside / "kept").exists()
    for path in wired.private.iterdir():
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_a_folder_that_another_run_takes_for_abandoned_is_made_anew(wired, monkeypatch):
    real, taken = tempfile.mkdtemp, []

    def swept(**options):
        path = real(**options)
        if len(taken) < 2:  # once removed before it is opened, once before it is locked
            taken.append(path)
            os.rmdir(path)
            if len(taken) == 2:
                monkeypatch.setattr(folder_module, "_open", opened_late)
        return path

    def opened_late(path):
        if path == taken[1]:
            os.mkdir(path)
            descriptor = real_open(path)
            os.rmdir(path)
            return descriptor
        return real_open(path)

    real_open = folder_module._open
    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    with folder_module.PrivateFolder() as folder:
        assert folder.path not in taken
        assert os.listdir(folder.path) == []
    assert wired.left() == []


def test_a_folder_that_cannot_be_removed_is_an_error(wired, monkeypatch):
    real = folder_module.remove

    def stuck(folder):
        real(folder)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(folder_module, "remove", stuck)
    with pytest.raises(errors.ConnectorError, match=r"plain data remains in .*connectors-run-.*busy.*: remove it"):
        runner.run(wired.app, python("pass"))
    assert wired.result().returncode == 0


def test_a_folder_that_cannot_be_removed_is_told_beside_another_error(wired, monkeypatch, caplog):
    def stuck(folder):
        os.rmdir(f"{folder}/outputs")
        os.rmdir(f"{folder}/inputs")
        os.rmdir(folder)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    wired.put("later").unlink()
    (wired.store / "input-0.sealed").unlink()
    monkeypatch.setattr(folder_module, "remove", stuck)
    with pytest.raises(errors.ObjectNotFound) as caught:
        runner.run(wired.app, python("pass"))
    assert "plain data remains in" in caught.value.__notes__[0]
    assert caplog.messages == caught.value.__notes__
