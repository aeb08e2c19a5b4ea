"""4 KiB reads at random offsets of a large object on S3 and HTTP: requests, bytes, time; and the cost of opening."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import connectors
from benchmarks.bench import Bench, Contender
from benchmarks.clients import s3_filesystem
from benchmarks.counting import Wire, counted
from benchmarks.ours import COBBLESTONE, TINKS
from benchmarks.plain import WrongOutput, into_file, random_file
from benchmarks.scale import KIB
from benchmarks.stores import BUCKET, caddy, s3_document, s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import S3Server

    from benchmarks.bench import Row, Run

    Opening = Callable[[], IO[bytes]]

READ = 4 * KIB
SMALL = 20 * KIB
FORMATS = (COBBLESTONE, TINKS[64 * KIB])
PLACES = {"pages": READ, "anywhere": 1}
"""The multiples that offsets are: pages are within one chunk of 16 KiB, other reads may span two."""
PLAIN_S3 = {"s3fs, plain": {}, "s3fs, plain, blocks of 64 KiB": {"default_block_size": 64 * KIB}}


@dataclass(frozen=True)
class _Way:
    """A way to read an object.

    Attributes:
        name: its name in the tables.
        opening: opens an object, given its name and a server's URL.
    """

    name: str
    opening: Callable[[str, str], Opening]


def run(bench: Bench) -> Iterator[Row]:
    objects = {"large": bench.scale.random, "small": min(SMALL, bench.scale.random)}
    files = {name: random_file(bench.folder / f"{name}-plain", size)[0] for name, size in objects.items()}
    for name, plain in files.items():
        for ours in FORMATS:
            into_file(ours.sealing(plain), bench.folder / _key(name, ours))
    with s3_store(bench.folder / "seaweedfs") as server:
        for path in bench.folder.glob("*-*"):
            server.client().upload_file(str(path), BUCKET, path.name)
        yield from _measure(bench, "S3", server.endpoint, _s3_ways(server), files)
    with caddy(bench.folder) as url:
        yield from _measure(bench, "HTTP", url, _http_ways(), files)


def _key(name: str, ours: Any) -> str:
    return f"{name}-{ours.name.replace(' ', '-') if ours else 'plain'}"


def _s3_ways(server: S3Server) -> Iterator[_Way]:
    def sealed(name: str, url: str, ours: Any) -> Opening:
        return connectors.Dataset(f"s3://{BUCKET}/{_key(name, ours)}", s3_document(server, ours, url)).open

    def plain(name: str, url: str, options: dict[str, int]) -> Opening:
        fs = s3_filesystem(server, url, **options)
        return partial(_open_uncached, fs, f"{BUCKET}/{_key(name, None)}")

    for ours in FORMATS:
        yield _Way(ours.name, partial(sealed, ours=ours))
    for title, options in PLAIN_S3.items():
        yield _Way(title, partial(plain, options=options))


def _open_uncached(fs: Any, path: str) -> IO[bytes]:
    fs.invalidate_cache()
    return fs.open(path, "rb")


def _http_ways() -> Iterator[_Way]:
    def dataset(name: str, url: str, ours: Any) -> Opening:
        document = {"encryption": ours.encryption if ours else None}
        return connectors.Dataset(f"{url}/{_key(name, ours)}", document).open

    for ours in (*FORMATS, None):
        yield _Way(ours.name if ours else "not sealed", partial(dataset, ours=ours))


def _measure(bench: Bench, store: str, url: str, ways: Iterator[_Way], files: dict[str, Path]) -> Iterator[Row]:
    found = list(ways)
    reads = bench.scale.reads
    large = files["large"].read_bytes()
    with counted(url) as wire:
        for place, step in PLACES.items():
            facts = {way.name: _count_reads(way, wire, large, reads, step) for way in found}
            yield from bench.race(
                f"{store}: read {place}",
                (
                    Contender(
                        way.name,
                        partial(_reading, way.opening("large", url), large, reads, step),
                        size=READ * reads,
                        items=reads,
                        facts=facts[way.name],
                        repeats=False,
                        cpu=True,
                    )
                    for way in found
                ),
            )
        for name, path in files.items():
            first = {way.name: _count_opening(way, wire, name, path.read_bytes()) for way in found}
            yield from bench.race(
                f"{store}: open {name}, first byte",
                (
                    Contender(way.name, partial(_first, way.opening(name, url)), facts=first[way.name], cpu=True)
                    for way in found
                ),
            )


def _reading(opening: Opening, expected: bytes, reads: int, step: int) -> Run:
    """Return a run that reads at random offsets of an open file."""
    file = opening()
    file.read(1)
    chance = random.Random(1)

    def run(_: object) -> None:
        for offset in [chance.randrange(0, len(expected) - READ, step) for _ in range(reads)]:
            file.seek(offset)
            _same(file.read(READ), expected[offset : offset + READ])

    return run


def _first(opening: Opening) -> Run:
    def run(_: object) -> None:
        with opening() as file:
            file.read(1)

    return run


def _count_reads(way: _Way, wire: Wire, expected: bytes, reads: int, step: int) -> Row:
    """Return the mean number of requests and bytes of a read."""
    run = _reading(way.opening("large", wire.url), expected, reads, step)
    wire.reset()
    run(None)
    return {"requests": wire.requests / reads, "fetched": wire.fetched / reads}


def _count_opening(way: _Way, wire: Wire, name: str, expected: bytes) -> Row:
    opening = way.opening(name, wire.url)
    wire.reset()
    with opening() as file:
        _same(file.read(1), expected[:1])
        return {"requests": wire.requests, "fetched": wire.fetched}


def _same(data: bytes, expected: bytes) -> None:
    if data != expected:
        message = "a read returned other bytes"
        raise WrongOutput(message)
