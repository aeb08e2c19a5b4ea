"""Applications in folders, and commands that run on their inputs, for the tests of `connectors run`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from patience import until

import connectors
from connectors import runner

__all__ = [
    "BEFORE",
    "EVERY_BYTE",
    "KEY",
    "OUT_KEY",
    "RUN",
    "SHOW_INPUTS",
    "Lab",
    "fails_early",
    "gone",
    "python",
    "script",
]

KEY, OUT_KEY = "5E" * 32, "0A" * 32
BEFORE = b"what stood there before"
EVERY_BYTE = bytes(range(256))


class Lab:
    """An application in a folder: its app config, its storage, and the place for its private folders."""

    def __init__(self, home: Path) -> None:
        self.root, self.store, self.private = home / "config", home / "store", home / "tmp"
        for folder in (self.root, self.store, self.private):
            folder.mkdir()

    @property
    def app(self) -> connectors.AppConfig:
        return connectors.load(self.root)

    def connect(
        self, port: str, name: str, *, key: str | None = KEY, location: str | None = None, **encryption
    ) -> Path:
        folder = self.root / port / name / "dataset"
        folder.mkdir(parents=True)
        path = self.store / f"{port}-{len(list(self.store.iterdir()))}.sealed"
        path.touch()
        (folder / "location.txt").write_text(location or path.as_uri())
        document = {"encryption": {"key": key, **encryption} if key else None}
        (folder / "credentials.bin").write_text(json.dumps(document))
        return path

    def put(self, name: str, data: bytes = b"plain", **options) -> Path:
        path = self.connect("input", name, **options)
        self.app["input"][name].write_bytes(data)
        return path

    def target(self, name: str, **options) -> Path:
        path = self.connect("output", name, key=OUT_KEY, **options)
        self.app["output"][name].write_bytes(BEFORE)
        return path

    def plain(self, name: str) -> bytes:
        return self.app["output"][name].read_bytes()

    def result(self, name: str = "result") -> runner.Result:
        return runner.read_result(io.BytesIO(self.plain(name)))

    def untouched(self, *names: str) -> bool:
        return all(self.plain(name) == BEFORE for name in names)

    def left(self) -> list[str]:
        return os.listdir(self.private)


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), *arguments]


SHOW_INPUTS = """
    import sys
    for path in sys.argv[1:]:
        sys.stdout.buffer.write(open(path, "rb").read())
"""
SCRIPT = """
    import io, resource, sys
    import connectors
    from connectors import runner
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    app = connectors.load(sys.argv[1])
"""


def script(lab: Lab, code: str, *arguments: str, **options) -> subprocess.Popen[bytes]:
    """Start a Python process of its own that has `app`."""
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            textwrap.dedent(SCRIPT) + textwrap.dedent(code),
            str(lab.root),
            *arguments,
        ],
        env={**os.environ, "TMPDIR": str(lab.private)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def fails_early(lab: Lab, kind: type[Exception], match: str, **options) -> None:
    mark = lab.store / "mark"
    with pytest.raises(kind, match=match):
        runner.run(lab.app, python("import sys; open(sys.argv[1], 'w')", str(mark)), **options)
    assert not mark.exists()
    assert lab.left() == []


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    until(lambda: not alive(pid), f"process {pid} ends")
    return True


RUN = """
    command = [sys.executable, "-c", sys.argv[2]]
    runner.run(app, command, stdout=open(1, "wb", buffering=0, closefd=False), grace=float(sys.argv[3]))
    print("published")
"""
