"""Processes that are killed at every step of something that they do to files.

Run as a program this does the work: it forks one process for each step, in a folder of its own, and kills it there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from connectors.app import layout
from connectors.system import atomic_files

__all__ = ["NEW_FILES", "OLD_FILES", "contents", "killed_at_every_step"]

_STEPS = {"open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree"}
OLD_FILES = {"location.txt": b"file:///old", "credentials.bin": b"old" * 1000}
NEW_FILES = {"location.txt": b"file:///new", "credentials.bin": b"new" * 2000}


def killed_at_every_step(folder: Path, work: str, *, named: bool = False) -> list[Path]:
    """Do the work once for each of its steps, killed before that step, and at last to its end.

    Args:
        folder: where each time gets a folder of its own.
        work: one of those below.
        named: work as on a system whose files have names from the start.

    Returns:
        The folders, in the order of the steps.
    """
    command = [sys.executable, __file__, str(folder), work, str(int(named))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [folder / str(step) for step in range(int(done.stdout) + 1)]


def contents(folder: Path) -> dict[str, bytes]:
    """Return what a folder's files hold, by their paths in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The program.


def _write_dataset(folder: Path, files: dict[str, bytes]) -> None:
    location, credentials = files["location.txt"].decode(), files["credentials.bin"]
    layout.write_dataset(str(folder / "rw"), "input", "x", location, credentials, replace=True)


def _write_root(folder: Path) -> None:
    files = layout.dataset_files("input", "x", NEW_FILES["location.txt"].decode(), NEW_FILES["credentials.bin"])
    layout.write_root(str(folder / "rw"), files)


_WORKS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "write_new": (lambda _: None, lambda folder: atomic_files.write_new(str(folder / "x"), b"new" * 1000)),
    "replace": (
        lambda folder: (folder / "x").write_bytes(b"old"),
        lambda folder: atomic_files.replace(str(folder / "x"), b"new" * 1000, private=False),
    ),
    "write_folder": (lambda _: None, lambda folder: atomic_files.write_folder(str(folder / "x"), NEW_FILES)),
    "replace a folder": (
        lambda folder: atomic_files.write_folder(str(folder / "x"), OLD_FILES),
        lambda folder: atomic_files.write_folder(str(folder / "x"), NEW_FILES, replace=True),
    ),
    "write_dataset": (lambda _: None, lambda folder: _write_dataset(folder, NEW_FILES)),
    "replace a dataset": (
        lambda folder: _write_dataset(folder, OLD_FILES),
        lambda folder: _write_dataset(folder, NEW_FILES),
    ),
    "write_root": (lambda _: None, _write_root),
}
"""What is done before a process is forked, and what it does: by a name."""


def _die_at(step: int) -> None:
    left = [step]

    def count(event: str, _: tuple[object, ...]) -> None:
        if event in _STEPS:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(count)


def _main(root: Path, name: str, *, named: bool) -> None:
    prepare, work = _WORKS[name]
    step, status = -1, -signal.SIGKILL
    while status == -signal.SIGKILL:
        step += 1
        folder = root / str(step)
        folder.mkdir(parents=True)
        prepare(folder)
        child = os.fork()
        if child == 0:
            if named and hasattr(os, "O_TMPFILE"):
                del os.O_TMPFILE
            _die_at(step)
            work(folder)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        sys.exit(f"{name} ended with {status}")
    sys.stdout.write(f"{step}\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], named=sys.argv[3] == "1")
