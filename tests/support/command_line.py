"""Run the ``connectors`` command as a person does: in a process of its own, seeing what they would see."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from patience import PATIENCE

__all__ = ["COMMAND", "KEY", "OTHER_KEY", "PLAIN", "Done", "connectors", "environment", "flipped", "names"]

COMMAND = [sys.executable, "-W", "error", "-m", "connectors"]
KEY = "5EC2E7" + "0123456789ABCDEF" * 3 + "5EC2E70000"
OTHER_KEY = "AA" * 32
PLAIN = b"".join(b"%d,Viral sinusitis (disorder)\n" % row for row in range(3000))


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Its standard output as text."""
        return self.out.decode()

    def error(self, code: int = 2) -> str:
        """Return its error message, which is one line, with nothing on standard output; `code` is its exit code."""
        assert self.code == code, self
        assert self.out == b"", self
        assert self.err.startswith("connectors: error: "), self
        assert self.err.count("\n") == 1, self
        assert self.err.endswith("\n"), self
        return self.err.removeprefix("connectors: error: ").rstrip("\n")


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without what would turn the command's behaviour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONNECTORS_", "AWS_", "_TYPER"))}
    return kept | {"TERM": "xterm", "COLUMNS": "80"} | more


def connectors(*arguments: str | Path, cwd: Path, stdin: bytes = b"", **more: str) -> Done:
    """Run the command in a folder; `more` goes into its environment."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        env=environment(**more),
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    return Done(done.returncode, done.stdout, done.stderr.decode())


def names(folder: Path) -> set[str]:
    """Return the names of what is in a folder."""
    return {path.name for path in folder.iterdir()}


def flipped(data: bytes, at: int) -> bytes:
    """Return bytes of which one has another bit."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
