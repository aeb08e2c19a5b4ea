"""Sixteen objects of a folder, read by an increasing number of dask worker processes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import connectors
from benchmarks.bench import Bench, Contender
from benchmarks.ours import COBBLESTONE
from benchmarks.plain import WrongOutput, drain, random_file
from benchmarks.stores import BUCKET, s3_document, s3_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.bench import Row, Run

OBJECTS = 16
PEERS = {"local, sealed": "local, plain", "S3, sealed": "S3, plain"}


_CONNECTED: dict[str, tuple[Any, str]] = {}
"""The connected filesystems of a worker. fsspec caches its plain filesystems in the same way."""


def run(bench: Bench) -> Iterator[Row]:
    from distributed import Client, LocalCluster  # noqa: PLC0415 - slow to import

    plain, _ = random_file(bench.folder / "plain", bench.scale.part)
    with s3_store(bench.folder / "seaweedfs") as server:
        folders = _folders(bench, server)
        data = plain.read_bytes()
        for places in folders.values():
            fs, root = _filesystem(**places)
            fs.makedirs(root, exist_ok=True)
            for number in range(OBJECTS):
                fs.pipe_file(f"{root}/{number}", data)
        for count in bench.scale.workers:
            bench.report(f"{count} workers start")
            cluster = LocalCluster(n_workers=count, threads_per_worker=1, processes=True, dashboard_address=":0")
            with cluster, Client(cluster) as client:
                contenders = (
                    Contender(
                        name,
                        partial(_reading, client, places, bench.scale.part),
                        size=OBJECTS * bench.scale.part,
                        reference=PEERS.get(name),
                        facts={"workers": count},
                        repeats=False,
                    )
                    for name, places in folders.items()
                )
                yield from bench.race("read", contenders)


def _folders(bench: Bench, server: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return the arguments of `_filesystem` for each folder."""
    sealed = s3_document(server, COBBLESTONE)
    s3 = {
        "key": server.access_key,
        "secret": server.secret_key,
        "endpoint_url": server.endpoint,
    }
    return {
        "local, sealed": {
            "location": f"file://{bench.folder}/sealed-parts/",
            "document": {"encryption": COBBLESTONE.encryption},
        },
        "local, plain": {"location": f"{bench.folder}/plain-parts", "options": {"protocol": "file"}},
        "S3, sealed": {"location": f"s3://{BUCKET}/sealed/", "document": sealed},
        "S3, plain": {"location": f"{BUCKET}/plain", "options": {"protocol": "s3", **s3}},
    }


def _filesystem(
    location: str, document: Mapping[str, Any] | None = None, options: Mapping[str, Any] | None = None
) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415

    if document is not None:
        return connectors.Dataset(location, document).filesystem()
    return fsspec.filesystem(**options or {}), location


def _reading(client: Any, places: Mapping[str, Any], size: int) -> Run:
    def run(_: object) -> None:
        futures = client.map(partial(read_part, places), range(OBJECTS), pure=False)
        if client.gather(futures) != [size] * OBJECTS:
            message = "a worker read another number of bytes"
            raise WrongOutput(message)

    return run


def read_part(places: Mapping[str, Any], number: int) -> int:
    """Read one object in a worker; return its size."""
    location = places["location"]
    if location not in _CONNECTED:
        _CONNECTED[location] = _filesystem(**places)
    fs, root = _CONNECTED[location]
    sizes: list[int] = []
    with fs.open(f"{root}/{number}", "rb") as file:
        drain(file, lambda data: sizes.append(len(data)))
    return sum(sizes)
