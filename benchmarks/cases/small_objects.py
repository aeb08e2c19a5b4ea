"""Many small objects in a folder, written and read one by one, and all at once: in one fsspec call, or with asyncio."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import connectors
from benchmarks.bench import Bench, Contender, discard, unchecked
from benchmarks.cases.s3 import through
from benchmarks.clients import obstore_store, s3_filesystem
from benchmarks.counting import counted
from benchmarks.ours import COBBLESTONE
from benchmarks.plain import WrongOutput
from benchmarks.scale import KIB
from benchmarks.stores import BUCKET, s3_document, s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
    from pathlib import Path

    from servers import S3Server

    from benchmarks.bench import Row, Run
    from benchmarks.counting import Wire

SIZE = 4 * KIB
SEALED, PLAIN, OBSTORE = "sealed", "plain", "obstore async, plain"
AT_ONCE = 128
"""Requests that the client of obstore has under way: of 16 to 256, the fastest for reads and writes on loopback."""
EACH = {"write one by one": "write_each", "read one by one": "read_each"}
WRITE, READ, DOWNLOAD = "write at once", "read at once", "download at once"
ALL = {WRITE: "write_all", READ: "read_all", DOWNLOAD: "download_all"}
"""The operations, and the methods of a way that do them."""


@dataclass(frozen=True)
class _Objects:
    """The objects to write, read and download.

    Attributes:
        data: by name.
        target: the folder of downloads.
    """

    data: Mapping[str, bytes]
    target: Path


class _Fsspec:
    """The objects in a folder of an fsspec filesystem; each method is a run."""

    def __init__(self, place: tuple[Any, str], objects: _Objects) -> None:
        self._fs, root = place
        self._objects = {f"{root}/{name}": data for name, data in objects.data.items()}
        self._files = [str(objects.target / name) for name in objects.data]

    def write_each(self, _: object) -> None:
        for folder in {path.rpartition("/")[0] for path in self._objects}:
            self._fs.makedirs(folder, exist_ok=True)
        for path, data in self._objects.items():
            self._fs.pipe_file(path, data)

    def read_each(self, _: object) -> None:
        for path, data in self._objects.items():
            _same(self._fs.cat_file(path), data)

    def write_all(self, _: object) -> None:
        self._fs.pipe(self._objects)

    def read_all(self, _: object) -> None:
        found = self._fs.cat(list(self._objects))
        for path, data in self._objects.items():
            _same(found[path], data)

    def download_all(self, _: object) -> None:
        self._fs.get(list(self._objects), self._files)


class _Obstore:
    """The objects in a folder of an obstore store; each method is a run of at most `AT_ONCE` requests at a time."""

    def __init__(self, store: Any, objects: _Objects) -> None:
        self._store, self._objects, self._target = store, objects.data, objects.target

    def write_all(self, _: object) -> None:
        async def write(name: str, data: bytes) -> None:
            await self._store.put_async(f"obstore/{name}", data)

        _gather(write(name, data) for name, data in self._objects.items())

    def read_all(self, _: object) -> None:
        async def read(name: str, data: bytes) -> None:
            _same(bytes(await self._read(name)), data)

        _gather(read(name, data) for name, data in self._objects.items())

    def download_all(self, _: object) -> None:
        async def download(name: str) -> None:
            (self._target / name).write_bytes(await self._read(name))

        _gather(download(name) for name in self._objects)

    async def _read(self, name: str) -> Any:
        found = await self._store.get_async(f"obstore/{name}")
        return await found.bytes_async()


def _gather(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    async def gather() -> None:
        free = asyncio.Semaphore(AT_ONCE)

        async def bounded(job: Coroutine[Any, Any, None]) -> None:
            async with free:
                await job

        await asyncio.gather(*map(bounded, jobs))

    asyncio.run(gather())


def run(bench: Bench) -> Iterator[Row]:
    local, each, at_once = (partial(_objects, bench, count) for count in bench.scale.objects)
    yield from _local(bench, local)
    with s3_store(bench.folder / "seaweedfs") as server, counted(server.endpoint) as wire:
        for title, method in EACH.items():
            contenders = _remote(server, wire, each(), method, (SEALED, PLAIN))
            yield from bench.race(f"S3: {title}", contenders)
        for title, method in ALL.items():
            contenders = _remote(server, wire, at_once(), method, (SEALED, PLAIN, OBSTORE))
            yield from bench.race(f"S3: {title}", contenders)


def _objects(bench: Bench, count: int) -> _Objects:
    """Make the objects, the same each time, and an empty folder for downloads."""
    chance = random.Random(1)
    data = {f"{number // 100:03}/{number:05}": chance.randbytes(SIZE) for number in range(count)}
    target = bench.folder / "downloads"
    shutil.rmtree(target, ignore_errors=True)
    for folder in {name.partition("/")[0] for name in data}:
        (target / folder).mkdir(parents=True)
    return _Objects(data, target)


def _local(bench: Bench, objects: Callable[[], _Objects]) -> Iterator[Row]:
    import fsspec  # noqa: PLC0415 - only this case needs it

    root = bench.folder / "sealed"
    sealed = connectors.Dataset(f"file://{root}/", {"encryption": COBBLESTONE.encryption}).filesystem()
    places = {SEALED: sealed, PLAIN: (fsspec.filesystem("file"), str(bench.folder / "plain"))}
    for _, path in places.values():
        os.makedirs(path, exist_ok=True)
    for title, method in (EACH | ALL).items():
        made = objects()
        ways = {name: getattr(_Fsspec(place, made), method) for name, place in places.items()}
        contenders = [_contender(name, lambda run=run: run, made, method) for name, run in ways.items()]
        yield from bench.race(f"local: {title}", contenders)
    for _, path in places.values():
        shutil.rmtree(path)


def _remote(server: S3Server, wire: Wire, objects: _Objects, method: str, names: Iterable[str]) -> Iterator[Contender]:
    for name in names:
        connect = partial(_connect, name=name, objects=objects, method=method)
        counting = through(server, wire, connect)
        yield _contender(name, partial(connect, server), objects, method, counting=counting, cpu=True)


def _connect(server: S3Server, name: str, objects: _Objects, method: str) -> Run:
    way: _Fsspec | _Obstore
    if name == OBSTORE:
        way = _Obstore(obstore_store(server), objects)
    elif name == SEALED:
        dataset = connectors.Dataset(f"s3://{BUCKET}/sealed/", s3_document(server, COBBLESTONE))
        way = _Fsspec(dataset.filesystem(), objects)
    else:
        way = _Fsspec((s3_filesystem(server), f"{BUCKET}/plain"), objects)
    run: Run = getattr(way, method)
    return run


def _contender(name: str, setup: Callable[[], Run], objects: _Objects, method: str, **options: Any) -> Contender:
    count = len(objects.data)
    return Contender(
        name,
        setup,
        partial(_downloads, objects) if method == ALL[DOWNLOAD] else unchecked,
        size=SIZE * count,
        items=count,
        reference=None if name == PLAIN else PLAIN,
        repeats=False,
        **options,
    )


def _downloads(objects: _Objects, run: Run) -> None:
    """Check a run that downloads; the reads check themselves, and what the writes wrote."""
    run(discard)
    for name, data in objects.data.items():
        file = objects.target / name
        _same(file.read_bytes(), data)
        file.unlink()


def _same(found: bytes, expected: bytes) -> None:
    if found != expected:
        message = "an object differs from what was written"
        raise WrongOutput(message)
