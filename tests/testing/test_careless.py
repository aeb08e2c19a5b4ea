"""The kit tells a storage that is careless, until that declares it; the SDK then refuses what it cannot do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[1] / "support"
KIT = """
import pytest
from connectors.testing import BackendContract, Connection, FolderContract, Store

class CarelessStore(Store):
    def __init__(self, root):
        self.root = root

    def connection(self, name, *, write=False):
        return Connection(f"careless://{name}", {"root": str(self.root), **DECLARED})

    folder = lambda self, name: self.connection(f"{name}/")

    def get(self, name):
        path = self.root / name
        return path.read_bytes() if path.is_file() else None

    def put(self, name, data):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

class TestCareless(BackendContract, FolderContract):
    @pytest.fixture
    def store(self, tmp_path):
        return CarelessStore(tmp_path / "store")
"""
KILLED = "test_process_killed_during_a_commit_leaves_a_whole_object"
RACE = "test_of_two_processes_that_create_an_object_one_wins"


@pytest.fixture
def failed(tmp_path):
    """Run the kit on the careless storage, in processes that find it as an installed backend; return what fails."""
    info = tmp_path / "site" / "careless-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: careless\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[connectors.backends]\ncareless = careless:CarelessBackend\n")
    paths = [str(tmp_path / "site"), str(SUPPORT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    for name in [name for name in environment if name.startswith(("PYTEST", "COV"))]:
        del environment[name]

    def run(*options, **declared):
        (tmp_path / "test_kit.py").write_text(f"DECLARED = {declared}\n{KIT}")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov", *options]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert " passed" in done.stdout or " failed" in done.stdout, done.stdout + done.stderr
        return set(re.findall(r"FAILED .*::(\w+)", done.stdout))

    return run


@pytest.mark.parametrize("own_sink", [False, True], ids=["spooled", "own sink"])
def test_a_storage_that_is_careless_fails(failed, own_sink):
    found = failed("-k", f"{KILLED} or {RACE}", own_sink=own_sink, atomic_replace=True, exclusive_create=True)
    assert found == {KILLED, RACE}


@pytest.mark.parametrize("own_sink", [False, True], ids=["spooled", "own sink"])
def test_a_storage_that_declares_it_passes(failed, own_sink):
    assert failed(own_sink=own_sink, atomic_replace=False, exclusive_create=False) == set()
