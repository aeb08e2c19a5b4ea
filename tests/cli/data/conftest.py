"""An app config of three datasets, and the command on it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from command_line import KEY
from dataset_commands import PLAIN, document

import connectors as sdk
from connectors.cli import main


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with an app config of three datasets: one whole, one not there yet, one with broken credentials."""
    (tmp_path / "store").mkdir()
    (tmp_path / "key.hex").write_text(KEY)
    document(tmp_path / "file.json", type="file", encryption={"key": KEY})
    for port, name in (("input", "conditions"), ("output", "result"), ("input", "broken")):
        folder = tmp_path / "app" / port / name / "dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text(f"file://{tmp_path}/store/{name}\n")
        (folder / "credentials.bin").write_bytes((tmp_path / "file.json").read_bytes())
    document(tmp_path / "app/input/broken/dataset/credentials.bin", encryption={"key": "5EC2E7"}, tpye="file")
    sdk.load(tmp_path / "app")["input"]["conditions"].write_bytes(PLAIN)
    return tmp_path


@pytest.fixture
def run(home, capfdbinary, monkeypatch):
    """Run the command in this process, in the folder, with the app config named by the environment."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", "app")
    monkeypatch.delenv("CONNECTORS_DEBUG", raising=False)

    def run(*words: object, code: int = 0) -> types.SimpleNamespace:
        done = main([str(word) for word in words])
        sys.stdout.flush()
        shown = capfdbinary.readouterr()
        err = shown.err.decode()
        assert done == code, err
        return types.SimpleNamespace(out=shown.out, text=shown.out.decode(errors="replace"), err=err)

    return run
