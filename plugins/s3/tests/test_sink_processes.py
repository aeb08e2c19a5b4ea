"""Sinks in a forked child, and at the interpreter's exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from forked import use
from patience import PATIENCE

from connectors.testing.tools import in_child
from connectors_s3.filesystem import S3

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
Uploads = Callable[[str], list[Any]]


@pytest.mark.parametrize("size", [10, 12 * MIB])
def test_forked_child_leaves_the_parent_s_sink_alone(fs: S3, path: str, stored: Stored, size: int) -> None:
    data = os.urandom(size)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    assert "was opened for writing by the parent process" in in_child("fork", use, sink)
    sink.commit()
    assert stored(path) == data


PROGRAM = """
import atexit, json, os, sys, weakref
from connectors.credentials.model import validate
from connectors.streams import SealedWriter
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3
what, path, document = sys.argv[1:]
credentials = validate(S3Credentials, json.loads(document))
fs = S3(credentials, part_size=5 << 20)
fs.exists(path)
writer = SealedWriter(fs.open_sink(path), credentials.codec())
if what == "closed":
    atexit.register(writer.close)
writer.write(bytes(23 << 20))
"""


@pytest.mark.parametrize("what", ["dropped", "closed"])
def test_interpreter_exit_does_not_hang_and_publishes_only_closed_files(
    document: dict[str, Any], path: str, stored: Stored, uploads: Uploads, what: str
) -> None:
    command = [sys.executable, "-c", PROGRAM, what, path, json.dumps(document)]
    subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    assert (stored(path) is not None) == (what == "closed")
    assert uploads(path) == []
