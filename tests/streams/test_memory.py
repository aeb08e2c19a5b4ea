"""The memory that reading and writing take does not grow with the object."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LIMIT = 64 << 20
"""Bytes of memory, whatever the object's size: the largest run and its buffers are a few times 4 MiB."""

PROGRAM = """
import sys
import connectors
from connectors.streams import decrypt, encrypt  # what is measured is the work, not the imports

def memory(line):
    # Not getrusage: its maximum is inherited from the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(text.split()[1]) << 10 for text in status if text.startswith(line))

format, work, size, source, target = sys.argv[1:]
before = memory('VmRSS')
if work == "encrypt":
    with connectors.open_writer(target, "00" * 32, format=format) as writer:
        block = bytes(1 << 20)
        for _ in range(int(size) >> 20):
            writer.write(block)
else:
    decrypt(source, target, "00" * 32, format=format)
print(memory('VmHWM') - before)
"""


def measure(name: str, work: str, size: int, source: Path, target: Path) -> int:
    arguments = [sys.executable, "-c", PROGRAM, name, work, str(size), str(source), str(target)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("name", ["cobblestone-256", "tink-gcm-hkdf", "gcm"])
@pytest.mark.parametrize(
    "size", [pytest.param(256 << 20, id="256-MiB"), pytest.param(2 << 30, id="2-GiB", marks=pytest.mark.slow)]
)
def test_peak_memory_is_bounded(
    name: str, size: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    sealed, plain = tmp_path / "sealed", tmp_path / "plain"
    try:
        used = {
            work: measure(name, work, size, source, target)
            for work, source, target in (("encrypt", plain, sealed), ("decrypt", sealed, plain))
        }
        assert plain.stat().st_size == size
    finally:
        for path in (sealed, plain):
            path.unlink(missing_ok=True)
    assert min(used.values()) > 1 << 20, "nothing was measured"
    assert max(used.values()) < LIMIT


def test_no_plain_bytes_are_spooled(tmp_path: Path) -> None:
    """A stream that cannot seek is spooled sealed; nothing else is written anywhere."""
    program = """
import io, os, sys, tempfile
import connectors
spools = []
real = tempfile.TemporaryFile
tempfile.TemporaryFile = lambda *a, **k: spools.append(real(*a, **k)) or spools[-1]
sealed = io.BytesIO()
connectors.encrypt(io.BytesIO(b"hospital data" * 9999), sealed, "00" * 32)
outlet, inlet = os.pipe()
if not os.fork():
    os.close(outlet)
    with open(inlet, "wb") as file:
        file.write(sealed.getvalue())
    os._exit(0)
os.close(inlet)
with open(outlet, "rb") as pipe, connectors.open_reader(pipe, "00" * 32) as file:
    assert file.read() == b"hospital data" * 9999
    (spool,) = spools
    assert os.pread(spool.fileno(), 1 << 24, 0) == sealed.getvalue()
os.wait()
print(os.listdir(tempfile.gettempdir()))
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"
