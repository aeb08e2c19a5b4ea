"""A folder with keys, a plain file and a sealed one, in which the command runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import KEY, OTHER_KEY, PLAIN
from private import private_files

import connectors as sdk

__all__ = ["home", "private_files"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "key.hex").write_text(KEY)
    (tmp_path / "other.hex").write_text(OTHER_KEY)
    (tmp_path / "plain").write_bytes(PLAIN)
    sdk.encrypt(tmp_path / "plain", tmp_path / "sealed", KEY)
    (tmp_path / "folder").mkdir()
    return tmp_path
