"""A folder with keys, a plain file and a sealed one, in which the command runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import KEY, OTHER_KEY, PLAIN

import connectors as sdk


@pytest.fixture(autouse=True)
def private_files() -> Iterator[None]:
    """Key files are private, or the command warns about them."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "key.hex").write_text(KEY)
    (tmp_path / "other.hex").write_text(OTHER_KEY)
    (tmp_path / "plain").write_bytes(PLAIN)
    sdk.encrypt(tmp_path / "plain", tmp_path / "sealed", KEY)
    (tmp_path / "folder").mkdir()
    return tmp_path
