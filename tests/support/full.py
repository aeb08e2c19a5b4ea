"""A full disk: writes of every kind into a folder that has too little space, or none.

Run as a program on a folder of a full disk (``python full.py FOLDER``), it prints the outcome of each write. A test that
limits the size of files calls the same writes itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import connectors
from connectors._fsspec import MemoryFileSystem
from connectors.cli import command

__all__ = ["KEY", "OLD", "SIZE", "attempt", "commands", "prepare", "run", "spools", "targets"]

KEY = "f1" * 32
OLD = b"the old object"
SIZE = 6 << 20


def prepare(store: Path) -> None:
    """Create the sources of the writes, on a disk with space: a plain file, sealed ones, and a key."""
    data = random.Random(1).randbytes(SIZE)
    (store / "plain").write_bytes(data)
    connectors.encrypt(store / "plain", store / "sealed", KEY)
    connectors.encrypt(io.BytesIO(OLD), store / "note", KEY)
    (store / "key").write_text(KEY)
    (store / "key").chmod(0o600)


def write_app_config(store: Path, folder: Path) -> Path:
    """Write an app config with a large input, a small one, and an output in the folder."""
    inputs = (("input", "large", store / "sealed"), ("small", "note", store / "note"))
    for port, name, location in (*inputs, ("output", "result", folder / "copy")):
        place = store / "app" / port / name / "dataset"
        place.mkdir(parents=True, exist_ok=True)
        (place / "location.txt").write_text(location.as_uri())
        (place / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
    return store / "app"


def _dataset(path: Path) -> connectors.Dataset:
    return connectors.Dataset(path.as_uri(), {"encryption": {"key": KEY}})


def _open(dataset: connectors.Dataset, data: bytes, mode: str = "wb") -> None:
    with dataset.open(mode) as file:
        for start in range(0, len(data), 300_000):
            file.write(data[start : start + 300_000])


def targets(store: Path, folder: Path) -> dict[str, Callable[[], object]]:
    """Return, by name, writes of `SIZE` bytes to ``copy`` in the folder; one of them to ``new``."""
    copy, data = folder / "copy", (store / "plain").read_bytes()
    view = connectors.EncryptedFileSystem(fs=MemoryFileSystem(), key=KEY)
    view.pipe_file("/full/there", data)
    return {
        "encrypt": lambda: connectors.encrypt(store / "plain", copy, KEY),
        "encrypt, gcm": lambda: connectors.encrypt(store / "plain", copy, KEY, format="gcm"),
        "encrypt, tink-gcm-hkdf": lambda: connectors.encrypt(store / "plain", copy, KEY, format="tink-gcm-hkdf"),
        "decrypt": lambda: connectors.decrypt(store / "sealed", copy, KEY),
        "open, wb": lambda: _open(_dataset(copy), data),
        "open, xb": lambda: _open(_dataset(folder / "new"), data, "xb"),
        "write_bytes": lambda: _dataset(copy).write_bytes(data),
        "upload": lambda: _dataset(copy).upload(store / "plain"),
        "download": lambda: _dataset(store / "sealed").download(copy),
        "get_file": lambda: view.get_file("/full/there", str(copy)),
    }


def spools(store: Path) -> dict[str, Callable[[], object]]:
    """Return writes that spool to ``$TMPDIR``."""
    data = (store / "plain").read_bytes()
    view = connectors.EncryptedFileSystem(fs=MemoryFileSystem(), key=KEY)
    view.pipe_file("/full/spooled", OLD)
    signed = {"query_string": "WC1BbXotU2lnbmF0dXJlPTAw", "encryption": {"key": KEY}}
    presigned = connectors.Dataset("http://127.0.0.1:9/bucket/never-requested", signed)
    return {
        "writing to any filesystem": lambda: view.pipe_file("/full/spooled", data),
        "a presigned PUT": lambda: presigned.write_bytes(data * 4),
        "reading a sealed stream": lambda: _read(store / "sealed"),
    }


def _read(path: Path) -> None:
    with _Stream(path) as stream, connectors.open_reader(stream, KEY) as reader:
        reader.read()


class _Stream(io.FileIO):
    """A file that cannot seek, like a pipe."""

    def seekable(self) -> bool:
        return False


def commands(store: Path, folder: Path) -> dict[str, tuple[list[str], Path]]:
    """Return command lines that write ``copy`` in the folder, and the ``$TMPDIR`` of each."""
    key, app = str(store / "key"), str(write_app_config(store, folder))
    copy = str(folder / "copy")
    loud = ["--input-port", "small", "--", sys.executable, "-c", "print('x' * 7000000)"]
    run_it = ["run", "--app-config", app]
    return {
        "connectors encrypt": (["encrypt", "-K", key, str(store / "plain"), copy, "--force"], store),
        "connectors decrypt": (["decrypt", "-K", key, str(store / "sealed"), copy, "--force"], store),
        "connectors cp, to a dataset": (
            ["cp", "--app-config", app, str(store / "plain"), "dataset://output/result"],
            store,
        ),
        "connectors cp, from a dataset": (["cp", "--app-config", app, "dataset://input/large", copy, "--force"], store),
        "connectors run, no room for its inputs": ([*run_it, "--", "cat"], folder),
        "connectors run, no room for its output": ([*run_it, *loud], folder),
        "connectors run, no room for its result": ([*run_it, *loud], store),
    }


def run(words: list[str], temporary: Path) -> dict[str, object]:
    """Run a command line in this process; return its exit code and its standard error."""
    stderr = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    tempfile.tempdir = str(temporary)
    with contextlib.redirect_stderr(stderr), contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        code = command.run(words)
    tempfile.tempdir = None
    return {"code": code, "message": stderr.buffer.getvalue().decode()}  # type: ignore[attr-defined]


def attempt(write: Callable[[], object]) -> dict[str, object]:
    """Return the outcome of a write."""
    try:
        write()
    except OSError as error:
        ours = isinstance(error, connectors.errors.ConnectorError)
        return {"kind": type(error).__name__, "ours": ours, "number": error.errno, "message": str(error)}
    return {"kind": "written", "message": ""}


def main(folder: Path) -> None:
    """Try everything in a full folder."""
    store = Path(tempfile.mkdtemp(prefix="full-"))
    try:
        prepare(store)
        (folder / "copy").write_bytes(OLD)
        found: dict[str, dict[str, object]] = {}

        def note(name: str, result: dict[str, object]) -> None:
            found[name] = {**result, "names": os.listdir(folder), "unchanged": (folder / "copy").read_bytes() == OLD}

        for name, write in targets(store, folder).items():
            note(name, attempt(write))
        tempfile.tempdir = str(folder)
        for name, write in spools(store).items():
            note(name, attempt(write))
        for name, (words, temporary) in commands(store, folder).items():
            note(name, run(words, temporary))
    finally:
        shutil.rmtree(store)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
