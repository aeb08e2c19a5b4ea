"""People at their desks: each with a folder, in which the ``connectors`` command runs as they type it."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.cli import main

__all__ = ["Desk"]

PATHS = {"CONNECTORS_STORE": "store", "CONNECTORS_IDENTITIES": "identities"}


@dataclass(frozen=True)
class Desk:
    """One person's folder, with their store and their identities in it. Commands run in this process."""

    folder: Path

    def run(self, *words: object) -> str:
        """Run a command, and return what it prints."""
        code, out, err = self._call(words)
        assert (code, err) == (0, "")
        return out

    def json(self, *words: object) -> object:
        """Run a command, and return what it prints as JSON."""
        return json.loads(self.run(*words, "--json"))

    def mistake(self, *words: object, code: int = 2) -> str:
        """Run a command, and return its error message, which is all that it prints."""
        ended, out, err = self._call(words)
        assert (ended, out) == (code, ""), err
        assert err.startswith("connectors: error: ")
        assert err.count("\n") == 1
        return err.removeprefix("connectors: error: ").rstrip()

    def _call(self, words: tuple[object, ...]) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            patch.delenv("CONNECTORS_DEBUG", raising=False)
            for name, value in PATHS.items():
                if os.environ.get(name) != "":
                    patch.setenv(name, value)
            code = main([str(word) for word in words])
        return code, out.getvalue(), err.getvalue()
