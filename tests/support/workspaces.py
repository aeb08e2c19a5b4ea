"""People at their workspaces: each with a folder, in which the ``connectors`` command runs as they type it."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from connectors.cli import main

__all__ = ["PATHS", "Told", "Workspace"]

PATHS = {"CONNECTORS_STORE": "store", "CONNECTORS_IDENTITIES": "identities"}


class Told(NamedTuple):
    """A command that has ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Workspace:
    """One person's folder, with their store and their identities in it. Commands run in this process."""

    folder: Path

    def run(self, *words: object) -> str:
        """Run a command, and return what it prints."""
        told = self.call(*words)
        assert (told.code, told.err) == (0, "")
        return told.out

    def json(self, *words: object) -> object:
        """Run a command, and return what it prints as JSON."""
        return json.loads(self.run(*words, "--json"))

    def mistake(self, *words: object, code: int = 2) -> str:
        """Run a command, and return its error message, which is all that it prints."""
        told = self.call(*words)
        assert (told.code, told.out) == (code, ""), told.err
        assert told.err.startswith("connectors: error: ")
        assert told.err.count("\n") == 1
        return told.err.removeprefix("connectors: error: ").rstrip()

    def read(self, name: str) -> bytes:
        """Return what a file holds."""
        return (self.folder / name).read_bytes()

    def call(self, *words: object) -> Told:
        """Run a command, whatever comes of it."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            patch.delenv("CONNECTORS_DEBUG", raising=False)
            for name, value in PATHS.items():
                if os.environ.get(name) != "":
                    patch.setenv(name, value)
            code = main([str(word) for word in words])
        return Told(code, out.getvalue(), err.getvalue())
