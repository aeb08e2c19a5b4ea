"""A folder dataset with a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifests import NAMES, document

import connectors


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
