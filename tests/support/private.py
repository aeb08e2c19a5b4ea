"""A fixture for tests that write keys and passphrases: the command warns about files that others can read."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

__all__ = ["private_files"]


@pytest.fixture(autouse=True)
def private_files() -> Iterator[None]:
    """Let the files that a test writes be readable by their owner alone."""
    before = os.umask(0o077)
    yield
    os.umask(before)
