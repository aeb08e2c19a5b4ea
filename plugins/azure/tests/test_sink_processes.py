"""Sinks in a forked child, and at the interpreter's exit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from forked import use
from patience import PATIENCE

from connectors.testing.tools import in_child
from connectors_azure.filesystem import AzureFileSystem

MIB = 1 << 20
Stored = Callable[[str], bytes | None]


@pytest.mark.parametrize("size", [10, 9 * MIB])
def test_forked_child_cannot_use_the_sink_of_its_parent(
    fs: AzureFileSystem, path: str, stored: Stored, size: int
) -> None:
    data = os.urandom(size)
    sink = fs.open_sink(path)
    sink.write(memoryview(data))
    assert "by the parent process; open it again in this one" in in_child("fork", use, sink)
    sink.commit()
    assert stored(path) == data


PROGRAM = """
import atexit, json, os, sys
from dataclasses import replace
from connectors.credentials.model import validate
from connectors.streams import SealedWriter
from connectors_azure import AzureCredentials
from connectors_azure.account import account_of
from connectors_azure.filesystem import AzureFileSystem
from connectors_azure.location import LOCATION
from connectors_azure.store import PART_SIZES
ending, path, document = sys.argv[1:]
credentials = validate(AzureCredentials, json.loads(document))
sizes = replace(PART_SIZES, first=4 << 20)
fs = AzureFileSystem(account_of(credentials, LOCATION.parse("az://ward/")), credentials, sizes)
writer = SealedWriter(fs.open_sink(path), credentials.codec())
if ending == "closed":
    atexit.register(writer.close)
writer.write(bytes(23 << 20))
"""


@pytest.mark.parametrize("ending", ["left open", "closed"])
def test_interpreter_exit_does_not_hang_and_publishes_only_closed_files(
    service: BlobServiceClient, document: dict[str, Any], path: str, stored: Stored, ending: str
) -> None:
    command = [sys.executable, "-c", PROGRAM, ending, path, json.dumps(document)]
    subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    assert (stored(path) is not None) == (ending == "closed")
