"""One object on Azure Blob Storage, as Azurite emulates it, read from start to end."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Contender
from benchmarks.clients import azure_parallel_reading, azure_reading, azure_upload
from benchmarks.counting import counted
from benchmarks.ours import COBBLESTONE, TINK
from benchmarks.plain import gives, into_file, random_file
from benchmarks.stores import BUCKET, azure_document, azure_store, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import AzureServer

    from benchmarks.bench import Row, Run
    from benchmarks.counting import Wire
    from benchmarks.ours import Ours

PEER = "azure-storage-blob, plain"
PARALLEL = "azure-storage-blob in parallel, plain"
READERS: dict[str, Callable[..., Run]] = {PEER: azure_reading, PARALLEL: azure_parallel_reading}


def run(bench: Bench) -> Iterator[Row]:
    with azure_store(bench.folder / "azurite") as server, counted(server.endpoint) as wire:
        yield from bench.race("read", _reading(bench, server, wire))


def _reading(bench: Bench, server: AzureServer, wire: Wire) -> Iterator[Contender]:
    size = bench.scale.cloud
    plain, expected = random_file(bench.folder / "plain", size)
    options = {"check": gives(expected), "size": size, "cpu": True}
    azure_upload(server, "plain", plain)
    ways = {name: partial(peer, key="plain") for name, peer in READERS.items()}
    for ours in (COBBLESTONE, TINK, None):
        name = ours.name if ours else "not sealed"
        key = name.replace(" ", "-") if ours else "plain"
        if ours:
            azure_upload(server, key, into_file(ours.sealing(plain), bench.folder / "sealed"))
        ways[name] = partial(_read_ours, key=key, ours=ours)
    for name, connect in ways.items():
        counting = wire.counting(lambda url, connect=connect: connect(_at(server, url)))
        reference = None if name == PEER else PEER
        yield Contender(name, partial(connect, server), reference=reference, counting=counting, **options)


def _at(server: AzureServer, url: str) -> AzureServer:
    return replace(server, endpoint=f"{url}/{server.account}")


def _read_ours(server: AzureServer, key: str, ours: Ours | None) -> Run:
    return reading(f"az://{BUCKET}/{key}", azure_document(server, ours))
