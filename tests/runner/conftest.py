"""Applications to run commands on: with no datasets, and with one input and one output."""

from __future__ import annotations

import tempfile

import pytest
from lab import Lab
from private import private_files

__all__ = ["lab", "private_files", "wired"]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    lab = Lab(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(lab.private))
    yield lab
    assert lab.left() == []
    assert [path.name for path in lab.store.iterdir() if path.name.endswith(".part")] == []


@pytest.fixture
def wired(lab):
    """With one input and one output."""
    lab.put("conditions")
    lab.target("result")
    return lab
