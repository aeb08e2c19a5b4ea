"""Measure how fast this machine encrypts and decrypts, in memory: without a disk or a network."""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.formats import select
from connectors.secrets import SecretKey
from connectors.streams import SealedReader, SealedWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.formats import FormatName

__all__ = ["FORMATS", "Speed", "machine", "measure", "processors"]

OBJECT_SIZE = 1 << 26
"""Plain bytes of the measured object, more than a processor's cache holds."""
BUFFER_SIZE = 1 << 22
"""Bytes per read and write."""
START = 2.0
"""Seconds that the processes of a measurement get to start, before they begin together."""

FORMATS: dict[FormatName, int] = {"cobblestone-256": 1 << 14, "tink-gcm-hkdf": 1 << 20, "gcm": 1 << 20}
"""The measured formats, each with the buffer size in bytes for the bare cipher that it is compared with."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The measured speed of one format, in plain bytes per second.

    Attributes:
        format: its name.
        cipher: the bare cipher, decrypting one small buffer repeatedly in one thread: the upper limit.
        opened: one reader.
        sealed: one writer.
        opened_by_all: one reader per processor, each in its own process; their sum.
    """

    format: FormatName
    cipher: float
    opened: float
    sealed: float
    opened_by_all: float


class _Memory:
    """A sealed object in memory: a sink that keeps the first object written, and a source to read it from."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._kept = False

    @property
    def size(self) -> int:
        return len(self._data)

    def write(self, data: memoryview) -> None:
        if not self._kept:
            self._data += data

    def commit(self) -> None:
        self._kept = True

    def discard(self) -> None:
        pass

    def read_range(self, start: int, stop: int) -> memoryview:
        return memoryview(self._data)[start:stop]

    def close(self) -> None:
        pass


def machine() -> dict[str, str | int]:
    """Describe the machine: its processors, and the software that runs on them."""
    return {
        "processor": _processor(),
        "processors": processors(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "openssl": backend.openssl_version_text(),
    }


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            named = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        named = []
    return named[0] if named else platform.processor() or platform.machine()


def measure(name: FormatName, seconds: float) -> Speed:
    """Measure one format, with about `seconds` for each of the four figures."""
    opened, sealed = _open_and_seal(name, seconds)
    return Speed(name, _cipher(FORMATS[name], seconds), opened, sealed, _together(name, seconds))


def _open_and_seal(name: FormatName, seconds: float) -> tuple[float, float]:
    codec = select(name, SecretKey.generate())
    memory, buffer = _Memory(), bytearray(BUFFER_SIZE)

    def seal() -> None:
        with SealedWriter(memory, codec) as writer:
            for _ in range(0, OBJECT_SIZE, BUFFER_SIZE):
                writer.write(buffer)

    def unseal() -> None:
        with SealedReader(memory, codec) as reader:
            while reader.readinto(buffer):
                pass

    sealed = _rate(seal, OBJECT_SIZE, seconds)
    return _rate(unseal, OBJECT_SIZE, seconds), sealed


def _cipher(chunk: int, seconds: float) -> float:
    aead, nonce = AESGCM(AESGCM.generate_key(256)), bytes(12)
    plain, sealed = memoryview(bytearray(chunk)), memoryview(bytearray(chunk + 16))
    aead.encrypt_into(nonce, plain, None, sealed)

    def decrypt() -> None:
        for _ in range(OBJECT_SIZE // chunk):
            aead.decrypt_into(nonce, sealed, None, plain)

    return _rate(decrypt, OBJECT_SIZE, seconds)


def _rate(work: Callable[[], None], size: int, seconds: float) -> float:
    """Return the bytes per second of `work`, one call of which processes `size` bytes."""
    work()
    done, start = 0, time.perf_counter()
    while not done or time.perf_counter() - start < seconds:
        work()
        done += size
    return done / (time.perf_counter() - start)


def _together(name: FormatName, seconds: float) -> float:
    count = processors()
    # Not forked: a child of a process with threads can inherit a held lock.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        start = time.time() + START
        rates = [pool.submit(_open_at, start, name, seconds) for _ in range(count)]
        return sum(rate.result() for rate in rates)


def _open_at(start: float, name: FormatName, seconds: float) -> float:
    time.sleep(max(0.0, start - time.time()))
    opened, _ = _open_and_seal(name, seconds)
    return opened
