"""The sizes and counts of a full measurement, of a quick one, and of a test."""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True)
class Scale:
    """Sizes in bytes of plain data, and counts.

    Attributes:
        crypto: objects that are sealed and opened in memory.
        local: the local file.
        slow_peer: the local file for peers that would need minutes for the large one.
        remote: the object that is read and written over HTTP and S3.
        cloud: the object that is read from emulators of Azure and Google Cloud Storage.
        link: the object that is read over a simulated link.
        random: the object that is read at random offsets.
        reads: the number of random reads.
        objects: the numbers of small objects: locally, on S3 one by one, and on S3 at once.
        table_rows: rows of the Parquet file, of 160 bytes each.
        memory: objects of the memory case, locally and on servers.
        part: each of the 16 objects that worker processes read.
        workers: the numbers of worker processes.
        workflows: applications of a workflow; there are five datasets for each.
    """

    crypto: tuple[int, ...]
    local: int
    slow_peer: int
    remote: int
    cloud: int
    link: int
    random: int
    reads: int
    objects: tuple[int, int, int]
    table_rows: int
    memory: tuple[tuple[int, ...], tuple[int, ...]]
    part: int
    workers: tuple[int, ...]
    workflows: tuple[int, ...]


SCALES = {
    "tiny": Scale(
        crypto=(64 * KIB, MIB),
        local=3 * MIB + 1,
        slow_peer=MIB,
        remote=3 * MIB + 1,
        cloud=3 * MIB + 1,
        link=3 * MIB + 1,
        random=MIB,
        reads=5,
        objects=(20, 10, 20),
        table_rows=6_400,
        memory=((MIB, 4 * MIB), (MIB,)),
        part=MIB,
        workers=(1, 2),
        workflows=(4, 8),
    ),
    "small": Scale(
        crypto=(64 * KIB, 16 * MIB, 256 * MIB),
        local=256 * MIB,
        slow_peer=32 * MIB,
        remote=128 * MIB,
        cloud=64 * MIB,
        link=128 * MIB,
        random=64 * MIB,
        reads=50,
        objects=(1_000, 200, 1_000),
        table_rows=655_360,
        memory=((64 * MIB, 256 * MIB), (256 * MIB,)),
        part=16 * MIB,
        workers=(1, 2, 4),
        workflows=(25, 50, 100),
    ),
    "full": Scale(
        crypto=(64 * KIB, MIB, 16 * MIB, 256 * MIB, 4 * GIB),
        local=GIB,
        slow_peer=128 * MIB,
        remote=GIB,
        cloud=256 * MIB,
        link=512 * MIB,
        random=256 * MIB,
        reads=100,
        objects=(10_000, 1_000, 10_000),
        table_rows=655_360,
        memory=((64 * MIB, 256 * MIB, GIB, 4 * GIB, 8 * GIB), (64 * MIB, 512 * MIB, 2 * GIB)),
        part=64 * MIB,
        workers=(1, 2, 4, 8),
        workflows=(25, 50, 100, 200),
    ),
}
