"""Peak memory by size of the object, each in a process of its own: the growth over the memory before the job.

The peak is `VmHWM`, which Linux lets a process reset. `ru_maxrss` does not work: a process inherits it from its parent.
"""

from __future__ import annotations

import gc
import hashlib
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import connectors
from benchmarks.bench import Bench, NotRun
from benchmarks.child import in_child
from benchmarks.ours import COBBLESTONE, FORMATS, Ours
from benchmarks.places import process_memory
from benchmarks.plain import KEY, digest, drain, random_file
from benchmarks.stores import BUCKET, caddy, reading, s3_document, s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from benchmarks.bench import Row


def run(bench: Bench) -> list[Row]:
    return sorted(_rows(bench), key=lambda row: row["operation"])


def _rows(bench: Bench) -> Iterator[Row]:
    local, remote = bench.scale.memory
    for size in local:
        yield from _local(bench, size)
    for size in remote:
        yield from _remote(bench, size)


def _local(bench: Bench, size: int) -> Iterator[Row]:
    """Measure each format on the disk, which has space for the largest object."""
    plain, expected = random_file(bench.disk / "plain", size)
    sealed, copy = bench.disk / "sealed", bench.disk / "copy"
    for ours in FORMATS:
        row = {"contender": ours.name, "size": size, "chunk": ours.chunk}
        bench.report(f"{ours.name}, {size >> 20} MiB")
        places = {"src": str(plain), "dst": str(sealed), "options": dict(ours.options)}
        yield _row("encrypt", row, "encrypt", None, **places)
        yield _row("read", row, "read_file", expected, path=str(sealed), options=dict(ours.options))
        yield _row("decrypt", row, "decrypt", None, src=str(sealed), dst=str(copy), options=dict(ours.options))
        sealed.unlink(missing_ok=True)
        copy.unlink(missing_ok=True)
    plain.unlink()


def _remote(bench: Bench, size: int) -> Iterator[Row]:
    plain, expected = random_file(bench.disk / "plain", size)
    row = {"contender": COBBLESTONE.name, "size": size, "chunk": COBBLESTONE.chunk}
    connectors.encrypt(plain, bench.disk / "sealed", KEY, **COBBLESTONE.options)
    with caddy(bench.disk) as url:
        bench.report(f"HTTP, {size >> 20} MiB")
        document = {"encryption": dict(COBBLESTONE.encryption)}
        yield _row("HTTP read", row, "read_dataset", expected, location=f"{url}/sealed", document=document)
    with s3_store(bench.disk / f"seaweedfs-{size}") as server:
        bench.report(f"S3, {size >> 20} MiB")
        document = s3_document(server, COBBLESTONE) | {"encryption": dict(COBBLESTONE.encryption)}
        places = {"location": f"s3://{BUCKET}/object", "document": document}
        yield _row("S3 write", row, "write_dataset", None, path=str(plain), **places)
        yield _row("S3 read", row, "read_dataset", expected, **places)
    for path in (plain, bench.disk / "sealed"):
        path.unlink()


def _row(operation: str, row: Row, function: str, expected: str | None, **arguments: object) -> Row:
    row = {"operation": operation, "seconds": [], "bytes_per_second": None, "reference": None, "ratio": None, **row}
    try:
        found = in_child(__name__, function, **arguments)
    except NotRun as error:
        return row | {"peak": None, "not_run": str(error)}
    if found.pop("digest") != expected:
        return row | {"peak": None, "not_run": "its output is not the plain data"}
    return row | found


def encrypt(src: str, dst: str, options: Mapping[str, Any]) -> Row:
    return peak_of(lambda: connectors.encrypt(src, dst, KEY, **options), warm=_warm_formats)


def decrypt(src: str, dst: str, options: Mapping[str, Any]) -> Row:
    return peak_of(lambda: connectors.decrypt(src, dst, KEY, **options), warm=_warm_formats)


def read_file(path: str, options: Mapping[str, Any]) -> Row:
    ours = Ours(options["format"], 0, options.get("segment_size"))
    return peak_of(lambda: digest(ours.opening(Path(path))), warm=_warm_formats)


def read_dataset(location: str, document: Mapping[str, Any]) -> Row:
    def first_byte() -> None:
        with connectors.Dataset(location, document).open() as file:
            file.read(1)

    return peak_of(lambda: digest(reading(location, document)), warm=first_byte)


def write_dataset(location: str, document: Mapping[str, Any], path: str) -> Row:
    def write() -> None:
        with connectors.Dataset(location, document).open("wb") as target, open(path, "rb", buffering=0) as source:
            drain(source, target.write)

    return peak_of(write, warm=lambda: connectors.Dataset(f"{location}-warm", document).write_bytes(b"37.2"))


def _warm_formats() -> None:
    for ours in FORMATS:
        sealed, plain = io.BytesIO(), io.BytesIO()
        connectors.encrypt(io.BytesIO(b"37.2"), sealed, KEY, **ours.options)
        connectors.decrypt(sealed, plain, KEY, **ours.options)


def peak_of(job: Callable[[], str | None], *, warm: Callable[[], object]) -> Row:
    """Do a job after a small one of its kind; return the growth of the peak memory, the time, and the digest."""
    warm()
    hashlib.sha256()
    gc.collect()
    before = process_memory().get("VmRSS")
    if before is None:
        message = "the peak memory of a process is read from /proc, which only Linux has"
        raise NotRun(message)
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    start = time.perf_counter()
    result = job()
    seconds = time.perf_counter() - start
    return {"seconds": [round(seconds, 6)], "peak": process_memory()["VmHWM"] - before, "digest": result}
