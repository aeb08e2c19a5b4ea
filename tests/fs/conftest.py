"""Folder datasets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from manifests import NAMES, document

import connectors

KEY = "4d" * 32


@pytest.fixture
def store(tmp_path) -> Path:
    """The folder that the adversary has."""
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def dataset(store) -> connectors.Dataset:
    """A folder dataset with a manifest, with four objects in it, as somebody sees it who has not read it yet."""
    written = connectors.Dataset(f"file://{store}/", document())
    fs, path = written.filesystem()
    with fs.transaction:
        for name in NAMES:
            fs.pipe_file(f"{path}/{name}", name.encode())
    return connectors.Dataset(f"file://{store}/", document(), name="input/wards")


@pytest.fixture(params=[False, True], ids=["no manifest", "manifest"])
def wards(request, storage, tmp_path, monkeypatch) -> connectors.Dataset:
    """The folder dataset input/wards of an app config, with and without a manifest, at a module's own ``storage``."""
    location, credentials = storage
    folder = tmp_path / "app/input/wards/dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(location)
    encryption = {"key": KEY, **({"manifest": True} if request.param else {})}
    (folder / "credentials.bin").write_text(json.dumps({**credentials, "encryption": encryption}))
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "app"))
    return connectors.load()["input"]["wards"]
