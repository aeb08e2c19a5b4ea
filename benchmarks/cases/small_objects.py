"""Many small objects in a folder, written and read one by one, and in one fsspec call."""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import connectors
from benchmarks.bench import Bench, Contender
from benchmarks.clients import s3_filesystem
from benchmarks.ours import COBBLESTONE
from benchmarks.plain import WrongOutput
from benchmarks.scale import KIB
from benchmarks.stores import BUCKET, s3_document, s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Row, Run

SIZE = 4 * KIB

_Place = tuple[Any, str]
"""An fsspec filesystem, and a folder in it."""


def run(bench: Bench) -> Iterator[Row]:
    import fsspec  # noqa: PLC0415 - only this case needs it

    local, remote = bench.scale.objects
    folder = bench.folder / "sealed"
    sealed = connectors.Dataset(f"file://{folder}/", {"encryption": COBBLESTONE.encryption}).filesystem()
    places = {"sealed": sealed, "plain": (fsspec.filesystem("file"), str(bench.folder / "plain"))}
    for _, path in places.values():
        os.makedirs(path, exist_ok=True)
    yield from _race(bench, "local", places, local)
    for _, path in places.values():
        shutil.rmtree(path)
    with s3_store(bench.folder / "seaweedfs") as server:
        sealed = connectors.Dataset(f"s3://{BUCKET}/sealed/", s3_document(server, COBBLESTONE)).filesystem()
        plain = s3_filesystem(server), f"{BUCKET}/plain"
        yield from _race(bench, "S3", {"sealed": sealed, "plain": plain}, remote)


def _race(bench: Bench, store: str, places: dict[str, _Place], count: int) -> Iterator[Row]:
    objects = {f"{number // 100:03}/{number:05}": os.urandom(SIZE) for number in range(count)}
    jobs: dict[str, Callable[[_Place, dict[str, bytes]], Run]] = {
        "write one by one": _write_each,
        "write at once": _write_all,
        "read one by one": _read_each,
        "read at once": _read_all,
    }
    for title, job in jobs.items():
        yield from bench.race(
            f"{store}: {title}",
            (
                Contender(
                    name,
                    partial(job, place, objects),
                    size=SIZE * count,
                    items=count,
                    reference=None if name == "plain" else "plain",
                    repeats=False,
                )
                for name, place in places.items()
            ),
        )


def _write_each(place: _Place, objects: dict[str, bytes]) -> Run:
    fs, root = place

    def run(_: object) -> None:
        for folder in {name.partition("/")[0] for name in objects}:
            fs.makedirs(f"{root}/{folder}", exist_ok=True)
        for name, data in objects.items():
            fs.pipe_file(f"{root}/{name}", data)

    return run


def _write_all(place: _Place, objects: dict[str, bytes]) -> Run:
    fs, root = place
    return lambda _: fs.pipe({f"{root}/{name}": data for name, data in objects.items()})


def _read_each(place: _Place, objects: dict[str, bytes]) -> Run:
    fs, root = place

    def run(_: object) -> None:
        for name, data in objects.items():
            _same(fs.cat_file(f"{root}/{name}"), data)

    return run


def _read_all(place: _Place, objects: dict[str, bytes]) -> Run:
    fs, root = place

    def run(_: object) -> None:
        found = fs.cat([f"{root}/{name}" for name in objects])
        for name, data in objects.items():
            _same(found[f"{root}/{name}"], data)

    return run


def _same(found: bytes, expected: bytes) -> None:
    if found != expected:
        message = "an object differs from what was written"
        raise WrongOutput(message)
