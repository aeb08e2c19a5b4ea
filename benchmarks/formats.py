"""How fast each format seals and opens a file on this machine, and in how much memory.

Each case is a process of its own, so that its peak memory is its own. The limit is a bare loop of AESGCM over buffers
in memory at the format's chunk size: no file, no format.

    python benchmarks/formats.py [--size MIB] [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console
from rich.table import Table

import connectors

KEY = bytes(range(32))
MIB = 1 << 20
FORMATS = {"cobblestone-256": 16384, "tink-gcm-hkdf": MIB, "gcm": MIB}


def limit(chunk: int, size: int = 64 * MIB) -> dict[str, float]:
    """Return the bytes a second of a bare loop that seals, and of one that opens."""
    aead, nonce = AESGCM(KEY), bytes(12)
    plain, sealed = memoryview(bytearray(chunk)), memoryview(bytearray(chunk + 16))
    aead.encrypt_into(nonce, plain, None, sealed)
    start = time.perf_counter()
    for _ in range(size // chunk):
        aead.encrypt_into(nonce, plain, None, sealed)
    middle = time.perf_counter()
    for _ in range(size // chunk):
        aead.decrypt_into(nonce, sealed, None, plain)
    return {"seal": size / (middle - start), "open": size / (time.perf_counter() - middle)}


def measure(case: str, fmt: str, folder: str) -> dict[str, float]:
    """Run one case in this process; return its seconds and its peak memory beyond the imports, in MiB."""
    plain, sealed = f"{folder}/plain", f"{folder}/{fmt}"
    connectors.encrypt(io.BytesIO(), io.BytesIO(), KEY)  # so that what it imports does not count
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if case == "seal":
        connectors.encrypt(plain, sealed, KEY, format=fmt)
    else:
        buffer = bytearray(MIB)
        with connectors.open_reader(sealed, KEY, format=fmt) as reader:
            while reader.readinto(buffer):
                pass
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": seconds, "peak_mib": peak / 1024}


def run(case: str, fmt: str, folder: str) -> dict[str, float]:
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, "--case", case, "--format", fmt, "--folder", folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def benchmark(size: int, rounds: int, folder: str) -> list[dict[str, object]]:
    """Seal and open a file of `size` bytes in each format; return a row for each case, of medians."""
    with open(f"{folder}/plain", "wb") as file:
        file.writelines(os.urandom(MIB) for _ in range(0, size, MIB))
    rows: list[dict[str, object]] = []
    for fmt, chunk in FORMATS.items():
        results: dict[str, list[dict[str, float]]] = {"seal": [], "open": []}
        limits: dict[str, list[float]] = {"seal": [], "open": []}
        for _ in range(rounds):
            for case, speed in limit(chunk).items():
                limits[case].append(speed)
                results[case].append(run(case, fmt, folder))
        for case, done in results.items():
            speed = size / statistics.median(one["seconds"] for one in done)
            bound = statistics.median(limits[case])
            rows.append(
                {
                    "format": fmt,
                    "case": case,
                    "gb_per_s": round(speed / 1e9, 3),
                    "limit_gb_per_s": round(bound / 1e9, 3),
                    "ratio": round(speed / bound, 3),
                    "peak_mib": round(max(one["peak_mib"] for one in done), 1),
                }
            )
        Path(f"{folder}/{fmt}").unlink()
    return rows


def main() -> None:
    """Parse the command line and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048, metavar="MIB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", choices=["seal", "open"], help=argparse.SUPPRESS)
    parser.add_argument("--format", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.format, options.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = benchmark(options.size * MIB, options.rounds, folder)
    if options.json:
        print(json.dumps(rows))
        return
    title = f"{options.size} MiB file, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table(title=title, caption="medians; limit: a bare AESGCM loop over memory at the same chunk size")
    for column in ("format", "", "GB/s", "limit", "ratio", "peak MiB"):
        table.add_column(column, justify="left" if column in ("format", "") else "right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
