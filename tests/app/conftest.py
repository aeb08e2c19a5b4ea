"""An app config."""

from __future__ import annotations

import pytest
from app_configs import connect
from private import private_files

__all__ = ["private_files", "root"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An app config with input/conditions and output/result, which is also the environment's."""
    root = tmp_path / "rw"
    connect(root, "input", "conditions", f"file://{tmp_path}/conditions.sealed")
    connect(root, "output", "result", f"file://{tmp_path}/result.sealed")
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(root))
    return root
