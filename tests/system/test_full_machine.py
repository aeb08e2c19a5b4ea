"""Small files on a machine that has no room: the error names the file, and nothing changes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

from connectors.system.atomic_files import write_folder

FULL = """
import resource, signal, sys
from connectors.errors import MachineFailed
from connectors.system.atomic_files import replace, write_folder, write_new

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))
path = sys.argv[1]
for write in (
    lambda: write_new(path + "/new", b"37.2 C"),
    lambda: replace(path + "/old", b"37.2 C"),
    lambda: write_folder(path + "/folder", {"a": b"1", "b/c": b"37.2 C"}),
    lambda: write_folder(path + "/there", {"a": b"37.2 C"}, replace=True),
):
    try:
        write()
    except MachineFailed as error:
        print(error.errno, error)
"""


def test_a_machine_without_room_is_named_with_the_file_and_nothing_changes(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    write_folder(str(tmp_path / "there"), {"a": b"old"})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    told = [
        line.partition(" cannot be written; raise the limit on the size of a file")[0]
        for line in done.stdout.splitlines()
    ]
    assert told == [f"{errno.EFBIG} {tmp_path}/{name}" for name in ("new", "old", "folder", "there")]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert sorted(os.listdir(tmp_path)) == ["old", "there"]
