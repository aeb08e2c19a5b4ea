"""Where writers write: a sink in memory, and a path in a folder in which nothing may stay staged."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import until
from sealing import COBBLESTONE
from staged import Staged

from connectors.streams import SealedWriter


@pytest.fixture
def sink() -> Staged:
    return Staged()


@pytest.fixture
def writer(sink: Staged) -> Iterator[SealedWriter]:
    writer = SealedWriter(sink, COBBLESTONE.codec(), name="output/result")
    yield writer
    writer.discard()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "conditions.sealed"


@pytest.fixture
def nothing_stays_staged(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Make sure that no staged file is left after the test."""
    yield
    if "killed" not in request.node.name:  # such a process can remove nothing any more
        assert not [name for _, _, files in os.walk(tmp_path) for name in files if name.endswith(".part")]


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Make sure that no thread of a reader outlives it."""
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before, "the threads of a closed reader end")
