"""Marked secrets do not appear in anything that commands expose: output, logs, started processes, remaining files."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import marked
import pytest
import watching
from canaries import Canaries
from command_line import COMMAND, environment
from marked import Way
from patience import PATIENCE

import connectors

ONLOOKER = Path(marked.__file__).parent / "onlooker"
WAYS = (
    "local files",
    "presigned URLs, S3",
    "SAS URLs, Azure",
    "S3, access key",
    "Azure, account key",
    "Google Cloud Storage, service account",
    "SFTP, private key",
)
PLAIN = bytes(range(256)) * 150
NOT_FOUND = "none is found"
SPY = """
import os, sys
print(sys.argv, dict(os.environ), os.listdir("."), [os.readlink(f"/proc/self/fd/{n}") for n in range(20)
      if os.path.exists(f"/proc/self/fd/{n}")])
process = os.getpid()
while process > 1:  # what every user of this machine can see of the parent processes
    print(open(f"/proc/{process}/cmdline").read(), open(f"/proc/{process}/comm").read())
    process = int(open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[1])
for folder, _, names in os.walk(os.path.dirname(os.environ["CONNECTORS_INPUTS"])):
    print(folder, names)
"""
"""The command that `connectors run` starts: it prints everything that it was given, and that it finds around it."""


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Google Cloud Storage emulator with a bucket called ``marked``."""
    with marked.gcs_emulator(tmp_path_factory) as url:
        yield url


class Workspace:
    """A folder that commands run in, and the record of an observer.

    Attributes:
        here: the folder.
        expected: the files there that may hold secrets.
        marks: the search for marked secrets.
        scenarios: how many commands were run.
    """

    def __init__(self, folder: Path, marks: Canaries) -> None:
        self.here, self.tmp, self.notes = (folder / name for name in ("here", "tmp", "notes"))
        for one in (self.here, self.tmp, self.notes):
            one.mkdir()
        self.expected: set[str] = set()
        self.marks = marks
        self.scenarios = 0

    def run(self, *words: str, code: int) -> None:
        """Run a command, and search everything that it exposes for marks."""
        given = environment(
            TMPDIR=str(self.tmp),
            ONLOOKER=str(self.notes),
            PYTHONPATH=os.pathsep.join([str(ONLOOKER), os.environ.get("PYTHONPATH", "")]),
            CONNECTORS_APP_CONFIG="app",
            CONNECTORS_DEBUG="1",
        )
        # Warnings are shown, and are not errors.
        command = [COMMAND[0], "-W", "always", *COMMAND[3:], *words]
        done = subprocess.run(command, cwd=self.here, env=given, capture_output=True, check=False, timeout=PATIENCE)
        assert done.returncode == code, (words, done.stderr)
        self.marks.check(f"the output of {words}", [done.stdout, done.stderr])
        self.marks.check(f"the logs, processes and removed files of {words}", watching.files_below(self.notes).values())
        left = {
            path: data
            for path, data in watching.files_below(self.tmp, self.here).items()
            if not self._may_hold_secrets(path)
        }
        self.marks.check(f"the remaining files of {words}", left.values())
        assert os.listdir(self.tmp) == []
        self.scenarios += 1

    def _may_hold_secrets(self, path: str) -> bool:
        return str(Path(path).relative_to(self.here)).split("/")[0] in self.expected

    def connect(self, port: str, name: str, location: str, document: dict[str, Any]) -> None:
        """Add a dataset to the app config."""
        folder = self.here / "app" / port / name / "dataset"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "location.txt").write_text(location)
        (folder / "credentials.bin").write_text(json.dumps(document))
        self.expected.add("app")


@pytest.mark.parametrize("name", WAYS)
def test_no_secret_is_visible(name, request, tmp_path, tally):
    with (
        marked.open_way(name, request, tmp_path) as way,
        tally("marked secrets, in everything that commands print, log, start and leave behind", name) as cases,
    ):
        workspace = Workspace(tmp_path, Canaries(way.marks))
        _use(workspace, way)
        cases.count(NOT_FOUND, workspace.scenarios)


def _use(workspace: Workspace, way: Way) -> None:
    key = way.marks["key"]
    assert isinstance(key, bytes)
    encryption = {"key": key.hex()}
    reads = {**way.reads, "encryption": encryption}
    connectors.Dataset(way.location, {**way.writes, "encryption": encryption}).write_bytes(PLAIN)
    workspace.connect("input", "one", way.location, reads)
    workspace.connect("output", "result", f"file://{workspace.here}/result", {"encryption": encryption})
    workspace.expected.update(("key.hex", "credentials.json", "signed.json"))
    (workspace.here / "key.hex").write_text(key.hex())
    (workspace.here / "credentials.json").write_text(json.dumps(reads))
    (workspace.here / "spy.py").write_text(SPY)

    workspace.run("dataset", "check", "--online", "dataset://input/one", code=0)
    workspace.run("run", "--", sys.executable, "spy.py", code=0)
    workspace.run("result", "-K", "key.hex", "result", code=0)
    workspace.run("cp", "dataset://input/one", "copy", code=0)
    if way.presigns:
        options = ("--credentials", "credentials.json", "-K", "key.hex", "--out", "signed.json")
        workspace.run("presign", way.location, *options, code=0)
    if name_of(way) == "local":
        workspace.run("keygen", "key.hex", code=2)
        workspace.run("encrypt", "-K", "key.hex", "copy", "sealed", code=0)
        workspace.run("decrypt", "-K", "key.hex", "sealed", "again", code=0)
        workspace.run("decrypt", "-K", "spy.py", "sealed", "no", code=2)

    if way.wrong is not None:
        location, members = way.wrong
        workspace.connect("input", "one", location, {**members, "encryption": encryption})
        workspace.run("cat", "dataset://input/one", code=2)
    workspace.connect("input", "one", way.location, {**reads, "encryption": {"key": secrets.token_hex(32)}})
    workspace.run("run", "--", sys.executable, "spy.py", code=3)
    workspace.connect("input", "one", way.location, {**reads, "encryption": {**encryption, "kye": key.hex()}})
    workspace.run("dataset", "check", code=2)
    if way.elsewhere is not None:
        with marked.echo(403) as (url, _):
            location, members = way.elsewhere(url)
            workspace.connect("input", "one", location, {**members, "encryption": encryption})
            workspace.run("cp", "dataset://input/one", "no", code=2)


def name_of(way: Way) -> str:
    return way.name.partition(" ")[0]
