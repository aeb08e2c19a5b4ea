"""One object on Google Cloud Storage, as fake-gcs-server emulates it in memory, read from start to end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gcs_server import BUCKET, Emulator, emulating

from benchmarks.bench import Bench, Contender
from benchmarks.clients import gcs_parallel_reading, gcs_reading
from benchmarks.counting import counted
from benchmarks.ours import COBBLESTONE, TINK
from benchmarks.plain import gives, into_file, random_file
from benchmarks.stores import gcs_document, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Row, Run
    from benchmarks.counting import Wire
    from benchmarks.ours import Ours

PEER = "google-cloud-storage, plain"
PARALLEL = "google-cloud-storage in parallel, plain"
READERS: dict[str, Callable[..., Run]] = {PEER: gcs_reading, PARALLEL: gcs_parallel_reading}


def run(bench: Bench) -> Iterator[Row]:
    with emulating(bench.disk / "fake-gcs-server.log") as emulator, counted(emulator.url) as wire:
        yield from bench.race("read", _reading(bench, emulator, wire))


def _reading(bench: Bench, emulator: Emulator, wire: Wire) -> Iterator[Contender]:
    size = bench.scale.cloud
    plain, expected = random_file(bench.folder / "plain", size)
    options = {"check": gives(expected), "size": size, "cpu": True}
    emulator.put(f"{BUCKET}/plain", plain.read_bytes())
    ways = {name: partial(peer, key="plain") for name, peer in READERS.items()}
    for ours in (COBBLESTONE, TINK, None):
        name = ours.name if ours else "not sealed"
        key = name.replace(" ", "-") if ours else "plain"
        if ours:
            emulator.put(f"{BUCKET}/{key}", into_file(ours.sealing(plain), bench.folder / "sealed").read_bytes())
        ways[name] = partial(_read_ours, key=key, ours=ours)
    for name, connect in ways.items():
        reference = None if name == PEER else PEER
        setup = partial(connect, emulator.url)
        yield Contender(name, setup, reference=reference, counting=wire.counting(connect), **options)


def _read_ours(url: str, key: str, ours: Ours | None) -> Run:
    return reading(f"gs://{BUCKET}/{key}", gcs_document(url, ours))
