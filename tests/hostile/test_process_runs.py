"""`connectors run` is ended at any moment: each output is old or new, and whole; no plain file remains unless it is killed."""

from __future__ import annotations

import io
import json
import random
import shutil
import signal
import sys
from pathlib import Path

import dying
import pytest
from dying import content

import connectors
from connectors.runner import read_result

KEY = "ab" * 32
OLD = b"the old object"
SIZE = 3 << 20


@pytest.fixture(scope="module")
def parent():
    with dying.start_parent() as one:
        yield one


@pytest.fixture
def app(tmp_path):
    """An app config with one input and three outputs, and a folder for temporary files."""
    connectors.encrypt(io.BytesIO(content(SIZE, 1)), tmp_path / "large", KEY)
    for port, name in (("input", "large"), ("output", "file"), ("output", "one"), ("output", "other")):
        place = tmp_path / "app" / port / name / "dataset"
        place.mkdir(parents=True)
        (place / "location.txt").write_text((tmp_path / name).as_uri())
        (place / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
    (tmp_path / "tmp").mkdir()
    return tmp_path


COMMAND = (
    "import os, shutil, sys; shutil.copy(sys.argv[-1], os.environ['CONNECTORS_OUTPUTS'] + '/out'); print('x' * 999999)"
)


def output(app: Path, name: str) -> bytes:
    with connectors.open_reader(app / name, KEY) as file:
        return file.read()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("count", "again"), [(6, ""), pytest.param(40, ", repeatedly", marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_run_is_sent_a_signal(parent, app, number, count, again, tally):
    chance = random.Random(f"run {number} {count}")
    words = ["run", "--app-config", str(app / "app"), "--output", "file=out", "--", sys.executable, "-S", "-c", COMMAND]
    arguments = {"words": words, "environment": {"TMPDIR": str(app / "tmp")}}
    killed = number is signal.SIGKILL
    outcome = "each output old or new, whole; " + (
        "plain files may remain in $TMPDIR" if killed else "no file remains in $TMPDIR"
    )
    with tally(f"`connectors run` is sent {number.name}{again}", "local files, a command", outcome=outcome) as cases:
        for _ in range(count):
            for name in ("file", "one", "other"):
                connectors.encrypt(io.BytesIO(OLD), app / name, KEY)
            ended = parent.end("command", number, chance, **arguments)
            new = [name for name in ("file", "one", "other") if output(app, name) != OLD]
            if "file" in new:
                assert output(app, "file") == content(SIZE, 1)
            for name in {"one", "other"} & set(new):
                result = read_result(io.BytesIO(output(app, name)))
                assert (result.returncode, result.stdout) == (0, b"x" * 999_999 + b"\n")
            assert ended.status in {0, -number} if killed else ended.status in {0, 128 + number, -number, 130}
            if ended.done:
                assert len(new) == 3
            if not killed:
                assert list((app / "tmp").iterdir()) == []
            assert not [one.name for one in app.iterdir() if one.name.endswith(".part")] or killed
            shutil.rmtree(app / "tmp", ignore_errors=True)  # a command may outlive its killed runner
            (app / "tmp").mkdir(exist_ok=True)
            cases.count(f"{len(new)} new")
